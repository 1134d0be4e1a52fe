#include "hash/digest.hpp"

#include <openssl/evp.h>
#include <xxhash.h>

#include <new>
#include <stdexcept>

namespace tool {

namespace {

std::string hexadecimal(std::span<const unsigned char> bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text(bytes.size() * 2, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    text[2 * i] = digits[bytes[i] >> 4];
    text[2 * i + 1] = digits[bytes[i] & 15];
  }
  return text;
}

// Fetched once: looking an algorithm up costs five times as much as starting it.
const EVP_MD& fetched_sha256() {
  static const EVP_MD* const found = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  if (found == nullptr) throw std::runtime_error("OpenSSL offers no SHA256");
  return *found;
}

class sha256_digest final : public digest {
 public:
  sha256_digest() : context_(EVP_MD_CTX_new()) {
    if (!context_) throw std::bad_alloc();
  }
  void begin() override { check(EVP_DigestInit_ex2(context_.get(), &fetched_sha256(), nullptr)); }
  void add(std::span<const std::byte> bytes) override {
    check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
  }
  std::string end() override {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    check(EVP_DigestFinal_ex(context_.get(), bytes, &length));
    return hexadecimal({bytes, length});
  }

 private:
  static void check(int ok) {
    if (ok != 1) throw std::runtime_error("OpenSSL failed to compute a digest");
  }
  struct release {
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, release> context_;
};

class xxh128_digest final : public digest {
 public:
  xxh128_digest() : state_(XXH3_createState()) {
    if (!state_) throw std::bad_alloc();
  }
  void begin() override { XXH3_128bits_reset(state_.get()); }
  void add(std::span<const std::byte> bytes) override { XXH3_128bits_update(state_.get(), bytes.data(), bytes.size()); }
  std::string end() override {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
    return hexadecimal(canonical.digest);
  }

 private:
  struct release {
    void operator()(XXH3_state_t* state) const noexcept { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, release> state_;
};

}  // namespace

std::optional<algorithm> parse_algorithm(std::string_view name) {
  if (name == "sha256") return algorithm::sha256;
  if (name == "xxh128") return algorithm::xxh128;
  return std::nullopt;
}

std::unique_ptr<digest> digest::make(algorithm which) {
  if (which == algorithm::xxh128) return std::make_unique<xxh128_digest>();
  return std::make_unique<sha256_digest>();
}

}  // namespace tool
