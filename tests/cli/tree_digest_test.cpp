// asyncfs hash --tree: which changes its digests see, and which they do not. What they are is in check-tree-digests.
#include <unistd.h>

#include <algorithm>

#include "../catch.hpp"
#include "program.hpp"
#include "trees.hpp"

using cli::asyncfs;
using cli::outcome;
using cli::scratch;

namespace {

const std::vector<std::string> scopes = {"content", "mode", "all"};

void make_tree(const scratch& at) {
  at.file("t/a", "one\n");
  at.file("t/sub/b", "two\n");
  at.file("t/sub/deep/c", "three\n");
  at.file("t/sub/zero", "");
  cli::shell("cd " + at.path() +
             " && mkdir t/empty && ln -s a t/link && mkfifo t/fifo && chmod -R go-w t && "
             "find t -exec touch -h -d '2020-01-02 03:04:05.6789' {} +");
}

// Of one path: the line without its end.
std::string digest(const scratch& at, const std::string& path = "t", const std::string& scope = "content",
                   std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"hash", "--tree=" + scope, path});
  const outcome done = asyncfs(more, cli::hardship::none, at.path());
  CHECK(done.err == "");
  CHECK(done.status == 0);
  return done.out;
}

std::vector<std::string> digests(const scratch& at) {
  std::vector<std::string> all;
  for (const std::string& scope : scopes) all.push_back(digest(at, "t", scope));
  return all;
}

}  // namespace

TEST_CASE("a digest of a tree changes with what its scope covers, and with nothing else") {
  constexpr int content = 0, mode = 1, all = 2, nothing = 3;  // the narrowest scope that sees it
  struct change {
    std::string command;
    int seen_from;
  };
  const std::string keep_times = " && find t -exec touch -h -d '2020-01-02 03:04:05.6789' {} +";
  for (const change& one :
       std::vector<change>{{"echo new > t/new", content},
                           {"mkdir t/empty/new", content},
                           {"rm t/sub/zero", content},
                           {"rmdir t/empty", content},
                           {"mv t/a t/z", content},
                           {"mv t/sub t/bus", content},
                           {"mv t/sub/b t/b", content},
                           {"mv t/empty t/sub/empty", content},
                           {"mv t/a t/x && mv t/sub/b t/a && mv t/x t/sub/b", content},
                           {"echo tvo > t/sub/b", content},
                           {"truncate -s 3 t/a", content},
                           {"echo >> t/sub/deep/c", content},
                           {"rm t/a && mkdir t/a", content},
                           {"rm t/sub/zero && mkfifo t/sub/zero", content},
                           {"rm t/fifo && : > t/fifo", content},
                           {"rm t/link && cp t/a t/link", content},
                           {"ln -sfn sub/b t/link", content},
                           {"ln -sfn a/ t/link", content},
                           {"chmod u+x t/a", mode},
                           {"chmod o-x t/sub", mode},
                           {"chmod +t t", mode},
                           {"chmod u+s t/a", mode},
                           {"chmod g+w t/fifo", mode},
                           {"touch -d '2020-01-02 03:04:05.6788' t/a", all},
                           {"touch -h -d '2020-01-02 03:04:05.6788' t/link", all},
                           {"touch -d '2020-01-02 03:04:05.6788' t/sub/deep", all},
                           {"touch -d '2020-01-02 03:04:05.6788' t", all},
                           {"touch -a -d '2001-01-01' t/a", nothing},
                           {"mv t/a x && mv t/link y && mv y t/link && mv x t/a" + keep_times, nothing},
                           {"cp -a t/sub x && rm -r t/sub && mv x t/sub" + keep_times, nothing},
                           {"ln t/a t/sub/c && rm t/a && mv t/sub/c t/a" + keep_times, nothing},
                           {"mv t x && cp -a x t", nothing}}) {
    INFO(one.command);
    scratch at;
    make_tree(at);
    const auto before = digests(at);
    REQUIRE(cli::shell("cd " + at.path() + " && { " + one.command + "; }").status == 0);
    const auto after = digests(at);
    for (int scope = content; scope <= all; ++scope) {
      INFO(scopes[static_cast<std::size_t>(scope)]);
      const auto i = static_cast<std::size_t>(scope);
      CHECK((before[i] != after[i]) == (scope >= one.seen_from));
    }
  }
}

