// The seam of grep: a buffer of whole lines goes in, the places of matching lines come out.
//
// PCRE2 has the last word on every line. A faster finder (a literal that every match must contain) only picks lines for
// it to judge. Patterns see one line at a time: no match spans a line break.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace tool {

struct matcher_options {
  bool ignore_case = false;
  bool fixed = false;  // the pattern is a string, not an expression
};

// A line, without its terminator.
struct line_span {
  std::size_t begin = 0, end = 0;
};

// A match, as places in its line.
struct match_span {
  std::size_t begin = 0, end = 0;
};

// How far the matches of a line have been told.
struct match_cursor {
  std::size_t from = 0;                      // where the next one is looked for
  std::size_t last_end = std::string::npos;  // of the one before
};

// What every worker shares: the compiled pattern. Any thread.
class pattern {
 public:
  // Throws std::invalid_argument with a message that shows the pattern and points at the fault.
  pattern(std::string_view text, const matcher_options& options);
  ~pattern();
  pattern(const pattern&) = delete;
  pattern& operator=(const pattern&) = delete;

 private:
  friend class matcher;
  struct compiled;
  std::unique_ptr<compiled> compiled_;
};

// One worker's state. Not thread-safe.
class matcher {
 public:
  explicit matcher(const pattern& what);
  ~matcher();
  matcher(const matcher&) = delete;
  matcher& operator=(const matcher&) = delete;

  enum class outcome : unsigned char { found, none, limit };
  // The first matching line that begins at or after `from`, which must be the beginning of a line. `limit`: PCRE2 gave
  // up on a line (its match limit), which is an error for the file and never "no match".
  [[nodiscard]] outcome next(std::string_view lines, std::size_t from, line_span& line);

  // The next match within a line that was found. They do not overlap, and where there may be empty ones is as in
  // ripgrep: nowhere directly behind another match, nor at the end of a line that no line break ends.
  [[nodiscard]] outcome next_match(std::string_view line, bool has_break, match_cursor& at, match_span& match);

 private:
  struct scratch;
  [[nodiscard]] outcome judge(std::string_view line);
  [[nodiscard]] outcome find_in(std::string_view line, std::size_t from, match_span& match);
  const pattern& what_;
  std::unique_ptr<scratch> scratch_;
};

}  // namespace tool
