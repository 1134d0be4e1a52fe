#include "grep/matcher.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>
#include <stdexcept>

#include "grep/literal.hpp"

namespace tool {

namespace {

// The longest string that every match of an expression contains, as far as a look at its top level tells: runs of
// plain characters outside groups and classes, when there is no alternative at the top.
std::string required_literal(std::string_view text) {
  std::string best, run;
  const auto close = [&] {
    if (run.size() > best.size()) best = run;
    run.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    bool plain = false;
    switch (c) {
      case '|': return {};
      case '(': {  // skipped whole; options inside may change the meaning of what follows
        if (i + 1 < text.size() && (text[i + 1] == '?' || text[i + 1] == '*')) return {};
        int open = 0;
        for (; i < text.size(); ++i) {
          if (text[i] == '\\')
            ++i;
          else if (text[i] == '[')
            return best;  // brackets in a group may hide parentheses
          else if (text[i] == '(')
            ++open;
          else if (text[i] == ')' && --open == 0)
            break;
        }
        break;
      }
      case '[': {
        ++i;
        if (i < text.size() && text[i] == '^') ++i;
        if (i < text.size() && text[i] == ']') ++i;
        for (; i < text.size() && text[i] != ']'; ++i) {
          if (text[i] == '\\') ++i;
          if (text[i] == '[') return best;  // a POSIX class
        }
        break;
      }
      case '\\':
        if (++i >= text.size()) return {};
        c = text[i];
        if (c == 'Q' || c == 'E' || c == 'K' || c == 'G') return {};
        // Escaped punctuation is itself; the common classes and anchors consume no text that follows in the pattern.
        plain = std::ispunct(static_cast<unsigned char>(c)) != 0;
        if (!plain && std::strchr("bBsSdDwW", c) == nullptr) return best;
        break;
      case '.':
      case '^':
      case '$':
      case '*':
      case '+':
      case '?': break;
      case '{': break;
      default: plain = true;
    }
    // What may be absent, or repeated, ends the run before it; a single repeated character still stands once.
    const char after = i + 1 < text.size() ? text[i + 1] : '\0';
    if (plain && (after == '*' || after == '?' || after == '{')) {
      close();
    } else if (plain) {
      run += c;
      if (after == '+') close();
    } else {
      close();
    }
    if (c == '{' && !plain)
      while (i < text.size() && text[i] != '}') ++i;
  }
  close();
  return best;
}

// True when no part of the expression can match a line break, so that a whole buffer may be searched at once.
bool stays_in_line(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (static_cast<unsigned char>(c) < 0x20 ||
        (c == '[' && i + 1 < text.size() && (text[i + 1] == '^' || text[i + 1] == '[')))
      return false;
    if (c == '(' && i + 1 < text.size() && (text[i + 1] == '?' || text[i + 1] == '*')) return false;
    if (c != '\\') continue;
    if (++i >= text.size()) return false;
    if (std::ispunct(static_cast<unsigned char>(text[i])) == 0 && std::strchr("bBSdwt", text[i]) == nullptr)
      return false;
  }
  return true;
}

std::string explain(std::string_view text, int code, std::size_t offset) {
  PCRE2_UCHAR why[256] = {};
  pcre2_get_error_message(code, why, sizeof why);
  return fmt::format("cannot read the pattern: {}\n    {}\n    {}^", reinterpret_cast<const char*>(why), text,
                     std::string(std::min(offset, text.size()), ' '));
}

}  // namespace

struct pattern::compiled {
  pcre2_code* code = nullptr;
  std::optional<literal_finder> literal;
  bool literal_is_all = false;  // the literal found is the match
  bool whole_buffer = false;    // PCRE2 may search across lines
  ~compiled() { pcre2_code_free(code); }
};

pattern::pattern(std::string_view text, const matcher_options& options) : compiled_(std::make_unique<compiled>()) {
  std::uint32_t how = PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_MULTILINE;
  if (options.ignore_case) how |= PCRE2_CASELESS;
  if (options.fixed) {
    how = PCRE2_LITERAL | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | (options.ignore_case ? PCRE2_CASELESS : 0u);
    // In literal mode PCRE2 refuses a pattern that is no UTF-8; it is matched as bytes then.
  }
  auto* context = pcre2_compile_context_create(nullptr);
  pcre2_set_newline(context, PCRE2_NEWLINE_LF);
  int error = 0;
  std::size_t offset = 0;
  const auto compile = [&] {
    return pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), how, &error, &offset, context);
  };
  compiled_->code = compile();
  if (compiled_->code == nullptr && options.fixed) {
    how &= ~(PCRE2_UTF | PCRE2_MATCH_INVALID_UTF);
    compiled_->code = compile();
  }
  pcre2_compile_context_free(context);
  if (compiled_->code == nullptr) throw std::invalid_argument(explain(text, error, offset));
  pcre2_jit_compile(compiled_->code, PCRE2_JIT_COMPLETE);  // where there is no JIT the interpreter does the same

  const bool line_break = text.find('\n') != std::string_view::npos;
  if (line_break) throw std::invalid_argument("the pattern holds a line break, and lines are matched one at a time");
  compiled_->whole_buffer = options.fixed || stays_in_line(text);
  if (options.ignore_case) return;
  std::string literal = options.fixed ? std::string(text) : required_literal(text);
  if (literal.empty()) return;
  compiled_->literal_is_all = literal == text;
  compiled_->literal.emplace(std::move(literal));
}