TEST_CASE("owners and groups are part of the scope of all") {
  if (::geteuid() != 0) return;  // others cannot give files away
  for (const std::string change : {"chown 1 t/a", "chgrp 1 t/sub", "chown -h 1 t/link", "chown 1 t/fifo"}) {
    INFO(change);
    scratch at;
    make_tree(at);
    const auto before = digests(at);
    cli::shell("cd " + at.path() + " && " + change);
    const auto after = digests(at);
    CHECK(before[0] == after[0]);
    CHECK(before[1] == after[1]);
    CHECK(before[2] != after[2]);
  }
}

TEST_CASE("a copy has the digests of its source, by every engine and any number of loops") {
  scratch at;
  cli::make_hostile_tree(at, "t");
  const auto wanted = digests(at);
  at.directory("copied");
  REQUIRE(asyncfs({"copy", "t", "copied/t"}, cli::hardship::none, at.path()).status == 0);
  const auto in_copy = [&](const std::string& scope, std::vector<std::string> how) {
    how.insert(how.begin(), {"hash", "--tree=" + scope, "t"});
    return asyncfs(how, cli::hardship::none, at / "copied").out;
  };
  for (std::size_t i = 0; i < scopes.size(); ++i) {
    for (const std::string& engine : cli::engines) CHECK(in_copy(scopes[i], {"--engine=" + engine}) == wanted[i]);
    for (const std::string jobs : {"1", "2", "7"}) CHECK(in_copy(scopes[i], {"-j", jobs}) == wanted[i]);
    CHECK(in_copy(scopes[i], {"--depth=1"}) == wanted[i]);
  }
}

TEST_CASE("names that sort around a slash keep their places, in whatever order they were made") {
  const std::vector<std::string> names = {"a", "a-", "a.b", "a0", "a\xff", "a\x01", "ab"};
  std::string first;
  std::vector<std::string> order = names;
  for (int turn = 0; turn < 7; ++turn) {
    scratch at;
    at.directory("t");
    for (const std::string& name : order) {
      if (name == "a")
        at.file("t/a/inside", "x\n");
      else
        at.file("t/" + name, "x\n");
    }
    const std::string now = digest(at);
    if (first.empty()) first = now;
    CHECK(now == first);
    std::ranges::rotate(order, order.begin() + 1);
  }
}

TEST_CASE("each path has its own line, in the order given, and its name does not count") {
  scratch at;
  make_tree(at);
  cli::shell("cd " + at.path() + " && cp -a t u && ln -s t v");
  const auto value = [](const std::string& line) { return line.substr(line.rfind(' ')); };
  const std::string t = digest(at), u = digest(at, "u"), v = digest(at, "v"), file = digest(at, "t/a");
  CHECK(asyncfs({"hash", "--tree", "u", "t/a", "t", "v"}, cli::hardship::none, at.path()).out == u + file + t + v);
  CHECK(t.starts_with("ASYNCFS-TREE-1-CONTENT-SHA256 (t) = "));
  CHECK(value(t) == value(u));
  CHECK(value(t) == value(v));
  CHECK(value(t) != value(file));
  CHECK(value(digest(at, "t/fifo")) != value(file));
  const auto here = asyncfs({"hash", "--tree"}, cli::hardship::none, at / "t");
  CHECK(here.out == "ASYNCFS-TREE-1-CONTENT-SHA256 (.) =" + value(t));
  const auto zero = asyncfs({"hash", "--tree", "-z", "t"}, cli::hardship::none, at.path());
  CHECK(zero.out == t.substr(0, t.size() - 1) + std::string(1, '\0'));
}

TEST_CASE("what cannot be read leaves its path without a digest, and only its path") {
  if (::geteuid() != 0) return;  // others cannot become nobody
  scratch at;
  make_tree(at);
  at.file("good/x", "x\n");
  const std::string good = digest(at, "good");
  const auto tried = [&](const std::string& path) {
    return asyncfs({"hash", "--tree", path, "good"}, cli::hardship::as_nobody, at.path());
  };
  const auto missing = tried("gone");
  CHECK(missing.out == good);
  CHECK(missing.err == "asyncfs hash: cannot examine 'gone': No such file or directory\n");
  CHECK(missing.status == 1);
  cli::shell("chmod 0 " + at / "t/sub/deep/c");
  const auto file = tried("t");
  CHECK(file.out == good);
  CHECK(file.err == "asyncfs hash: cannot open 't/sub/deep/c': Permission denied\n");
  CHECK(file.status == 1);
  cli::shell("chmod 644 " + at / "t/sub/deep/c" + "; chmod 0 " + at / "t/empty");
  const auto directory = tried("t");
  CHECK(directory.out == good);
  CHECK(directory.err == "asyncfs hash: cannot open directory 't/empty': Permission denied\n");
  CHECK(directory.status == 1);
  CHECK(asyncfs({"hash", "--tree", "-", "good"}, cli::hardship::none, at.path()).status == 1);
}

