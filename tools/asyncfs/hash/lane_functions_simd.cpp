// Compiled once for each width of vector registers, with the flags that let the compiler use them: see meson.build.
//
// Nothing but types may be included: an inline function that is compiled here could be the one that the linker keeps for
// the whole program, and then run on a CPU without such registers.
#include <cstddef>
#include <cstdint>
#include <utility>

#include "hash/sha_constants.hpp"

#ifdef __AVX512BW__
#include <immintrin.h>
#define LANES_SHA1 asyncfs_sha1_lanes_512
#define LANES_SHA256 asyncfs_sha256_lanes_512
#define LANES_SHA512 asyncfs_sha512_lanes_512
#else
#define LANES_SHA1 asyncfs_sha1_lanes_256
#define LANES_SHA256 asyncfs_sha256_lanes_256
#define LANES_SHA512 asyncfs_sha512_lanes_256
#endif

namespace {

#ifdef __AVX512BW__
constexpr std::size_t register_bytes = 64;
#else
constexpr std::size_t register_bytes = 32;
#endif

constexpr std::size_t block_words = 16;

template <class Word>
struct constants {
  Word of_round[80];
  constexpr constants() : of_round() {
    for (int i = 0; i < 80; ++i) of_round[i] = static_cast<Word>(tool::cube_roots[i] >> (64 - 8 * sizeof(Word)));
  }
};
template <class Word>
constexpr constants<Word> round_constants;

// How far each of the four functions rotates; a schedule's last is a shift.
struct sha256 {
  using word = std::uint32_t;
  static constexpr std::size_t state_words = 8;
  static constexpr int rounds = 64;
  static constexpr int of_a[] = {2, 13, 22}, of_e[] = {6, 11, 25}, of_old[] = {7, 18, 3}, of_new[] = {17, 19, 10};
};
struct sha512 {
  using word = std::uint64_t;
  static constexpr std::size_t state_words = 8;
  static constexpr int rounds = 80;
  static constexpr int of_a[] = {28, 34, 39}, of_e[] = {14, 18, 41}, of_old[] = {1, 8, 7}, of_new[] = {19, 61, 6};
};
struct sha1 {
  using word = std::uint32_t;
  static constexpr std::size_t state_words = 5;
};

using byte_vector [[gnu::vector_size(register_bytes)]] = unsigned char;

// One word of every lane.
template <class Word>
struct lanes_of {
  using vector [[gnu::vector_size(register_bytes)]] = Word;
  static constexpr std::size_t count = register_bytes / sizeof(Word);
  static constexpr int bits = 8 * sizeof(Word);

  static vector rotated(vector x, int right) { return (x >> right) | (x << (bits - right)); }

#ifdef __AVX512BW__
  // Any function of three bits is one instruction; the number is its table.
  template <int table>
  static vector three(vector a, vector b, vector c) {
    return reinterpret_cast<vector>(_mm512_ternarylogic_epi32(
        reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b), reinterpret_cast<__m512i>(c), table));
  }
  static vector parity(vector a, vector b, vector c) { return three<0x96>(a, b, c); }
  static vector choice(vector a, vector b, vector c) { return three<0xca>(a, b, c); }
  static vector majority(vector a, vector b, vector c) { return three<0xe8>(a, b, c); }
#else
  static vector parity(vector a, vector b, vector c) { return a ^ b ^ c; }
  static vector choice(vector a, vector b, vector c) { return c ^ (a & (b ^ c)); }
  static vector majority(vector a, vector b, vector c) { return (a & b) | (c & (a | b)); }
#endif

  template <std::size_t... I>
  static vector from_big_endian(vector x, std::index_sequence<I...>) {
    const auto bytes = reinterpret_cast<byte_vector>(x);
    return reinterpret_cast<vector>(__builtin_shufflevector(bytes, bytes, (I ^ (sizeof(Word) - 1))...));
  }
  // The first halves of two vectors, and the second ones, a word of each in turn.
  template <std::size_t... I>
  static vector first_halves(vector a, vector b, std::index_sequence<I...>) {
    return __builtin_shufflevector(a, b, (I / 2 + I % 2 * count)...);
  }
  template <std::size_t... I>
  static vector second_halves(vector a, vector b, std::index_sequence<I...>) {
    return __builtin_shufflevector(a, b, (count / 2 + I / 2 + I % 2 * count)...);
  }

