#include "hash/lane_functions.hpp"

#include <utility>
#include <vector>

#ifdef ASYNCFS_HAS_LANES
#include <cpuid.h>

extern "C" {
void asyncfs_sha1_lanes_256(void* state, const unsigned char* const* in, std::size_t blocks);
void asyncfs_sha256_lanes_256(void* state, const unsigned char* const* in, std::size_t blocks);
void asyncfs_sha512_lanes_256(void* state, const unsigned char* const* in, std::size_t blocks);
void asyncfs_sha1_lanes_512(void* state, const unsigned char* const* in, std::size_t blocks);
void asyncfs_sha256_lanes_512(void* state, const unsigned char* const* in, std::size_t blocks);
void asyncfs_sha512_lanes_512(void* state, const unsigned char* const* in, std::size_t blocks);
void asyncfs_sha256_lanes_sha(void* state, const unsigned char* const* in, std::size_t blocks);
}
#endif

namespace tool {

#ifdef ASYNCFS_HAS_LANES

bool lane_unit::cpu_has_sha_instructions() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
}

namespace {

std::vector<lane_unit> units(lane_function wide, lane_function narrow, lane_function by_instructions) {
  std::vector<lane_unit> all;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
    all.push_back({lane_unit::widest_register, wide});
  if (__builtin_cpu_supports("avx2")) all.push_back({32, narrow});
  if (by_instructions != nullptr && lane_unit::cpu_has_sha_instructions() && __builtin_cpu_supports("sse4.1"))
    all.push_back({lane_unit::instructions_register, by_instructions});
  return all;
}

}  // namespace

std::span<const lane_unit> lane_unit::here(sha_family family) {
  static const auto sha1 = units(asyncfs_sha1_lanes_512, asyncfs_sha1_lanes_256, nullptr),
                    sha256 = units(asyncfs_sha256_lanes_512, asyncfs_sha256_lanes_256, asyncfs_sha256_lanes_sha),
                    sha512 = units(asyncfs_sha512_lanes_512, asyncfs_sha512_lanes_256, nullptr);
  switch (family) {
    case sha_family::sha1: return sha1;
    case sha_family::sha256: return sha256;
    case sha_family::sha512: return sha512;
  }
  std::unreachable();
}

#else

std::span<const lane_unit> lane_unit::here(sha_family) { return {}; }
bool lane_unit::cpu_has_sha_instructions() noexcept { return false; }

#endif

}  // namespace tool
