// The algorithms, in one table: what users call them, and what lists call them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tool {

enum class algorithm : std::uint8_t {
  md5,
  sha1,
  sha224,
  sha256,
  sha384,
  sha512,
  sha3_256,
  sha3_512,
  blake2b,
  blake3,
  xxh64,
  xxh3,
  xxh128,
  crc32c,
};

struct algorithm_info {
  algorithm which;
  std::string_view name;       // as an option's value
  std::string_view tag;        // in "TAG (path) = digest"
  std::size_t bytes;           // of the digest
  std::string_view title;      // for people
  bool always_tagged = false;  // its digest alone would pass for another's
  bool quick = false;          // computes faster than memory gives
};

inline constexpr auto algorithm_table = std::to_array<algorithm_info>({
    {algorithm::md5, "md5", "MD5", 16, "MD5, as md5sum; broken, for old lists only"},
    {algorithm::sha1, "sha1", "SHA1", 20, "SHA-1, as sha1sum; broken, for old lists only"},
    {algorithm::sha224, "sha224", "SHA224", 28, "SHA-224, as sha224sum"},
    {algorithm::sha256, "sha256", "SHA256", 32, "SHA-256, as sha256sum; the default"},
    {algorithm::sha384, "sha384", "SHA384", 48, "SHA-384, as sha384sum"},
    {algorithm::sha512, "sha512", "SHA512", 64, "SHA-512, as sha512sum"},
    {algorithm::sha3_256, "sha3-256", "SHA3-256", 32, "SHA3-256"},
    {algorithm::sha3_512, "sha3-512", "SHA3-512", 64, "SHA3-512"},
    {algorithm::blake2b, "blake2b", "BLAKE2b", 64, "BLAKE2b with 512 bits, as b2sum"},
    {algorithm::blake3, "blake3", "BLAKE3", 32, "BLAKE3, as b3sum; the quickest that resists attackers"},
    {algorithm::xxh64, "xxh64", "XXH64", 8, "XXH64, as xxhsum -H1; against accidents only", false, true},
    {algorithm::xxh3, "xxh3", "XXH3", 8, "XXH3 with 64 bits, as xxhsum -H3; against accidents only", true, true},
    {algorithm::xxh128, "xxh128", "XXH128", 16, "XXH3 with 128 bits, as xxhsum -H2; against accidents only", false,
     true},
    {algorithm::crc32c, "crc32c", "CRC32C", 4, "CRC-32C (Castagnoli); against transmission errors only", false, true},
});

inline constexpr std::size_t most_digest_bytes = 64;

[[nodiscard]] constexpr const algorithm_info& describe(algorithm which) noexcept {
  return algorithm_table[static_cast<std::size_t>(which)];
}
static_assert([] {
  for (std::size_t i = 0; i < algorithm_table.size(); ++i)
    if (algorithm_table[i].which != algorithm(i) || algorithm_table[i].bytes > most_digest_bytes) return false;
  return true;
}());

// The algorithm whose tag `rest` begins with, the longest one, which is taken off. Null: none.
[[nodiscard]] constexpr const algorithm_info* take_tag(std::string_view& rest) noexcept {
  const algorithm_info* longest = nullptr;
  for (const algorithm_info& row : algorithm_table)
    if (rest.starts_with(row.tag) && (longest == nullptr || row.tag.size() > longest->tag.size())) longest = &row;
  if (longest != nullptr) rest.remove_prefix(longest->tag.size());
  return longest;
}

}  // namespace tool
