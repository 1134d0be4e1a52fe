// asyncfs hash -c --exact: a tree holds what its list says, and nothing else.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <functional>

#include "../catch.hpp"
#include "program.hpp"

using cli::asyncfs;
using cli::outcome;
using cli::scratch;

namespace {

// Two directories, one in the other, and a list of all files in them.
void make_listed_tree(const scratch& at, const std::string& list = "list") {
  at.file("t/a", "one\n");
  at.file("t/sub/b", "two\n");
  at.file("t/sub/c", "three\n");
  at.directory("t/empty");
  at.file(list, asyncfs({"hash", "t"}, cli::hardship::none, at.path()).out);
}

outcome check(const scratch& at, std::vector<std::string> words) {
  words.insert(words.begin(), {"hash", "-c"});
  return asyncfs(words, cli::hardship::none, at.path());
}

}  // namespace

TEST_CASE("an exact check passes for the tree that was listed, and fails when anything in it is another") {
  struct change {
    const char* what;
    const char* command;
    std::string line, summary;
  };
  const change changes[] = {
      {"added", "echo new > t/sub/new", "t/sub/new: FAILED not listed", "WARNING: 1 file is not listed"},
      {"added in an empty directory", "echo new > t/empty/new", "t/empty/new: FAILED not listed", "not listed"},
      {"an added link", "ln -s a t/link", "t/link: FAILED not listed", "WARNING: 1 file is not listed"},
      {"an added FIFO", "mkfifo t/fifo", "t/fifo: FAILED not listed", "WARNING: 1 file is not listed"},
      {"removed", "rm t/sub/b", "t/sub/b: FAILED open or read", "WARNING: 1 listed file could not be read"},
      {"renamed", "mv t/a t/z", "t/z: FAILED not listed", "WARNING: 1 file is not listed"},
      {"changed", "echo two >> t/sub/b", "t/sub/b: FAILED", "WARNING: 1 computed checksum did NOT match"}};
  for (const change& one : changes) {
    INFO(one.what);
    scratch at;
    make_listed_tree(at);
    const auto before = check(at, {"--exact", "list"});
    CHECK(before.out == "t/a: OK\nt/sub/b: OK\nt/sub/c: OK\n");
    CHECK(before.err == "");
    CHECK(before.status == 0);
    cli::shell("cd " + at.path() + " && " + one.command);
    const auto after = check(at, {"--exact", "--quiet", "list"});
    CHECK(after.status == 1);
    CHECK(("\n" + after.out).find("\n" + one.line + "\n") != std::string::npos);
    CHECK(after.err.find(one.summary) != std::string::npos);
    const auto silent = check(at, {"--exact", "--status", "list"});
    CHECK(silent.status == 1);
    CHECK(silent.out == "");
    CHECK(silent.err.find("WARNING") == std::string::npos);
  }
}

TEST_CASE("a renamed file fails under both of its names, also when missing ones may be") {
  scratch at;
  make_listed_tree(at);
  cli::shell("cd " + at.path() + " && mv t/a t/z");
  CHECK(check(at, {"--exact", "--quiet", "list"}).out == "t/a: FAILED open or read\nt/z: FAILED not listed\n");
  const auto tolerant = check(at, {"--exact", "--quiet", "--ignore-missing", "list"});
  CHECK(tolerant.out == "t/z: FAILED not listed\n");
  CHECK(tolerant.status == 1);
}

