// Which names a list holds, and where its files lie.
#include <hash/known_names.hpp>
#include <hash/listed_places.hpp>

#include <initializer_list>

#include "../catch.hpp"

using tool::known_names;
using tool::listed_places;
using tool::normalised;
using tool::outermost;
using strings = std::vector<std::string>;

TEST_CASE("names are normalised by their text alone") {
  for (const auto& [name, wanted] : std::initializer_list<std::pair<std::string, std::string>>{{"a", "a"},
                                                                                               {"./a//b", "a/b"},
                                                                                               {"a/./b/", "a/b"},
                                                                                               {"/", "/"},
                                                                                               {"//a", "/a"},
                                                                                               {"/./", "/"},
                                                                                               {".", "."},
                                                                                               {"./", "."},
                                                                                               {"", "."},
                                                                                               {"a/../b", "a/../b"},
                                                                                               {"../a", "../a"},
                                                                                               {".a/..b", ".a/..b"}})
    CHECK(normalised(name) == wanted);
}

TEST_CASE("a name is known if it was added, and only then") {
  known_names known;
  for (int i = 0; i < 10'000; i += 2) known.add("directory/" + std::to_string(i));
  known.settle();
  for (int i = 0; i < 10'000; ++i) REQUIRE(known.contains("directory/" + std::to_string(i)) == (i % 2 == 0));
  CHECK_FALSE(known.contains(""));
  CHECK_FALSE(known_names().contains("directory/0"));
}

TEST_CASE("the places of a list are the directory that holds all, or else the first components") {
  const auto places = [](const strings& names) {
    listed_places from;
    for (const std::string& name : names) from.take_file(name);
    return from.found();
  };
  CHECK(places({}) == strings{});
  CHECK(places({"a/b/c"}) == strings{"a/b"});
  CHECK(places({"a/b/c", "a/b/d/e"}) == strings{"a/b"});
  CHECK(places({"a/b/c", "a/bc/d"}) == strings{"a"});
  CHECK(places({"a/b/d", "a/x", "a/b/c"}) == strings{"a"});
  CHECK(places({"a/b", "ab/c"}) == strings{"a", "ab"});
  CHECK(places({"a/b/c", "a/d/e", "f/g"}) == strings{"a", "f"});
  CHECK(places({"x"}) == strings{"."});
  CHECK(places({"a/b", "x", "c/d"}) == strings{"."});
  CHECK(places({"x", "/a/b", "c/d"}) == strings{".", "/a"});
  CHECK(places({"/a/b/c", "c/d", "/a/b/d"}) == strings{"/a/b", "c"});
  CHECK(places({"/srv/a/b", "/srv/c"}) == strings{"/srv"});
  CHECK(places({"/srv/a", "/usr/b"}) == strings{"/srv", "/usr"});
  CHECK(places({"/a", "/b"}) == strings{"/a", "/b"});
  CHECK(places({"../a/b", "../a/c"}) == strings{"../a"});
  CHECK(places({"../a/b", "c/d"}) == strings{"../a", "c"});
  CHECK(places({"../a/b", "../../c/d"}) == strings{"../../c", "../a"});
  CHECK(places({"../x"}) == strings{".."});
}

TEST_CASE("of places that lie in one another the outermost is left") {
  CHECK(outermost({"a/b", "a", "a-b", "a/c", "ab"}) == strings{"a", "a-b", "ab"});
  CHECK(outermost({"a", ".", "..a", "-"}) == strings{"."});
  CHECK(outermost({".", "/a", "../b"}) == strings{".", "../b", "/a"});
  CHECK(outermost({"/", "/a"}) == strings{"/"});
  CHECK(outermost({"a", "a"}) == strings{"a"});
}
