#include "hash/digest.hpp"

#include <isa-l/crc.h>
#include <openssl/evp.h>
#include <xxhash.h>
#ifdef ASYNCFS_HAS_XXH_DISPATCH
#include <xxh_x86dispatch.h>  // puts its functions in the place of the others
#endif

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <stdexcept>

#include "hash/blake3.hpp"
#include "hash/sha.hpp"

namespace tool {

namespace {

constexpr std::size_t most_at_once = std::size_t{1} << 30;  // lengths that every library's `int` can hold
constexpr std::array<std::byte, std::size_t{64} << 10> zeros{};

// ---- OpenSSL -------------------------------------------------------------------------------------------------------

const char* openssl_name(algorithm which) noexcept {
  switch (which) {
    case algorithm::md5: return "MD5";
    case algorithm::sha3_256: return "SHA3-256";
    case algorithm::sha3_512: return "SHA3-512";
    case algorithm::blake2b: return "BLAKE2B-512";
    default: return nullptr;
  }
}

// Fetched once a process: looking an algorithm up costs five times as much as starting it. Null where a provider, FIPS
// for one, does not offer it.
const EVP_MD* fetched(algorithm which) {
  static const auto all = [] {
    std::array<const EVP_MD*, algorithm_table.size()> found{};
    for (const algorithm_info& row : algorithm_table)
      if (const char* name = openssl_name(row.which))
        found[static_cast<std::size_t>(row.which)] = EVP_MD_fetch(nullptr, name, nullptr);
    return found;
  }();
  return all[static_cast<std::size_t>(which)];
}

class openssl_digest final : public digest {
 public:
  explicit openssl_digest(const EVP_MD& how) : how_(how), context_(EVP_MD_CTX_new()) {
    if (!context_) throw std::bad_alloc();
  }
  void begin() override { check(EVP_DigestInit_ex2(context_.get(), &how_, nullptr)); }
  void add(std::span<const std::byte> bytes) override {
    check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
  }
  digest_value end() override {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    check(EVP_DigestFinal_ex(context_.get(), bytes, &length));
    return digest_value({bytes, length});
  }

 private:
  static void check(int ok) {
    if (ok != 1) throw std::runtime_error("OpenSSL failed to compute a digest");
  }
  struct release {
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
  };
  const EVP_MD& how_;
  std::unique_ptr<EVP_MD_CTX, release> context_;
};

// ---- xxHash --------------------------------------------------------------------------------------------------------

class xxh64_digest final : public digest {
 public:
  xxh64_digest() : state_(XXH64_createState()) {
    if (!state_) throw std::bad_alloc();
  }
  void begin() override { XXH64_reset(state_.get(), 0); }
  void add(std::span<const std::byte> bytes) override { XXH64_update(state_.get(), bytes.data(), bytes.size()); }
  digest_value end() override {
    XXH64_canonical_t canonical;
    XXH64_canonicalFromHash(&canonical, XXH64_digest(state_.get()));
    return digest_value(canonical.digest);
  }

 private:
  struct release {
    void operator()(XXH64_state_t* state) const noexcept { XXH64_freeState(state); }
  };
  std::unique_ptr<XXH64_state_t, release> state_;
};

class xxh3_digest final : public digest {
 public:
  explicit xxh3_digest(bool wide) : wide_(wide), state_(XXH3_createState()) {
    if (!state_) throw std::bad_alloc();
  }
  void begin() override { wide_ ? XXH3_128bits_reset(state_.get()) : XXH3_64bits_reset(state_.get()); }
  void add(std::span<const std::byte> bytes) override {
    wide_ ? XXH3_128bits_update(state_.get(), bytes.data(), bytes.size())
          : XXH3_64bits_update(state_.get(), bytes.data(), bytes.size());
  }
  digest_value end() override {
    if (wide_) {
      XXH128_canonical_t canonical;
      XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
      return digest_value(canonical.digest);
    }
    XXH64_canonical_t canonical;
    XXH64_canonicalFromHash(&canonical, XXH3_64bits_digest(state_.get()));
    return digest_value(canonical.digest);
  }

