// Floor for `grep`: counts the matching lines of every file below the given directories, as `rg -uuu -c` does.
//
// usage: floor_grep PATTERN DIR... [--rings N] [--depth N] [--batch N] [--walkers N] [--literal 0|1] [--match 0|1]
//   --literal 0   never take the plain search for a pattern without metacharacters
//   --match 0     read only: the floor of reading a tree
#define PCRE2_CODE_UNIT_WIDTH 8
#include <immintrin.h>
#include <pcre2.h>

#include "floor_ring.hpp"

namespace {

// Finds a literal of two bytes or more: compares its first and its last byte at 32 places at once.
[[gnu::target("avx2")]] const char* find_avx2(const char* at, const char* end, std::string_view literal) {
  const std::size_t last = literal.size() - 1;
  const __m256i first_byte = _mm256_set1_epi8(literal.front()), last_byte = _mm256_set1_epi8(literal.back());
  for (; end - at >= static_cast<std::ptrdiff_t>(last + 32); at += 32) {
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + last));
    const __m256i both = _mm256_and_si256(_mm256_cmpeq_epi8(a, first_byte), _mm256_cmpeq_epi8(b, last_byte));
    for (auto mask = static_cast<unsigned>(_mm256_movemask_epi8(both)); mask; mask &= mask - 1) {
      const char* candidate = at + __builtin_ctz(mask);
      if (std::memcmp(candidate, literal.data(), literal.size()) == 0) return candidate;
    }
  }
  return at < end
             ? static_cast<const char*>(memmem(at, static_cast<std::size_t>(end - at), literal.data(), literal.size()))
             : nullptr;
}

const char* find_literal(const char* at, const char* end, std::string_view literal) {
  static const bool avx2 = __builtin_cpu_supports("avx2");
  if (avx2 && literal.size() >= 2) return find_avx2(at, end, literal);
  return static_cast<const char*>(memmem(at, static_cast<std::size_t>(end - at), literal.data(), literal.size()));
}

class Matcher {
 public:
  Matcher(const std::string& pattern, bool may_be_literal) {
    if (may_be_literal && pattern.find_first_of("\\^$.|?*+()[]{}") == pattern.npos) {
      literal_ = pattern;
      return;
    }
    int error;
    PCRE2_SIZE where;
    code_ = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                          PCRE2_MULTILINE | PCRE2_NEVER_UTF, &error, &where, nullptr);
    if (!code_ || pcre2_jit_compile(code_, PCRE2_JIT_COMPLETE) != 0) floors::die("pattern", EINVAL);
    data_ = pcre2_match_data_create(1, nullptr);
  }

  // Matching lines in [at, end), which holds whole lines.
  unsigned count(const char* at, const char* end) const {
    unsigned lines = 0;
    while (at < end) {
      const char* hit = find(at, end);
      if (!hit) break;
      ++lines;
      at = static_cast<const char*>(std::memchr(hit, '\n', static_cast<std::size_t>(end - hit)));
      if (!at) break;
      ++at;
    }
    return lines;
  }

 private:
  const char* find(const char* at, const char* end) const {
    if (!literal_.empty()) return find_literal(at, end, literal_);
    const int r = pcre2_jit_match(code_, reinterpret_cast<PCRE2_SPTR>(at), static_cast<PCRE2_SIZE>(end - at), 0, 0,
                                  data_, nullptr);
    if (r == PCRE2_ERROR_NOMATCH) return nullptr;
    if (r < 0) {
      ++floors::failures;  // a match limit is an error, never "no match"
      return nullptr;
    }
    return at + pcre2_get_ovector_pointer(data_)[0];
  }
  std::string literal_;
  pcre2_code* code_ = nullptr;
  pcre2_match_data* data_ = nullptr;
};

struct Grep {
  struct Slot : floors::Slot {
    std::size_t kept = 0;  // bytes of an unfinished line at the buffer's start
    unsigned lines = 0;    // matching lines so far
  };
  Matcher matcher;
  bool match;
  std::string output;

  void event(floors::Ring<Grep>& ring, Slot& slot, int result) {
    if (result < 0) {
      floors::fail("read", &slot.dir(), slot.name, -result);
      return ring.finish(slot);
    }
    const std::size_t room = ring.buffer_size() - slot.kept, n = static_cast<std::size_t>(result), have = slot.kept + n;
    slot.done += n;
    if (n == room) {
      // The buffer came back full: count its whole lines, keep the rest, read on.
      const char* newline = static_cast<const char*>(memrchr(slot.buffer, '\n', have));
      const std::size_t whole =
          newline ? static_cast<std::size_t>(newline + 1 - slot.buffer) : have;  // a huge line is cut here
      if (match) slot.lines += matcher.count(slot.buffer, slot.buffer + whole);
      slot.kept = have - whole;
      std::memmove(slot.buffer, slot.buffer + whole, slot.kept);
      return ring.read(slot, slot.kept);
    }
    // A short read of a regular file is its end.
    if (match) slot.lines += matcher.count(slot.buffer, slot.buffer + have);
    if (slot.lines) {
      output.append(slot.dir().path).append(slot.name).push_back(':');
      output.append(std::to_string(slot.lines)).push_back('\n');
    }
    ring.finish(slot);
  }
};

}  // namespace

int main(int argc, char** argv) {
  const floors::Flags flags(argc, argv);
  if (flags.positional.size() < 2) {
    std::fputs("usage: floor_grep PATTERN DIR... [--flag value]...\n", stderr);
    return 2;
  }
  const floors::Options options(flags);
  floors::Hooks hooks;
  floors::Tree tree(options, hooks);
  for (std::size_t i = 1; i < flags.positional.size(); ++i) tree.add_root(flags.positional[i]);
  std::vector<Grep> jobs;
  for (unsigned i = 0; i < options.rings; ++i)
    jobs.push_back({Matcher(flags.positional[0], flags.number("literal", 1)), flags.number("match", 1) != 0, {}});
  floors::run(tree, options, jobs);
  for (const Grep& job : jobs) std::fwrite(job.output.data(), 1, job.output.size(), stdout);
  return floors::failures ? 1 : 0;
}
