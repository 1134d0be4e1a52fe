#include <sys/stat.h>
#include <unistd.h>

#include "../catch.hpp"
#include "trees.hpp"

using cli::asyncfs;
using cli::hardship;
using cli::scratch;
using cli::shell;

TEST_CASE("copy makes a tree equal to the source, on every engine and without io_uring") {
  scratch at;
  cli::make_hostile_tree(at, "source");
  const std::string wanted = cli::describe_tree(at / "source");
  REQUIRE(wanted.size() > 1000);
  int n = 0;
  for (const std::string& engine : cli::engines) {
    const std::string target = at / ("copy" + std::to_string(n++));
    const auto done = asyncfs({"copy", "--engine=" + engine, at / "source", target});
    CHECK(done.err == "");
    CHECK(done.out == "");
    CHECK(done.status == 0);
    CHECK(cli::describe_tree(target) == wanted);
  }
  const auto refused = asyncfs({"copy", at / "source", at / "refused"}, hardship::no_io_uring);
  CHECK(refused.err == "");
  CHECK(refused.status == 0);
  CHECK(cli::describe_tree(at / "refused") == wanted);
}

TEST_CASE("copy keeps holes") {
  scratch at;
  cli::make_hostile_tree(at, "source");
  REQUIRE(asyncfs({"copy", at / "source/sparse", at / "sparse"}).status == 0);
  struct stat copied{};
  REQUIRE(::stat((at / "sparse").c_str(), &copied) == 0);
  CHECK(copied.st_size == 5'000'000);
  CHECK(copied.st_blocks * 512 < 1'000'000);
}

TEST_CASE("copy into a standing directory puts the tree below it, merges, and replaces files whole") {
  scratch at;
  cli::make_hostile_tree(at, "source");
  at.file("into/source/plain", "an older one, which is longer than the new");
  at.file("into/source/kept", "not in the source");
  const auto done = asyncfs({"copy", at / "source", at / "into"});
  CHECK(done.err == "");
  REQUIRE(done.status == 0);
  CHECK(cli::shell("cat " + at.path() + "/into/source/plain").out == "hello io_uring\n");
  CHECK(cli::shell("cat " + at.path() + "/into/source/kept").out == "not in the source");
  // No private name is left behind.
  CHECK(cli::shell("find " + at.path() + " -name '*.asyncfs-*'").out == "");
}

TEST_CASE("copy of one file makes that file, and several go into a directory") {
  scratch at;
  at.file("a", "one\n");
  at.file("b", "two\n");
  REQUIRE(asyncfs({"copy", at / "a", at / "c"}).status == 0);
  CHECK(cli::shell("cat " + at.path() + "/c").out == "one\n");
  at.directory("d");
  REQUIRE(asyncfs({"copy", at / "a", at / "b", at / "d"}).status == 0);
  CHECK(cli::shell("cat " + at.path() + "/d/a " + at.path() + "/d/b").out == "one\ntwo\n");
}

TEST_CASE("copy names a missing source, copies the rest, and exits with 1") {
  scratch at;
  at.file("a", "one\n");
  at.directory("d");
  const auto done = asyncfs({"copy", at / "missing", at / "a", at / "d"});
  CHECK(done.status == 1);
  CHECK(done.err == "asyncfs copy: cannot examine '" + (at / "missing") + "': No such file or directory\n");
  CHECK(cli::shell("cat " + at.path() + "/d/a").out == "one\n");
}

TEST_CASE("copy names an unreadable file, copies the rest, and leaves nothing half-made") {
  if (::geteuid() != 0) SUCCEED("needs root to become somebody else");
  if (::geteuid() != 0) return;
  scratch at;
  at.file("source/open", "yes\n");
  at.file("source/shut", "no\n");
  ::chmod((at / "source/shut").c_str(), 0);
  at.directory("there");
  ::chmod((at / "there").c_str(), 0777);
  const auto done = asyncfs({"copy", at / "source", at / "there/copy"}, hardship::as_nobody);
  CHECK(done.status == 1);
  CHECK(done.err == "asyncfs copy: cannot open '" + (at / "source/shut") + "' for reading: Permission denied\n");
  CHECK(cli::shell("ls -A " + at.path() + "/there/copy").out == "open\n");
}

