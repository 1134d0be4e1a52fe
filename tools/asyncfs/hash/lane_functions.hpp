// The compression functions of SHA-1 and SHA-2, of many messages side by side: one in each lane of a vector register.
//
// The functions are compiled once for each width of registers; `here` says which this CPU can run.
#pragma once

#include <cstddef>
#include <span>

#include "hash/sha.hpp"

namespace tool {

// Adds `blocks` blocks from in[i] to the state of lane i. `state` holds the first word of all lanes, then the second of
// all, and so on, in words of the family's size; it is aligned to the register.
using lane_function = void (*)(void* state, const unsigned char* const* in, std::size_t blocks);

struct lane_functions {
  std::size_t register_bytes;
  lane_function sha1, sha256, sha512;

  static constexpr std::size_t widest_register = 64;
  // Those that this CPU can run, the widest first; none where nothing is compiled for it.
  [[nodiscard]] static std::span<const lane_functions> here();
  // Whether the CPU has instructions for SHA-1 and SHA-256.
  [[nodiscard]] static bool cpu_has_sha_instructions() noexcept;
  [[nodiscard]] lane_function of(sha_family family) const noexcept;
};

}  // namespace tool
