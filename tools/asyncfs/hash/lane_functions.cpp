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
}
#endif

namespace tool {

#ifdef ASYNCFS_HAS_LANES

std::span<const lane_functions> lane_functions::here() {
  static const auto found = [] {
    std::vector<lane_functions> all;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
      all.push_back({64, asyncfs_sha1_lanes_512, asyncfs_sha256_lanes_512, asyncfs_sha512_lanes_512});
    if (__builtin_cpu_supports("avx2"))
      all.push_back({32, asyncfs_sha1_lanes_256, asyncfs_sha256_lanes_256, asyncfs_sha512_lanes_256});
    return all;
  }();
  return found;
}

bool lane_functions::cpu_has_sha_instructions() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
}

#else

std::span<const lane_functions> lane_functions::here() { return {}; }
bool lane_functions::cpu_has_sha_instructions() noexcept { return false; }

#endif

lane_function lane_functions::of(sha_family family) const noexcept {
  switch (family) {
    case sha_family::sha1: return sha1;
    case sha_family::sha256: return sha256;
    case sha_family::sha512: return sha512;
  }
  std::unreachable();
}

}  // namespace tool
