// asyncfs hash --dereference: links below the paths stand for what they lead to.
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "../catch.hpp"
#include "program.hpp"
#include "trees.hpp"

using cli::asyncfs;
using cli::outcome;
using cli::scratch;

namespace {

outcome hash(const scratch& at, std::vector<std::string> words) {
  words.insert(words.begin(), "hash");
  return asyncfs(words, cli::hardship::none, at.path());
}

void link(const scratch& at, const std::string& name, const std::string& target) {
  REQUIRE(::symlink(target.c_str(), (at / name).c_str()) == 0);
}

// Hostile names and links to hostile names; all of them lead somewhere.
void make_linked_tree(const scratch& at) {
  cli::make_hostile_tree(at, "tree");
  REQUIRE(::unlink((at / "tree/dangling").c_str()) == 0);
  at.file("outside/deep/file", "outside\n");
  link(at, "outside/deep/in\xffvalid link", "../../tree/in\xffvalid");
  link(at, "tree/perf-link", "perf");  // its file comes behind those of "perf-link-"
  at.file("tree/perf-link-", "before perf-link/\n");
  link(at, "tree/two\nlines", "with\nnewline");
  link(at, "tree/-link", "perf-link");
  link(at, "tree/many/back\\slash", at / "outside");
  link(at, "tree/perf/many", "../empty directory");
  link(at, "tree/.hidden/fifo", "../fifo");
}

std::vector<std::string> sorted_lines(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::ranges::sort(lines);
  return lines;
}

}  // namespace

TEST_CASE("hash -L prints what sha256sum prints for the sorted files of find -L") {
  scratch at;
  make_linked_tree(at);
  const auto wanted =
      cli::shell("cd '" + at.path() + "' && find -L tree -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum");
  REQUIRE(wanted.out.find("slash/deep/file\n") != std::string::npos);
  REQUIRE(wanted.out.find("  tree/-link/x\n") != std::string::npos);
  for (const std::string& engine : cli::engines) {
    const auto done = hash(at, {"-L", "--engine=" + engine, "tree"});
    CHECK(done.err == "");
    CHECK(done.status == 0);
    CHECK(done.out == wanted.out);
  }
  CHECK(asyncfs({"hash", "--dereference", "tree"}, cli::hardship::no_io_uring, at.path()).out == wanted.out);
  CHECK(hash(at, {"-L", "-j1", "--depth=1", "tree"}).out == wanted.out);
  CHECK(hash(at, {"-L", "-j5", "--depth=200", "tree"}).out == wanted.out);
}

TEST_CASE("hash -L names links that lead nowhere or back, does the rest, and exits with 1") {
  scratch at;
  at.file("t/sub/file", "x\n");
  link(at, "t/nowhere", "gone");
  link(at, "t/self", "self");
  link(at, "t/mutual", "lautum");
  link(at, "t/lautum", "mutual");
  link(at, "t/sub/up", "..");
  link(at, "t/two\nlines", "gone");
  link(at, "above", ".");
  const std::vector<std::string> wanted = {
      "asyncfs hash: cannot follow 't/lautum': Too many levels of symbolic links",
      "asyncfs hash: cannot follow 't/mutual': Too many levels of symbolic links",
      "asyncfs hash: cannot follow 't/nowhere': No such file or directory",
      "asyncfs hash: cannot follow 't/self': Too many levels of symbolic links",
      "asyncfs hash: cannot follow 't/sub/up': Too many levels of symbolic links",
      "asyncfs hash: cannot follow 't/two'$'\\n''lines': No such file or directory"};
  const auto sums = hash(at, {"-L", "t"});
  CHECK(sums.out == cli::program({"sha256sum", "t/sub/file"}, cli::hardship::none, at.path()).out);
  CHECK(sorted_lines(sums.err) == wanted);
  CHECK(sums.status == 1);
  const auto tree = hash(at, {"-L", "--tree", "t"});
  CHECK(tree.out == "");
  CHECK(sorted_lines(tree.err) == wanted);
  CHECK(tree.status == 1);
  const auto alike = hash(at, {"-L", "--duplicates", "t"});
  CHECK(alike.out == "");
  CHECK(sorted_lines(alike.err) == wanted);
  CHECK(alike.status == 1);
  CHECK(hash(at, {"t"}).status == 0);
  // The way back to a directory that no link leads to.
  link(at, "t/sub/top", "../..");
  const auto back = hash(at, {"-L", "t/sub"});
  CHECK(back.err.find("cannot enter 't/sub/top/t/sub': Too many levels of symbolic links\n") != std::string::npos);
  CHECK(back.status == 1);
}

