#include "hash/blake3.hpp"

#include <bit>
#include <cstring>
#include <stdexcept>

#ifdef ASYNCFS_HAS_BLAKE3
#include <blake3.h>
#endif
#ifdef ASYNCFS_HAS_BLAKE3_TREE
// As the library's blake3_impl.h declares it: the compression function, which is no part of its public interface.
extern "C" void blake3_compress_in_place(std::uint32_t cv[8], const std::uint8_t block[BLAKE3_BLOCK_LEN],
                                         std::uint8_t block_len, std::uint64_t counter, std::uint8_t flags);
#endif

namespace tool {

#ifdef ASYNCFS_HAS_BLAKE3

namespace {

digest_value finished(const blake3_hasher& hasher) {
  std::array<std::uint8_t, BLAKE3_OUT_LEN> bytes;
  blake3_hasher_finalize(&hasher, bytes.data(), bytes.size());
  return digest_value(bytes);
}

class blake3_digest final : public digest {
 public:
  void begin() override { blake3_hasher_init(&hasher_); }
  void add(std::span<const std::byte> bytes) override { blake3_hasher_update(&hasher_, bytes.data(), bytes.size()); }
  digest_value end() override { return finished(hasher_); }

 private:
  blake3_hasher hasher_;
};

}  // namespace

std::unique_ptr<digest> make_blake3() { return std::make_unique<blake3_digest>(); }

#else

std::unique_ptr<digest> make_blake3() { throw std::runtime_error("this asyncfs was built without BLAKE3"); }

#endif

#ifdef ASYNCFS_HAS_BLAKE3_TREE

// The library's hasher holds a stack of chaining values, one for each complete subtree to the left of where it is; the
// layout is fixed by its public header. A subtree that begins elsewhere than at 0 is digested by a hasher which is told
// so by its leaf counter.
blake3_subtree blake3_digest_subtree(std::span<const std::byte> bytes, std::uint64_t offset) {
  blake3_hasher hasher;
  blake3_hasher_init(&hasher);
  hasher.chunk.chunk_counter = offset / BLAKE3_CHUNK_LEN;
  blake3_hasher_update(&hasher, bytes.data(), bytes.size());
  if (hasher.cv_stack_len != 2) throw std::logic_error("BLAKE3: these bytes are no aligned subtree");
  blake3_subtree made;
  std::memcpy(made.top.data(), hasher.cv_stack, made.top.size());
  return made;
}

struct blake3_joiner::state {
  blake3_hasher hasher;

  // Values are merged only when another follows them, since the last merge of all is the root's, and differs.
  void push(const std::uint8_t* value, std::uint64_t leaves_before) {
    constexpr std::uint8_t parent = 1 << 2;
    while (hasher.cv_stack_len > std::popcount(leaves_before)) {
      std::uint8_t* const both = &hasher.cv_stack[(hasher.cv_stack_len - 2) * BLAKE3_OUT_LEN];
      std::uint32_t merged[8];
      std::memcpy(merged, hasher.key, sizeof merged);
      blake3_compress_in_place(merged, both, BLAKE3_BLOCK_LEN, 0, parent);
      static_assert(std::endian::native == std::endian::little);
      std::memcpy(both, merged, sizeof merged);
      --hasher.cv_stack_len;
    }
    std::memcpy(&hasher.cv_stack[hasher.cv_stack_len * BLAKE3_OUT_LEN], value, BLAKE3_OUT_LEN);
    ++hasher.cv_stack_len;
  }
};

blake3_joiner::blake3_joiner() : state_(std::make_unique<state>()) { blake3_hasher_init(&state_->hasher); }
blake3_joiner::~blake3_joiner() = default;

void blake3_joiner::add(const blake3_subtree& next, std::uint64_t bytes) {
  const std::uint64_t before = state_->hasher.chunk.chunk_counter, leaves = bytes / BLAKE3_CHUNK_LEN;
  state_->push(next.top.data(), before);
  state_->push(next.top.data() + BLAKE3_OUT_LEN, before + leaves / 2);
  state_->hasher.chunk.chunk_counter = before + leaves;
}

void blake3_joiner::add_rest(std::span<const std::byte> bytes) {
  blake3_hasher_update(&state_->hasher, bytes.data(), bytes.size());
}

digest_value blake3_joiner::end() { return finished(state_->hasher); }

#else

blake3_subtree blake3_digest_subtree(std::span<const std::byte>, std::uint64_t) {
  throw std::logic_error("BLAKE3 has no subtrees in this build");
}
struct blake3_joiner::state {};
blake3_joiner::blake3_joiner() { throw std::logic_error("BLAKE3 has no subtrees in this build"); }
blake3_joiner::~blake3_joiner() = default;
void blake3_joiner::add(const blake3_subtree&, std::uint64_t) {}
void blake3_joiner::add_rest(std::span<const std::byte>) {}
digest_value blake3_joiner::end() { return {}; }

#endif

}  // namespace tool
