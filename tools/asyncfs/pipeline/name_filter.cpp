#include "pipeline/name_filter.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <new>
#include <ranges>
#include <stdexcept>

#include "quoting.hpp"

namespace tool {

namespace {

struct free_code {
  void operator()(pcre2_code* code) const noexcept { pcre2_code_free(code); }
};
struct free_converted {
  void operator()(PCRE2_UCHAR* text) const noexcept { pcre2_converted_pattern_free(text); }
};
struct free_match {
  void operator()(pcre2_match_data* match) const noexcept { pcre2_match_data_free(match); }
};

[[noreturn]] void refuse(const std::string& glob, int code) {
  PCRE2_UCHAR why[256] = {};
  pcre2_get_error_message(code, why, sizeof why);
  throw std::invalid_argument(fmt::format("{} is no glob: {}", shell_quoted(glob), reinterpret_cast<const char*>(why)));
}

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

}  // namespace

struct name_filter::glob {
  std::unique_ptr<pcre2_code, free_code> code;

  explicit glob(const std::string& text) {
    PCRE2_UCHAR* converted = nullptr;
    PCRE2_SIZE length = 0;
    const int failed =
        pcre2_pattern_convert(units(text), text.size(), PCRE2_CONVERT_GLOB, &converted, &length, nullptr);
    const std::unique_ptr<PCRE2_UCHAR, free_converted> owner(converted);
    if (failed != 0) refuse(text, failed);
    int error = 0;
    PCRE2_SIZE at = 0;
    // Names need not be UTF-8, and where they are, `?` is a character.
    code.reset(
        pcre2_compile(converted, length, PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOTALL, &error, &at, nullptr));
    if (!code) refuse(text, error);
    pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  }

  [[nodiscard]] bool matches(std::string_view text) const {
    // One a thread: it is written to by each match.
    thread_local const std::unique_ptr<pcre2_match_data, free_match> match(pcre2_match_data_create(1, nullptr));
    if (!match) throw std::bad_alloc();
    return pcre2_match(code.get(), units(text), text.size(), 0, 0, match.get(), nullptr) >= 0;
  }
};

void name_filter::add(const std::string& text, bool include) {
  std::string_view rest = text;
  const bool of_directories = rest.ends_with('/');
  if (of_directories) rest.remove_suffix(1);
  const bool of_path = rest.find('/') != std::string_view::npos;
  if (rest.starts_with('/')) rest.remove_prefix(1);
  if (rest.empty()) throw std::invalid_argument(fmt::format("{} matches no name", shell_quoted(text)));
  rules_.push_back({include, of_path, of_directories, std::make_shared<const glob>(std::string(rest))});
  looks_at_paths_ = looks_at_paths_ || of_path;
}

const name_filter::rule* name_filter::last_match(std::string_view name, std::string_view path, bool directory) const {
  for (const rule& one : std::views::reverse(rules_))
    if ((directory || !one.of_directories) && one.what->matches(one.of_path ? path : name)) return &one;
  return nullptr;
}

bool name_filter::wants_file(std::string_view name, std::string_view path) const {
  if (rules_.empty()) return true;
  const rule* const decides = last_match(name, path, false);
  return decides != nullptr ? decides->include : !rules_.front().include;
}

bool name_filter::wants_directory(std::string_view name, std::string_view path) const {
  const rule* const decides = last_match(name, path, true);
  return decides == nullptr || decides->include;
}

}  // namespace tool
