// BLAKE3, from its authors' C library, and its tree opened up: the subtrees of one long stream may be digested by many
// threads, in any order, and joined by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "hash/digest.hpp"

namespace tool {

#ifdef ASYNCFS_HAS_BLAKE3
inline constexpr bool has_blake3 = true;
#else
inline constexpr bool has_blake3 = false;
#endif
// Whether subtrees can be had: only when the library is built from its sources, since their names are its private ones.
#ifdef ASYNCFS_HAS_BLAKE3_TREE
inline constexpr bool has_blake3_tree = true;
#else
inline constexpr bool has_blake3_tree = false;
#endif

// Throws std::runtime_error without BLAKE3.
[[nodiscard]] std::unique_ptr<digest> make_blake3();

// The two chaining values at the top of a subtree: its root may turn out to be the tree's own, so it is not computed.
struct blake3_subtree {
  static constexpr std::size_t leaf_bytes = 1024;
  std::array<std::uint8_t, 64> top{};
};

// Of `bytes`, 2^n leaves of a stream with n > 0, that begin at `offset`, a multiple of their size. Any thread.
[[nodiscard]] blake3_subtree blake3_digest_subtree(std::span<const std::byte> bytes, std::uint64_t offset);

// Joins subtrees of equal size, given in order, and then what is left of the stream, into its digest.
class blake3_joiner {
 public:
  blake3_joiner();
  ~blake3_joiner();
  void add(const blake3_subtree& next, std::uint64_t bytes);
  void add_rest(std::span<const std::byte> bytes);
  [[nodiscard]] digest_value end();

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace tool