 private:
  struct release {
    void operator()(XXH3_state_t* state) const noexcept { XXH3_freeState(state); }
  };
  const bool wide_;
  std::unique_ptr<XXH3_state_t, release> state_;
};

// ---- CRC-32C -------------------------------------------------------------------------------------------------------

constexpr std::uint32_t castagnoli = 0x82f63b78;  // bits reversed, as the checksum is

// The product of two polynomials modulo Castagnoli's; bit 31 is the coefficient of x^0.
constexpr std::uint32_t times(std::uint32_t a, std::uint32_t b) noexcept {
  std::uint32_t product = 0;
  for (std::uint32_t bit = 1u << 31; bit != 0; bit >>= 1) {
    if ((a & bit) != 0) product ^= b;
    b = (b & 1u) != 0 ? (b >> 1) ^ castagnoli : b >> 1;
  }
  return product;
}

class crc32c_digest final : public digest {
 public:
  void begin() override { value_ = ~0u; }
  void add(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const auto piece = bytes.first(std::min(bytes.size(), most_at_once));
      // The library takes a pointer to non-const and only reads.
      auto* data = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(piece.data()));
      value_ = crc32_iscsi(data, static_cast<int>(piece.size()), value_);
      bytes = bytes.subspan(piece.size());
    }
  }
  // A zero byte multiplies the register by x^8, so n of them do by its n-th power.
  void add_zeros(std::uint64_t count) override {
    std::uint32_t power = 1u << 23;  // x^8
    for (; count != 0; count >>= 1) {
      if ((count & 1u) != 0) value_ = times(value_, power);
      power = times(power, power);
    }
  }
  digest_value end() override {
    const std::uint32_t last = ~value_;
    const unsigned char bytes[] = {static_cast<unsigned char>(last >> 24), static_cast<unsigned char>(last >> 16),
                                   static_cast<unsigned char>(last >> 8), static_cast<unsigned char>(last)};
    return digest_value(bytes);
  }

 private:
  std::uint32_t value_ = 0;
};

}  // namespace

digest_value::digest_value(std::span<const unsigned char> from) : size(from.size()) {
  std::ranges::copy(from, bytes.begin());
}

std::string digest_value::hexadecimal() const {
  std::string text;
  append_hexadecimal(text);
  return text;
}

void digest_value::append_hexadecimal(std::string& to) const {
  static constexpr char digits[] = "0123456789abcdef";
  std::array<char, 2 * most_digest_bytes> text;
  for (std::size_t i = 0; i < size; ++i) {
    text[2 * i] = digits[bytes[i] >> 4];
    text[2 * i + 1] = digits[bytes[i] & 15];
  }
  to.append(text.data(), 2 * size);
}

void digest::add_zeros(std::uint64_t count) {
  while (count > 0) {
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(count, zeros.size()));
    add(std::span(zeros).first(piece));
    count -= piece;
  }
}

bool available(algorithm which) noexcept {
  if (which == algorithm::blake3) return has_blake3;
  return openssl_name(which) == nullptr || fetched(which) != nullptr;
}

std::unique_ptr<digest> digest::make(algorithm which) {
  switch (which) {
    case algorithm::blake3: return make_blake3();
    case algorithm::xxh64: return std::make_unique<xxh64_digest>();
    case algorithm::xxh3: return std::make_unique<xxh3_digest>(false);
    case algorithm::xxh128: return std::make_unique<xxh3_digest>(true);
    case algorithm::crc32c: return std::make_unique<crc32c_digest>();
    default: break;
  }
  if (sha_digest::computes(which)) return std::make_unique<sha_digest>(which);
  const EVP_MD* const how = fetched(which);
  if (how == nullptr) throw std::runtime_error("OpenSSL offers no " + std::string(describe(which).tag) + " here");
  return std::make_unique<openssl_digest>(*how);
}

}  // namespace tool