TEST_CASE("a digest of a tree with -L is that of a copy in which links have been replaced by what they lead to") {
  scratch at;
  make_linked_tree(at);
  REQUIRE(cli::shell("cd '" + at.path() + "' && cp -rLp tree copy").status == 0);
  for (const std::string scope : {"content", "mode", "all"}) {
    const auto copy = hash(at, {"--tree=" + scope, "copy"});
    REQUIRE(copy.status == 0);
    auto wanted = copy.out;
    wanted.replace(wanted.find("(copy)"), 6, "(tree)");
    const auto followed = hash(at, {"-L", "--tree=" + scope, "tree"});
    CHECK(followed.err == "");
    CHECK(followed.out == wanted);
    CHECK(hash(at, {"-L", "--tree=" + scope, "copy"}).out == copy.out);
    CHECK(hash(at, {"--tree=" + scope, "tree"}).out != wanted);
    at.file("list", followed.out);
    CHECK(hash(at, {"-c", "--exact", "-L", "list"}).out == "tree: OK\n");
    CHECK(hash(at, {"-c", "-L", "list"}).out == "tree: OK\n");
    CHECK(hash(at, {"-c", "list"}).out == "tree: FAILED\n");
  }
}

TEST_CASE("duplicates with -L: a file that is found again through a link is no copy of itself") {
  scratch at;
  at.file("t/a", "alike\n");
  at.file("t/b", "alike\n");
  at.file("t/only", "unique\n");
  at.file("other/c", "alike\n");
  REQUIRE(::link((at / "t/a").c_str(), (at / "t/hard").c_str()) == 0);
  link(at, "t/link", "a");
  link(at, "t/only-link", "only");
  link(at, "t/to-other", "../other");
  link(at, "t/to-other-again", "to-other");
  const auto followed = hash(at, {"--duplicates", "-L", "t"});
  CHECK(followed.err == "");
  CHECK(followed.status == 0);
  CHECK(followed.out ==
        "6 bytes, 3 copies, 12 wasted:\nt/a\nt/b\nt/hard (the same file as t/a)\nt/link (the same file as t/a)\n"
        "t/to-other-again/c\nt/to-other/c (the same file as t/to-other-again/c)\n");
  CHECK(hash(at, {"--duplicates", "t"}).out ==
        "6 bytes, 2 copies, 6 wasted:\nt/a\nt/b\nt/hard (the same file as t/a)\n");
}

TEST_CASE("an exact check with -L takes links for what they lead to, and looks behind them") {
  scratch at;
  at.file("t/a", "one\n");
  at.file("other/b", "two\n");
  link(at, "t/link", "a");
  link(at, "t/to-other", "../other");
  at.file("other/list", hash(at, {"-L", "t"}).out);
  const auto before = hash(at, {"-c", "--exact", "-L", "other/list"});
  CHECK(before.out == "t/a: OK\nt/link: OK\nt/to-other/b: OK\n");
  CHECK(before.err == "");
  CHECK(before.status == 0);
  CHECK(hash(at, {"-c", "--exact", "--quiet", "other/list"}).out == "t/to-other: FAILED not listed\n");
  at.file("other/new", "new\n");
  link(at, "t/link-to-new", "../other/new");
  const auto after = hash(at, {"-c", "--exact", "-L", "--quiet", "other/list"});
  CHECK(after.out == "t/link-to-new: FAILED not listed\nt/to-other/new: FAILED not listed\n");
  CHECK(after.status == 1);
  link(at, "t/nowhere", "gone");
  const auto dangling = hash(at, {"-c", "--exact", "-L", "--status", "other/list"});
  CHECK(dangling.err == "asyncfs hash: cannot follow 't/nowhere': No such file or directory\n");
  CHECK(dangling.status == 1);
}

TEST_CASE("with --one-file-system a link is not entered when it leads to a directory of another one") {
  scratch at;
  at.file("t/file", "x\n");
  at.file("here/inside", "y\n");
  link(at, "t/here", "../here");
  link(at, "t/elsewhere", "/proc/self/fdinfo");
  const auto without = hash(at, {"-L", "t"});
  CHECK(without.out.find("  t/elsewhere/0\n") != std::string::npos);
  const auto within = hash(at, {"-L", "--one-file-system", "t"});
  CHECK(within.out == cli::program({"sha256sum", "t/file", "t/here/inside"}, cli::hardship::none, at.path()).out);
  CHECK(within.err == "");
  CHECK(within.status == 0);
}
