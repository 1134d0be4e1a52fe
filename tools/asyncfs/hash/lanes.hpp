// Many short messages at once: digests that a CPU computes side by side, one in each lane of its vector registers.
//
// For whole messages that lie in memory. On x86-64 with AVX2 or AVX-512, eight or sixteen messages cost hardly more than
// one. One object a thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "hash/digest.hpp"

namespace tool {

class digest_lanes {
 public:
  struct message {
    std::span<const std::byte> bytes;
    digest_value digest;  // set by `compute`
  };
  // Longer messages do not fit.
  static constexpr std::size_t longest = 65534;

  // Null when this CPU or build gains nothing by it for this algorithm.
  static std::unique_ptr<digest_lanes> make(algorithm which);
  digest_lanes(const digest_lanes&) = delete;
  digest_lanes& operator=(const digest_lanes&) = delete;
  ~digest_lanes();

  // Digests all; their bytes may be of any lengths up to `longest`.
  void compute(std::span<message* const> all);

 private:
  struct manager;
  digest_lanes(algorithm which, std::unique_ptr<manager> by);
  const algorithm which_;
  std::unique_ptr<manager> manager_;
};

}  // namespace tool
