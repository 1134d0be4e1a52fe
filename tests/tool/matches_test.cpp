// Where in a line its matches are.
#include <vector>

#include "../catch.hpp"
#include "grep/matcher.hpp"

namespace {

using places = std::vector<std::pair<std::size_t, std::size_t>>;

places matches(const std::string& expression, std::string_view line, bool has_break = true,
               tool::matcher_options options = {}) {
  const tool::pattern what(expression, options);
  tool::matcher one(what);
  tool::match_cursor at;
  places found;
  for (tool::match_span match; one.next_match(line, has_break, at, match) == tool::matcher::outcome::found;)
    found.emplace_back(match.begin, match.end);
  return found;
}

}  // namespace

TEST_CASE("matches in a line do not overlap, and follow each other") {
  CHECK(matches("aa", "aaaaa") == places{{0, 2}, {2, 4}});
  CHECK(matches("a+b?", "aab ab a") == places{{0, 3}, {4, 6}, {7, 8}});
  CHECK(matches("a.a", "aba aca", true, {.fixed = true}).empty());
  CHECK(matches("A", "aBa", true, {.ignore_case = true}) == places{{0, 1}, {2, 3}});
  CHECK(matches("b", "").empty());
}

TEST_CASE("an anchor holds at the ends of the line only") {
  CHECK(matches("^a", "aaa") == places{{0, 1}});
  CHECK(matches("a$", "aaa") == places{{2, 3}});
  CHECK(matches("\\ba", "aa a") == places{{0, 1}, {3, 4}});
}

TEST_CASE("an empty match stands not directly behind another, and at the end only of a line with a break") {
  CHECK(matches("x*", "axxb") == places{{0, 0}, {1, 3}, {4, 4}});
  CHECK(matches("x*", "axxb", false) == places{{0, 0}, {1, 3}});
  CHECK(matches("x*", "ax") == places{{0, 0}, {1, 2}});
  CHECK(matches("$", "ab") == places{{2, 2}});
  CHECK(matches("$", "ab", false).empty());
  CHECK(matches("^", "") == places{{0, 0}});
}

TEST_CASE("what is no UTF-8 hides no match, and what is is never cut") {
  CHECK(matches("b",
                "\xff"
                "b\xc3") == places{{1, 2}});
  CHECK(matches(".", "\xc3\xa9\xff\xe2\x82\xac") == places{{0, 2}, {3, 6}});
  CHECK(matches("\\w|",
                "\xc3\xa9"
                "a") == places{{0, 2}, {2, 3}});
}

TEST_CASE("a match that leaves out its beginning, and may be empty for that, is told as ripgrep tells it") {
  CHECK(matches("a\\Kb", "abab") == places{{1, 2}, {3, 4}});
  CHECK(matches("ab\\K", "abab") == places{{2, 2}});
}
