// SHA-256 of four messages in turns, by the CPU's instructions for it (SHA extensions).
//
// One message is bound by how long sha256rnds2 takes, four cycles, and not by how often it can begin, every second: one
// after the other come to 1.8 GB/s where two side by side come to 2.5, three to 2.9 and four to 3.0.
//
// Nothing but types and data may be included: see lane_functions_simd.cpp.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "hash/sha_constants.hpp"

namespace {

constexpr std::size_t messages = 4, block_bytes = 64;

struct constants {
  alignas(16) std::uint32_t of_round[64];
  constexpr constants() : of_round() {
    for (int i = 0; i < 64; ++i) of_round[i] = static_cast<std::uint32_t>(tool::cube_roots[i] >> 32);
  }
};
constexpr constants round_constants;

__m128i load(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }

// One word of all messages a row becomes four words of one message a row, and the other way round.
void transpose(__m128i (&rows)[4]) {
  const __m128i ab_low = _mm_unpacklo_epi32(rows[0], rows[1]), cd_low = _mm_unpacklo_epi32(rows[2], rows[3]);
  const __m128i ab_high = _mm_unpackhi_epi32(rows[0], rows[1]), cd_high = _mm_unpackhi_epi32(rows[2], rows[3]);
  rows[0] = _mm_unpacklo_epi64(ab_low, cd_low);
  rows[1] = _mm_unpackhi_epi64(ab_low, cd_low);
  rows[2] = _mm_unpacklo_epi64(ab_high, cd_high);
  rows[3] = _mm_unpackhi_epi64(ab_high, cd_high);
}

}  // namespace

extern "C" void asyncfs_sha256_lanes_sha(void* state, const unsigned char* const* in, std::size_t blocks) {
  auto* const kept = static_cast<__m128i*>(state);
  __m128i dcba[messages], hgfe[messages];
  for (std::size_t i = 0; i < 4; ++i) {
    dcba[i] = kept[i];
    hgfe[i] = kept[4 + i];
  }
  transpose(dcba);
  transpose(hgfe);
  // As the instructions want the state.
  __m128i abef[messages], cdgh[messages];
  for (std::size_t j = 0; j < messages; ++j) {
    const __m128i cdab = _mm_shuffle_epi32(dcba[j], 0xB1), efgh = _mm_shuffle_epi32(hgfe[j], 0x1B);
    abef[j] = _mm_alignr_epi8(cdab, efgh, 8);
    cdgh[j] = _mm_blend_epi16(efgh, cdab, 0xF0);
  }
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
  for (std::size_t block = 0; block < blocks; ++block) {
    __m128i words[messages][4], abef_before[messages], cdgh_before[messages];
    for (std::size_t j = 0; j < messages; ++j) {
      abef_before[j] = abef[j];
      cdgh_before[j] = cdgh[j];
    }
#pragma GCC unroll 16
    for (std::size_t r = 0; r < 16; ++r) {
#pragma GCC unroll 4
      for (std::size_t j = 0; j < messages; ++j) {
        __m128i* const w = words[j];
        if (r < 4) {
          w[r] = _mm_shuffle_epi8(load(in[j] + block * block_bytes + 16 * r), big_endian);
        } else {
          __m128i next = _mm_sha256msg1_epu32(w[r % 4], w[(r + 1) % 4]);
          next = _mm_add_epi32(next, _mm_alignr_epi8(w[(r + 3) % 4], w[(r + 2) % 4], 4));
          w[r % 4] = _mm_sha256msg2_epu32(next, w[(r + 3) % 4]);
        }
        const __m128i sum = _mm_add_epi32(w[r % 4], load(round_constants.of_round + 4 * r));
        cdgh[j] = _mm_sha256rnds2_epu32(cdgh[j], abef[j], sum);
        abef[j] = _mm_sha256rnds2_epu32(abef[j], cdgh[j], _mm_shuffle_epi32(sum, 0x0E));
      }
    }
    for (std::size_t j = 0; j < messages; ++j) {
      abef[j] = _mm_add_epi32(abef[j], abef_before[j]);
      cdgh[j] = _mm_add_epi32(cdgh[j], cdgh_before[j]);
    }
  }
  for (std::size_t j = 0; j < messages; ++j) {
    const __m128i feba = _mm_shuffle_epi32(abef[j], 0x1B), dchg = _mm_shuffle_epi32(cdgh[j], 0xB1);
    dcba[j] = _mm_blend_epi16(feba, dchg, 0xF0);
    hgfe[j] = _mm_alignr_epi8(dchg, feba, 8);
  }
  transpose(dcba);
  transpose(hgfe);
  for (std::size_t i = 0; i < 4; ++i) {
    kept[i] = dcba[i];
    kept[4 + i] = hgfe[i];
  }
}
