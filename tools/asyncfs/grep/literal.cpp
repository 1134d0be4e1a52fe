#include "grep/literal.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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

std::size_t literal_finder::find(std::string_view text, std::size_t from) const noexcept {
  const std::size_t length = needle_.size();
  if (text.size() < length || from > text.size() - length) return std::string_view::npos;
  const std::size_t last = text.size() - length;  // the last place it can begin
  std::size_t at = from;
#if defined(__SSE2__)
  constexpr std::size_t lanes = 16;
  const __m128i wanted_first = _mm_set1_epi8(needle_[first_]);
  const __m128i wanted_second = _mm_set1_epi8(needle_[second_]);
  const char* const base = text.data();
  // Loads end inside the text: the byte at `second_` of the last lane is at most text[last + second_].
  for (; at + lanes - 1 <= last; at += lanes) {
    const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(base + at + first_));
    const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(base + at + second_));
    auto hits = static_cast<unsigned>(_mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(a, wanted_first), _mm_cmpeq_epi8(b, wanted_second))));
    for (; hits != 0; hits &= hits - 1) {
      const std::size_t candidate = at + static_cast<std::size_t>(__builtin_ctz(hits));
      if (std::memcmp(base + candidate, needle_.data(), length) == 0) return candidate;
    }
  }
#endif
  const void* found = ::memmem(text.data() + at, text.size() - at, needle_.data(), length);
  return found == nullptr ? std::string_view::npos : static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

}  // namespace tool
