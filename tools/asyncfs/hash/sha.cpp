#define OPENSSL_SUPPRESS_DEPRECATED  // only the functions below take a state in and give it back
#include "hash/sha.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace tool {

namespace {

// FIPS 180-4, 5.3
constexpr sha_digest::words first_state(algorithm which) noexcept {
  switch (which) {
    case algorithm::sha1: return {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    case algorithm::sha224:
      return {0xc1059ed8, 0x367cd507, 0x3070dd17, 0xf70e5939, 0xffc00b31, 0x68581511, 0x64f98fa7, 0xbefa4fa4};
    case algorithm::sha256:
      return {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    case algorithm::sha384:
      return {0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17, 0x152fecd8f70e5939,
              0x67332667ffc00b31, 0x8eb44a8768581511, 0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4};
    case algorithm::sha512:
      return {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
              0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};
    default: std::unreachable();
  }
}

constexpr sha_family family_of(algorithm which) noexcept {
  if (which == algorithm::sha1) return sha_family::sha1;
  return which == algorithm::sha224 || which == algorithm::sha256 ? sha_family::sha256 : sha_family::sha512;
}

template <std::unsigned_integral Word>
void store_big_endian(Word word, unsigned char* to) noexcept {
  if constexpr (std::endian::native == std::endian::little) word = std::byteswap(word);
  std::memcpy(to, &word, sizeof word);
}

}  // namespace

bool sha_digest::computes(algorithm which) noexcept {
  using enum algorithm;
  return which == sha1 || which == sha224 || which == sha256 || which == sha384 || which == sha512;
}

sha_digest::sha_digest(algorithm which) noexcept : which_(which), family_(family_of(which)) {}

void sha_digest::begin() {
  state_ = first_state(which_);
  total_ = kept_ = 0;
  padded_ = false;
}

void sha_digest::add_blocks(const unsigned char* blocks, std::size_t bytes) {
  switch (family_) {
    case sha_family::sha1: {
      SHA_CTX now{};
      SHA_LONG* const of[] = {&now.h0, &now.h1, &now.h2, &now.h3, &now.h4};
      for (std::size_t i = 0; i < std::size(of); ++i) *of[i] = static_cast<SHA_LONG>(state_[i]);
      SHA1_Update(&now, blocks, bytes);
      for (std::size_t i = 0; i < std::size(of); ++i) state_[i] = *of[i];
      break;
    }
    case sha_family::sha256: {
      SHA256_CTX now{};
      std::ranges::transform(state_, now.h, [](std::uint64_t word) { return static_cast<SHA_LONG>(word); });
      SHA256_Update(&now, blocks, bytes);
      std::ranges::copy(now.h, state_.begin());
      break;
    }
    case sha_family::sha512: {
      SHA512_CTX now{};
      std::ranges::copy(state_, now.h);
      SHA512_Update(&now, blocks, bytes);
      std::ranges::copy(now.h, state_.begin());
      break;
    }
  }
}

void sha_digest::add(std::span<const std::byte> bytes) {
  const std::size_t block = block_bytes();
  const auto* from = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t left = bytes.size();
  total_ += left;
  if (kept_ != 0) {
    const std::size_t fits = std::min(block - kept_, left);
    std::copy_n(from, fits, &rest_[kept_]);
    kept_ += fits;
    from += fits;
    left -= fits;
    if (kept_ < block) return;
    add_blocks(rest_.data(), block);
    kept_ = 0;
  }
  const std::size_t whole = left - left % block;
  if (whole != 0) add_blocks(from, whole);
  kept_ = left - whole;
  std::copy_n(from + whole, kept_, rest_.data());
}

// A one bit, zeros, and how many bits there were, in the last 8 bytes of 64 or the last 16 of 128.
std::span<const unsigned char> sha_digest::pad() noexcept {
  const std::size_t block = block_bytes();
  const std::size_t end = kept_ + 1 + block / 8 <= block ? block : 2 * block;
  rest_[kept_] = 0x80;
  std::memset(&rest_[kept_ + 1], 0, end - (kept_ + 1));
  store_big_endian(total_ << 3, &rest_[end - 8]);
  if (block == most_block_bytes) rest_[end - 9] = static_cast<unsigned char>(total_ >> 61);
  kept_ = 0;
  padded_ = true;
  return {rest_.data(), end};
}

digest_value sha_digest::end() {
  if (!padded_) {
    const auto last = pad();
    add_blocks(last.data(), last.size());
  }
  std::array<unsigned char, most_digest_bytes> bytes;
  const std::size_t word = block_bytes() / 16, length = describe(which_).bytes;
  for (std::size_t at = 0; at < length; at += word)
    word == 4 ? store_big_endian(static_cast<std::uint32_t>(state_[at / word]), &bytes[at])
              : store_big_endian(state_[at / word], &bytes[at]);
  return digest_value(std::span(bytes).first(length));
}

}  // namespace tool
