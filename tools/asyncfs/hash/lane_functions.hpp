// The compression functions of SHA-1 and SHA-2, of many messages side by side: one in each lane of a vector register.
//
// The functions are compiled once for each width of registers, and once for the instructions that are made for SHA-256;
// `here` says which this CPU can run.
#pragma once

#include <cstddef>
#include <span>

#include "hash/sha.hpp"

namespace tool {

// Adds `blocks` blocks from in[i] to the state of lane i. `state` holds the first word of all lanes, then the second of
// all, and so on, in words of the family's size; it is aligned to the register.
using lane_function = void (*)(void* state, const unsigned char* const* in, std::size_t blocks);

// A part of the CPU that runs such a function.
struct lane_unit {
  std::size_t register_bytes;
  lane_function run;

  static constexpr std::size_t widest_register = 64;
  // Of the unit that has instructions for SHA-256 itself.
  static constexpr std::size_t instructions_register = 16;
  // Those of this CPU, the widest first; none where nothing is compiled for it.
  [[nodiscard]] static std::span<const lane_unit> here(sha_family family);
  // Whether the CPU has instructions for SHA-1 and SHA-256.
  [[nodiscard]] static bool cpu_has_sha_instructions() noexcept;
};

}  // namespace tool
