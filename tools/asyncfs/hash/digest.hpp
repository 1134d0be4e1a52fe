// Digests of byte streams, from libraries that know the CPU: OpenSSL, xxHash, BLAKE3's own, ISA-L.
//
// One object digests one stream after the other. Not thread-safe; one a worker.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "hash/algorithm.hpp"

namespace tool {

// A digest as bytes, in the order in which they are printed.
struct digest_value {
  std::array<unsigned char, most_digest_bytes> bytes{};
  std::size_t size = 0;

  digest_value() = default;
  explicit digest_value(std::span<const unsigned char> from);
  [[nodiscard]] std::span<const unsigned char> view() const noexcept { return {bytes.data(), size}; }
  void append_hexadecimal(std::string& to) const;        // in lower case
  [[nodiscard]] std::string hexadecimal() const;
  bool operator==(const digest_value&) const = default;  // what is past `size` is zero
};

class digest {
 public:
  // Throws std::runtime_error when the algorithm is not to be had (see `available`), or std::bad_alloc.
  static std::unique_ptr<digest> make(algorithm which);
  virtual ~digest() = default;

  virtual void begin() = 0;
  virtual void add(std::span<const std::byte> bytes) = 0;
  // As many zeros as if they had been added.
  virtual void add_zeros(std::uint64_t count);
  virtual digest_value end() = 0;
};

// Whether this build, with the libraries found here, has the algorithm.
[[nodiscard]] bool available(algorithm which) noexcept;

}  // namespace tool