pattern::~pattern() = default;

struct matcher::scratch {
  pcre2_match_data* data = nullptr;
  pcre2_match_context* context = nullptr;
  pcre2_jit_stack* stack = nullptr;
  ~scratch() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
};

namespace {
constexpr std::size_t jit_stack_first = std::size_t{32} << 10, jit_stack_most = std::size_t{1} << 20;
}

matcher::matcher(const pattern& what) : what_(what), scratch_(std::make_unique<scratch>()) {
  scratch_->data = pcre2_match_data_create(1, nullptr);
  scratch_->context = pcre2_match_context_create(nullptr);
  scratch_->stack = pcre2_jit_stack_create(jit_stack_first, jit_stack_most, nullptr);
  if (scratch_->data == nullptr || scratch_->context == nullptr) throw std::bad_alloc();
  pcre2_jit_stack_assign(scratch_->context, nullptr, scratch_->stack);
}

matcher::~matcher() = default;

matcher::outcome matcher::judge(std::string_view line) {
  const int found = pcre2_match(what_.compiled_->code, reinterpret_cast<PCRE2_SPTR>(line.data()), line.size(), 0, 0,
                                scratch_->data, scratch_->context);
  if (found >= 0) return outcome::found;
  return found == PCRE2_ERROR_NOMATCH ? outcome::none : outcome::limit;
}

matcher::outcome matcher::next(std::string_view lines, std::size_t from, line_span& line) {
  const pattern::compiled& what = *what_.compiled_;
  const auto enclose = [&](std::size_t at) {
    const void* before = at > from ? ::memrchr(lines.data() + from, '\n', at - from) : nullptr;
    const void* after = std::memchr(lines.data() + at, '\n', lines.size() - at);
    const auto place = [&](const void* p) {
      return static_cast<std::size_t>(static_cast<const char*>(p) - lines.data());
    };
    line = {before != nullptr ? place(before) + 1 : from, after != nullptr ? place(after) : lines.size()};
  };
  while (from < lines.size()) {
    if (what.literal) {
      const std::size_t at = what.literal->find(lines, from);
      if (at == std::string_view::npos) return outcome::none;
      enclose(at);
      if (what.literal_is_all) return outcome::found;
    } else if (what.whole_buffer) {
      const int found = pcre2_match(what.code, reinterpret_cast<PCRE2_SPTR>(lines.data()), lines.size(), from, 0,
                                    scratch_->data, scratch_->context);
      if (found == PCRE2_ERROR_NOMATCH) return outcome::none;
      if (found < 0) return outcome::limit;
      const std::size_t at = pcre2_get_ovector_pointer(scratch_->data)[0];
      // An empty match after the last line break belongs to no line.
      if (at >= lines.size() && lines.back() == '\n') return outcome::none;
      enclose(at);
    } else {
      enclose(from);
    }
    const outcome judged = judge(lines.substr(line.begin, line.end - line.begin));
    if (judged != outcome::none) return judged;
    from = line.end + 1;
  }
  return outcome::none;
}

matcher::outcome matcher::find_in(std::string_view line, std::size_t from, match_span& match) {
  const pattern::compiled& what = *what_.compiled_;
  if (what.literal_is_all) {
    const std::size_t at = what.literal->find(line, from);
    if (at == std::string_view::npos) return outcome::none;
    match = {at, at + what.literal->needle().size()};
    return outcome::found;
  }
  const int found = pcre2_match(what.code, reinterpret_cast<PCRE2_SPTR>(line.data()), line.size(), from, 0,
                                scratch_->data, scratch_->context);
  if (found == PCRE2_ERROR_NOMATCH) return outcome::none;
  if (found < 0) return outcome::limit;
  const PCRE2_SIZE* const place = pcre2_get_ovector_pointer(scratch_->data);
  // With \K a match may begin before the place it was looked for at, or end before it begins.
  match.end = std::max<std::size_t>(place[1], from);
  match.begin = std::clamp<std::size_t>(place[0], from, match.end);
  return outcome::found;
}

matcher::outcome matcher::next_match(std::string_view line, bool has_break, match_cursor& at, match_span& match) {
  while (at.from <= line.size()) {
    const outcome found = find_in(line, at.from, match);
    if (found != outcome::found) return found;
    const bool empty = match.begin == match.end;
    // A byte further, also inside a character: PCRE2 takes what is left of it for bytes that are no UTF-8.
    at.from = empty ? match.end + 1 : match.end;
    if (match.begin == line.size() && !has_break) break;
    if (empty && match.end == at.last_end) continue;
    at.last_end = match.end;
    return outcome::found;
  }
  return outcome::none;
}

}  // namespace tool
