// SHA-1 and SHA-2 with their state in the open: OpenSSL adds blocks to it, or vector lanes do (lanes.hpp), in turns.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "hash/digest.hpp"

namespace tool {

// By compression function: SHA-224 is SHA-256 from another beginning, and SHA-384 is SHA-512.
enum class sha_family : std::uint8_t { sha1, sha256, sha512 };

class sha_digest final : public digest {
 public:
  [[nodiscard]] static bool computes(algorithm which) noexcept;
  explicit sha_digest(algorithm which) noexcept;

  void begin() override;
  void add(std::span<const std::byte> bytes) override;
  digest_value end() override;

  // ---- for those who add blocks themselves ----
  [[nodiscard]] sha_family family() const noexcept { return family_; }
  [[nodiscard]] std::size_t block_bytes() const noexcept { return family_ == sha_family::sha512 ? 128 : 64; }
  using words = std::array<std::uint64_t, 8>;  // of 32 bits but for SHA-512; SHA-1 has five
  [[nodiscard]] words& state() noexcept { return state_; }
  // Whether what was added so far is whole blocks, all of them in the state.
  [[nodiscard]] bool between_blocks() const noexcept { return kept_ == 0; }
  // As many whole blocks as these bytes are have gone into the state.
  void count(std::uint64_t bytes) noexcept { total_ += bytes; }
  void add_blocks(const unsigned char* blocks, std::size_t bytes);
  // After the last byte: what has yet to go into the state, whole blocks; then `end` gives the digest.
  [[nodiscard]] std::span<const unsigned char> pad() noexcept;

 private:
  static constexpr std::size_t most_block_bytes = 128;

  const algorithm which_;
  const sha_family family_;
  words state_{};
  std::uint64_t total_ = 0;
  std::size_t kept_ = 0;  // bytes that make no whole block yet
  bool padded_ = false;
  std::array<unsigned char, 2 * most_block_bytes> rest_{};
};

}  // namespace tool