TEST_CASE("lists may hold digests of trees, and -c checks them") {
  scratch at;
  make_tree(at);
  at.file("odd\nname/x", "x\n");
  const auto sums = asyncfs({"hash", "t/sub"}, cli::hardship::none, at.path()).out;
  const auto trees =
      asyncfs({"hash", "--tree=mode", "-a", "sha256,md5", "t", "odd\nname"}, cli::hardship::none, at.path()).out;
  at.file("list", trees + sums + "not a line\n");
  const auto check = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"hash", "-c"});
    return asyncfs(words, cli::hardship::none, at.path());
  };
  const std::string of_files = "t/sub/b: OK\nt/sub/deep/c: OK\nt/sub/zero: OK\n", odd = "\\odd\\nname: OK\n";
  const auto well = check({"list"});
  CHECK(well.out == of_files + "t: OK\nt: OK\n" + odd + odd);
  CHECK(well.status == 0);
  CHECK(check({"--quiet", "--exact", "list"}).status == 0);
  cli::shell("chmod +x " + at / "t/a");
  const auto changed = check({"list"});
  CHECK(changed.out == of_files + "t: FAILED\nt: FAILED\n" + odd + odd);
  CHECK(changed.err.find("WARNING: 2 computed checksums did NOT match\n") != std::string::npos);
  CHECK(changed.status == 1);
  CHECK(check({"--status", "list"}).out == "");
  CHECK(check({"--status", "list"}).status == 1);
  cli::shell("rm -r " + at / "t");
  at.file("trees", trees);
  const auto gone = check({"trees"});
  CHECK(gone.out == "t: FAILED open or read\nt: FAILED open or read\n" + odd + odd);
  CHECK(gone.status == 1);
  CHECK(check({"--ignore-missing", "trees"}).status == 0);
}

TEST_CASE("what a list says of a tree holds for all that is in it") {
  scratch at;
  make_tree(at);
  at.file("x", "x\n");
  at.file("list", digest(at, "t/sub") + asyncfs({"hash", "t/a"}, cli::hardship::none, at.path()).out);
  const auto exact = [&](const std::string& places) {
    return asyncfs({"hash", "-c", "--quiet", "--exact" + places, "list"}, cli::hardship::none, at.path()).out;
  };
  CHECK(exact("") == "t/fifo: FAILED not listed\nt/link: FAILED not listed\n");
  CHECK(exact("=t/sub") == "");
  CHECK(exact("=.") == "./t/fifo: FAILED not listed\n./t/link: FAILED not listed\n./x: FAILED not listed\n");
}

TEST_CASE("filters leave entries out of a tree, and lists of paths name more trees") {
  scratch at;
  make_tree(at);
  cli::shell("cd " + at.path() + " && cp -a t u && touch u/left.o u/sub/out.o && mkdir u/cache && touch u/cache/x");
  const auto value = [](const std::string& line) { return line.substr(line.rfind(' ')); };
  CHECK(value(digest(at, "u")) != value(digest(at, "t")));
  CHECK(value(digest(at, "u", "content", {"--exclude=*.o", "--exclude=cache/"})) == value(digest(at, "t")));
  at.file("paths", "u\nt\n");
  CHECK(digest(at, "t/a", "content", {"--files-from=paths"}) == digest(at, "t/a") + digest(at, "u") + digest(at, "t"));
  const auto none = asyncfs({"hash", "--tree", "--exclude=t", "t"}, cli::hardship::none, at.path());
  CHECK(none.out == "");
  CHECK(none.status == 1);
  CHECK(asyncfs({"hash", "--tree", "--shard=1/2", "t"}, cli::hardship::none, at.path()).status == 2);
}

TEST_CASE("scopes are named, and ways of printing sums do not go with trees") {
  for (const auto& words : std::vector<std::vector<std::string>>{{"hash", "--tree=contents", "x"},
                                                                 {"hash", "--tree", "--tag", "x"},
                                                                 {"hash", "--tree", "--untagged", "x"},
                                                                 {"hash", "--tree", "-c", "x"}})
    CHECK(asyncfs(words).status == 2);
}