TEST_CASE("what is searched follows from the listed names") {
  scratch at;
  for (const char* name : {"a/x", "a/deep/y", "b/z", "c/other", "top"}) at.file(name, name);
  const auto said = [&](const std::string& files) {
    cli::shell("cd " + at.path() + " && sha256sum " + files + " >../list.sum; mv ../list.sum .hidden");
    const auto done = check(at, {"--exact", "--quiet", ".hidden"});
    cli::shell("rm " + at / ".hidden");
    CHECK((done.status == 0) == done.out.empty());
    return done.out;
  };
  // One directory holds all: only there.
  CHECK(said("a/x a/deep/y") == "");
  CHECK(said("a/deep/y") == "");
  CHECK(said("a/x") == "a/deep/y: FAILED not listed\n");
  CHECK(said("./a//x a/./deep/y") == "");
  // None does but the current one: in each first component.
  CHECK(said("a/x b/z") == "a/deep/y: FAILED not listed\n");
  CHECK(said("a/x a/deep/y b/z") == "");
  CHECK(said("$PWD/a/x b/z") == at / "a/deep/y: FAILED not listed\n");
  // A file lies in the current directory itself: all of it.
  CHECK(said("top a/x a/deep/y") == "./b/z: FAILED not listed\n./c/other: FAILED not listed\n");
  CHECK(said("top a/x a/deep/y b/z c/other") == "");
}

TEST_CASE("what is searched can be said, more than once, and places that lie in others count once") {
  scratch at;
  for (const char* name : {"a/x", "a/deep/y", "b/z", "c/other"}) at.file(name, name);
  cli::shell("cd " + at.path() + " && sha256sum a/x > list");
  CHECK(check(at, {"--exact=b", "--quiet", "list"}).out == "b/z: FAILED not listed\n");
  CHECK(check(at, {"--exact=c/", "--exact=b", "--quiet", "list"}).out ==
        "b/z: FAILED not listed\nc/other: FAILED not listed\n");
  CHECK(check(at, {"--exact=a/deep", "--exact=./a", "--exact=a", "--quiet", "list"}).out ==
        "a/deep/y: FAILED not listed\n");
  const auto all = check(at, {"--exact=.", "list"});
  CHECK(all.out == "a/x: OK\n./a/deep/y: FAILED not listed\n./b/z: FAILED not listed\n./c/other: FAILED not listed\n");
  CHECK(all.err == "asyncfs hash: WARNING: 3 files are not listed\n");
  const auto missing = check(at, {"--exact=nowhere", "--quiet", "list"});
  CHECK(missing.status == 1);
  CHECK(missing.err == "asyncfs hash: cannot examine 'nowhere': No such file or directory\n");
}

TEST_CASE("neither the list itself nor where results go has to be in the list") {
  scratch at;
  make_listed_tree(at, "t/list");
  CHECK(check(at, {"--exact", "t/list"}).status == 0);
  const auto redirected =
      cli::shell("cd " + at.path() + " && " ASYNCFS_PROGRAM " hash -c --exact < t/list > t/out 2> t/err");
  CHECK(redirected.status == 0);
  CHECK(cli::shell("cat " + at / "t/err").out == "");
  // What is there afterwards is a file as others are.
  CHECK(check(at, {"--exact", "--quiet", "t/list"}).out == "t/err: FAILED not listed\nt/out: FAILED not listed\n");
}

TEST_CASE("directories that cannot be searched fail an exact check") {
  if (::geteuid() != 0) return;  // others cannot become nobody
  scratch at;
  make_listed_tree(at);
  cli::shell("cd " + at.path() + " && chmod 0 t/empty && chmod a+r list");
  const auto done = asyncfs({"hash", "-c", "--exact", "--quiet", "list"}, cli::hardship::as_nobody, at.path());
  CHECK(done.status == 1);
  CHECK(done.out == "");
  CHECK(done.err == "asyncfs hash: cannot open directory 't/empty': Permission denied\n");
}

TEST_CASE("an exact check says odd names as other checks do, on every engine") {
  scratch at;
  at.file("t/x", "x\n");
  cli::shell("cd " + at.path() + " && sha256sum t/x > list");
  at.file("t/two\nlines", "x\n");
  at.file("t/back\\slash", "x\n");
  for (const std::string& engine : cli::engines)
    CHECK(check(at, {"--exact", "--engine=" + engine, "list"}).out ==
          "t/x: OK\nt/back\\slash: FAILED not listed\n\\t/two\\nlines: FAILED not listed\n");
}

TEST_CASE("--exact belongs to checking") {
  CHECK(asyncfs({"hash", "--exact", "x"}).status == 2);
  CHECK(asyncfs({"hash", "--exact=x", "x"}).status == 2);
}