TEST_CASE("copy refuses a directory into itself, a file onto itself or its own hard link, and a dangling destination") {
  scratch at;
  at.file("tree/a", "one\n");
  const auto into_itself = asyncfs({"copy", at / "tree", at / "tree/sub"});
  CHECK(into_itself.status == 1);
  CHECK(into_itself.err.find("into itself") != std::string::npos);
  CHECK(cli::shell("ls -A " + at.path() + "/tree").out == "a\n");
  const auto onto_itself = asyncfs({"copy", at / "tree/a", at / "tree/a"});
  CHECK(onto_itself.status == 1);
  CHECK(onto_itself.err.find("are the same file") != std::string::npos);
  REQUIRE(::link((at / "tree/a").c_str(), (at / "tree/b").c_str()) == 0);
  CHECK(asyncfs({"copy", at / "tree/a", at / "tree/b"}).status == 1);
  REQUIRE(::symlink("nowhere", (at / "dangling").c_str()) == 0);
  const auto dangling = asyncfs({"copy", at / "tree/a", at / "dangling"});
  CHECK(dangling.status == 1);
  CHECK(dangling.err.find("dangling") != std::string::npos);
  CHECK(cli::shell("cat " + at.path() + "/tree/a").out == "one\n");
}

TEST_CASE("copy refuses two sources that would have one name") {
  scratch at;
  at.file("x/a", "one\n");
  at.file("y/a", "two\n");
  at.directory("d");
  const auto done = asyncfs({"copy", at / "x/a", at / "y/a", at / "d"});
  CHECK(done.status == 1);
  CHECK(done.err.find("will not overwrite") != std::string::npos);
  CHECK(cli::shell("cat " + at.path() + "/d/a").out == "one\n");
}

TEST_CASE("copy says when the device is full, and leaves no half file") {
  if (::geteuid() != 0) SUCCEED("needs root to mount");
  if (::geteuid() != 0) return;
  scratch at;
  at.file("source/fits", std::string(10'000, 'f'));
  at.file("source/big", std::string(4'000'000, 'b'));
  const std::string small = at.directory("small");
  if (cli::shell("mount -t tmpfs -o size=1M tmpfs " + small).status != 0) {
    SUCCEED("tmpfs cannot be mounted here");
    return;
  }
  const auto done = asyncfs({"copy", at / "source", small + "/copy"});
  CHECK(done.status == 1);
  CHECK(done.err.find("No space left on device") != std::string::npos);
  CHECK(cli::shell("ls -A " + small + "/copy").out == "fits\n");
  cli::shell("umount " + small);
}

TEST_CASE("copy reads files in /proc and /sys to their end, whatever size they claim") {
  scratch at;
  REQUIRE(asyncfs({"copy", "/proc/version", at / "version"}).status == 0);
  CHECK(cli::shell("cmp /proc/version " + at.path() + "/version").status == 0);
  const std::string claims_4096 = "/sys/kernel/mm/transparent_hugepage/enabled";
  if (cli::shell("test -r " + claims_4096).status != 0) return;
  const auto done = asyncfs({"copy", claims_4096, at / "enabled"});
  CHECK(done.err == "");
  REQUIRE(done.status == 0);
  CHECK(cli::shell("cmp " + claims_4096 + " " + at.path() + "/enabled").status == 0);
}

TEST_CASE("copy does not replace what is neither a file nor a directory") {
  scratch at;
  at.file("a", "x");
  REQUIRE(shell("mkfifo " + at.path() + "/pipe").status == 0);
  const auto done = asyncfs({"copy", "a", "pipe"}, hardship::none, at.path());
  CHECK(done.status == 1);
  CHECK(done.err == "asyncfs copy: will not replace 'pipe', which is no regular file, with 'a'; remove it first\n");
  CHECK(shell("test -p " + at.path() + "/pipe").status == 0);
}

TEST_CASE("copy that cannot print what it was asked to print says so, and has copied all the same") {
  scratch at;
  at.file("a", "x");
  const std::string run = "cd " + at.path() + " && '" ASYNCFS_PROGRAM "' copy --json a b";
  for (const std::string where : {" > /dev/full", " >&-"}) {
    const auto done = shell(run + where + " 2> err; echo $?; cat b err");
    CHECK(done.out.starts_with("1\nx"));
    CHECK(done.out.find("cannot write to standard output") != std::string::npos);
  }
  CHECK(shell(run + " | true; cat b").out == "x");
}
