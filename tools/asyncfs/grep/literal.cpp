#include "grep/literal.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>
#include <cstring>

namespace tool {

namespace {

// How common a byte is in source code and prose, roughly: the higher, the worse to look for.
constexpr std::array<unsigned char, 256> commonness = [] {
  std::array<unsigned char, 256> rank{};
  for (auto& r : rank) r = 20;
  rank[0] = 200;
  constexpr std::string_view common = " etaoinsrlcdu_pmfh\t\ngb,;()vwky.-=*/>x01&\"2{}[]3E:ASTIRCNDLOPqjz";
  unsigned char r = 255;
  for (const char c : common) rank[static_cast<unsigned char>(c)] = r -= 3;
  return rank;
}();

}  // namespace

literal_finder::literal_finder(std::string needle) : needle_(std::move(needle)) {
  const auto rank = [this](std::size_t i) { return commonness[static_cast<unsigned char>(needle_[i])]; };
  std::size_t rarest = 0, next = needle_.size() > 1 ? 1 : 0;
  if (rank(next) < rank(rarest)) std::swap(rarest, next);
  for (std::size_t i = 2; i < needle_.size(); ++i) {
    if (rank(i) < rank(rarest)) {
      next = rarest;
      rarest = i;
    } else if (rank(i) < rank(next) && needle_[i] != needle_[rarest]) {
      next = i;
    }
  }
  first_ = std::min(rarest, next);
  second_ = std::max(rarest, next);
}

#if defined(__x86_64__)

namespace {

// Both look at `lanes` places at once, as long as all of their bytes lie inside the text, which `last` tells: the last
// place where the needle can begin. They return the first occurrence, or where they stopped looking.
struct search {
  const char* text;
  std::string_view needle;
  std::size_t first, second, last;

  [[nodiscard]] bool is_at(std::size_t place) const noexcept {
    return std::memcmp(text + place, needle.data(), needle.size()) == 0;
  }
};

[[gnu::target("avx2")]] std::size_t skip_avx2(const search& s, std::size_t at, bool& found) noexcept {
  constexpr std::size_t lanes = 32;
  const __m256i first = _mm256_set1_epi8(s.needle[s.first]), second = _mm256_set1_epi8(s.needle[s.second]);
  for (; at + lanes - 1 <= s.last; at += lanes) {
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(s.text + at + s.first));
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(s.text + at + s.second));
    auto hits = static_cast<unsigned>(
        _mm256_movemask_epi8(_mm256_and_si256(_mm256_cmpeq_epi8(a, first), _mm256_cmpeq_epi8(b, second))));
    for (; hits != 0; hits &= hits - 1) {
      const std::size_t place = at + static_cast<std::size_t>(__builtin_ctz(hits));
      found = s.is_at(place);
      if (found) return place;
    }
  }
  return at;
}

std::size_t skip_sse2(const search& s, std::size_t at, bool& found) noexcept {
  constexpr std::size_t lanes = 16;
  const __m128i first = _mm_set1_epi8(s.needle[s.first]), second = _mm_set1_epi8(s.needle[s.second]);
  for (; at + lanes - 1 <= s.last; at += lanes) {
    const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(s.text + at + s.first));
    const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(s.text + at + s.second));
    auto hits =
        static_cast<unsigned>(_mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(a, first), _mm_cmpeq_epi8(b, second))));
    for (; hits != 0; hits &= hits - 1) {
      const std::size_t place = at + static_cast<std::size_t>(__builtin_ctz(hits));
      found = s.is_at(place);
      if (found) return place;
    }
  }
  return at;
}

}  // namespace

#endif

std::size_t literal_finder::find(std::string_view text, std::size_t from) const noexcept {
  const std::size_t length = needle_.size();
  if (text.size() < length || from > text.size() - length) return std::string_view::npos;
  std::size_t at = from;
#if defined(__x86_64__)
  static const bool wide = __builtin_cpu_supports("avx2") != 0;
  const search s{text.data(), needle_, first_, second_, text.size() - length};
  bool found = false;
  at = wide ? skip_avx2(s, at, found) : skip_sse2(s, at, found);
  if (found) return at;
#endif
  const void* rest = ::memmem(text.data() + at, text.size() - at, needle_.data(), length);
  return rest == nullptr ? std::string_view::npos
                         : static_cast<std::size_t>(static_cast<const char*>(rest) - text.data());
}

}  // namespace tool
