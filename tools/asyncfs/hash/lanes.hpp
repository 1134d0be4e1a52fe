// Many short messages at once: digests that a CPU computes side by side, one in each lane of its vector registers.
//
// For whole messages that lie in memory. On x86-64 with AVX2 or AVX-512, eight or sixteen messages cost hardly more than
// one. A message that is taken in waits until all lanes are busy; then they run until one has done its own. One object a
// thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "hash/digest.hpp"

namespace tool {

class digest_lanes {
 public:
  struct message {
    std::span<const std::byte> bytes;
    digest_value digest{};  // set when it is done
  };
  // Longer messages do not fit.
  static constexpr std::size_t longest = 65534;
  // With fewer, the lanes stand idle.
  static constexpr std::size_t most_lanes = 16;

  // Called for every message that is done. It must not submit.
  using done_handler = std::function<void(message&)>;

  // Null when this CPU or build gains nothing by it for this algorithm.
  static std::unique_ptr<digest_lanes> make(algorithm which, done_handler done);
  digest_lanes(const digest_lanes&) = delete;
  digest_lanes& operator=(const digest_lanes&) = delete;
  // All messages must be done.
  ~digest_lanes();

  // The message and its bytes must stay until it is done; that may be before this returns.
  void submit(message& next);
  // Does all that were submitted, however many lanes stay idle.
  void flush();
  [[nodiscard]] std::size_t busy() const noexcept { return busy_; }

 private:
  struct manager;
  digest_lanes(algorithm which, std::unique_ptr<manager> by, done_handler done);
  void take(const void* ended);

  const algorithm which_;
  std::unique_ptr<manager> manager_;
  const done_handler done_;
  std::size_t busy_ = 0;
};

}  // namespace tool
