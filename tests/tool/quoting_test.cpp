#include <quoting.hpp>

#include "../catch.hpp"

using tool::shell_quoted;
using tool::shell_quoted_if_needed;

TEST_CASE("names are quoted as GNU tools quote them") {
  CHECK(shell_quoted("plain") == "'plain'");
  CHECK(shell_quoted("") == "''");
  CHECK(shell_quoted("a b") == "'a b'");
  CHECK(shell_quoted("it's") == "\"it's\"");
  CHECK(shell_quoted("it's $5") == "'it'\\''s $5'");
  CHECK(shell_quoted("two\nlines") == "'two'$'\\n''lines'");
  CHECK(shell_quoted("\x1b[31m") == "''$'\\033''[31m'");
  CHECK(shell_quoted("end\n") == "'end'$'\\n'");
  CHECK(shell_quoted("a\n'b") == "'a'$'\\n'\\''b'");
  CHECK(shell_quoted("back\\slash") == "'back\\slash'");
}

TEST_CASE("characters of every length stand for themselves, and malformed ones do not") {
  CHECK(shell_quoted("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80") == "'\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80'");
  CHECK(shell_quoted("\xff") == "''$'\\377'");
  CHECK(shell_quoted("\xc3") == "''$'\\303'");
  CHECK(shell_quoted("\xc0\xaf") == "''$'\\300\\257'");
  CHECK(shell_quoted("\xed\xa0\x80") == "''$'\\355\\240\\200'");
  CHECK(shell_quoted("\xf4\x90\x80\x80") == "''$'\\364\\220\\200\\200'");
}

TEST_CASE("characters that turn or hide others do not reach a terminal") {
  for (const std::string hidden :
       {"\xc2\x9b", "\xd8\x9c", "\xe2\x80\x8b", "\xe2\x80\xae", "\xe2\x81\xa6", "\xef\xbb\xbf"})
    CHECK(shell_quoted("a" + hidden).find(hidden) == std::string::npos);
}

TEST_CASE("names are left alone where neither a shell nor a reader could take them for something else") {
  CHECK(shell_quoted_if_needed("plain/name-1.txt") == "plain/name-1.txt");
  CHECK(shell_quoted_if_needed("\xc3\xa4") == "\xc3\xa4");
  CHECK(shell_quoted_if_needed("a#b~c{d}") == "a#b~c{d}");
  for (const std::string named : {"", "a b", "x:y", "#a", "~a", "{", "a*", "it's", "a\\b", "a\tb"})
    CHECK(shell_quoted_if_needed(named) == shell_quoted(named));
}