  // A block of every message: from one message a row to one word of all messages a row.
  static void load(const unsigned char* const* in, std::size_t offset, vector (&words)[block_words]) {
    for (std::size_t at = 0; at < block_words; at += count) {
      vector rows[count];
      for (std::size_t i = 0; i < count; ++i) {
        __builtin_memcpy(&rows[i], in[i] + offset + at * sizeof(Word), register_bytes);
        rows[i] = from_big_endian(rows[i], std::make_index_sequence<register_bytes>());
      }
      for (std::size_t step = 1; step < count; step *= 2) {
        vector next[count];
        for (std::size_t i = 0; i < count / 2; ++i) {
          next[2 * i] = first_halves(rows[i], rows[i + count / 2], std::make_index_sequence<count>());
          next[2 * i + 1] = second_halves(rows[i], rows[i + count / 2], std::make_index_sequence<count>());
        }
        for (std::size_t i = 0; i < count; ++i) rows[i] = next[i];
      }
      for (std::size_t i = 0; i < count; ++i) words[at + i] = rows[i];
    }
  }
};

// What a round adds is put together such that as little as possible waits for the round before.
template <class Hash, class Vector>
void add_block(Vector (&state)[Hash::state_words], Vector (&w)[block_words]) {
  using word = typename Hash::word;
  using lanes = lanes_of<word>;
  const auto turned = [](Vector x, const int(&by)[3]) {
    return lanes::parity(lanes::rotated(x, by[0]), lanes::rotated(x, by[1]), lanes::rotated(x, by[2]));
  };
  const auto scheduled = [](Vector x, const int(&by)[3]) {
    return lanes::parity(lanes::rotated(x, by[0]), lanes::rotated(x, by[1]), x >> by[2]);
  };
  Vector v[8];
  for (int i = 0; i < 8; ++i) v[i] = state[i];
  for (int begin = 0; begin < Hash::rounds; begin += 16) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      if (begin > 0)
        w[i] += scheduled(w[(i + 1) % 16], Hash::of_old) + w[(i + 9) % 16] + scheduled(w[(i + 14) % 16], Hash::of_new);
      // The eight variables move on by one place a round.
      const auto place = [i](int which) { return static_cast<unsigned>(which - i) % 8; };
      const Vector a = v[place(0)], b = v[place(1)], c = v[place(2)], e = v[place(4)], f = v[place(5)], g = v[place(6)];
      const Vector base = v[place(7)] + (w[i] + round_constants<word>.of_round[begin + i]);
      const Vector fresh = turned(e, Hash::of_e) + lanes::choice(e, f, g);
      const Vector above = base + (turned(a, Hash::of_a) + lanes::majority(a, b, c));
      v[place(3)] = (v[place(3)] + base) + fresh;
      v[place(7)] = above + fresh;
    }
  }
  for (int i = 0; i < 8; ++i) state[i] += v[i];
}

template <>
void add_block<sha1>(lanes_of<std::uint32_t>::vector (&state)[5], lanes_of<std::uint32_t>::vector (&w)[block_words]) {
  using lanes = lanes_of<std::uint32_t>;
  using vector = lanes::vector;
  vector a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
  const auto twenty = [&](int first, std::uint32_t constant, auto function) {
#pragma GCC unroll 20
    for (int i = 0; i < 20; ++i) {
      const int t = first + i;
      if (t >= 16)
        w[t % 16] = lanes::rotated(lanes::parity(w[(t + 13) % 16], w[(t + 8) % 16], w[(t + 2) % 16]) ^ w[t % 16], 31);
      const vector next = (e + (w[t % 16] + constant)) + function(b, c, d) + lanes::rotated(a, 27);
      e = d;
      d = c;
      c = lanes::rotated(b, 2);
      b = a;
      a = next;
    }
  };
  twenty(0, 0x5a827999, lanes::choice);
  twenty(20, 0x6ed9eba1, lanes::parity);
  twenty(40, 0x8f1bbcdc, lanes::majority);
  twenty(60, 0xca62c1d6, lanes::parity);
  state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

template <class Hash>
void add_blocks(void* state, const unsigned char* const* in, std::size_t blocks) {
  using lanes = lanes_of<typename Hash::word>;
  using vector = typename lanes::vector;
  auto* const kept = static_cast<vector*>(state);
  vector now[Hash::state_words], words[block_words];
  for (std::size_t i = 0; i < Hash::state_words; ++i) now[i] = kept[i];
  for (std::size_t block = 0; block < blocks; ++block) {
    lanes::load(in, block * block_words * sizeof(typename Hash::word), words);
    add_block<Hash>(now, words);
  }
  for (std::size_t i = 0; i < Hash::state_words; ++i) kept[i] = now[i];
}

}  // namespace

extern "C" {
void LANES_SHA1(void* state, const unsigned char* const* in, std::size_t blocks) {
  add_blocks<sha1>(state, in, blocks);
}
void LANES_SHA256(void* state, const unsigned char* const* in, std::size_t blocks) {
  add_blocks<sha256>(state, in, blocks);
}
void LANES_SHA512(void* state, const unsigned char* const* in, std::size_t blocks) {
  add_blocks<sha512>(state, in, blocks);
}
}
