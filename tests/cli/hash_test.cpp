#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../catch.hpp"
#include "trees.hpp"

using cli::asyncfs;
using cli::hardship;
using cli::scratch;

TEST_CASE("hash prints what sha256sum prints for the sorted tree, and sha256sum checks it") {
  scratch at;
  cli::make_hostile_tree(at, "tree");
  const std::string root = at / "tree";
  const auto wanted = cli::shell("find '" + root + "' -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum");
  REQUIRE(wanted.out.size() > 10'000);
  for (const std::string& engine : cli::engines) {
    const auto done = asyncfs({"hash", "--engine=" + engine, root});
    CHECK(done.err == "");
    CHECK(done.status == 0);
    CHECK(done.out == wanted.out);
  }
  CHECK(asyncfs({"hash", root}, hardship::no_io_uring).out == wanted.out);
  CHECK(asyncfs({"hash", "-j1", "--depth=1", root}).out == wanted.out);
  CHECK(asyncfs({"hash", "-j5", "--depth=200", root}).out == wanted.out);
  CHECK(cli::shell(std::string(ASYNCFS_PROGRAM) + " hash '" + root + "' | sha256sum -c --quiet").status == 0);
}

TEST_CASE("hash keeps the order in which several paths were given") {
  scratch at;
  at.file("b", "2\n");
  at.file("a", "1\n");
  at.file("t/x", "3\n");
  const auto wanted = cli::shell("cd " + at.path() + " && sha256sum b t/x a");
  CHECK(asyncfs({"hash", "b", "t", "a"}, hardship::none, at.path()).out == wanted.out);
}

TEST_CASE("hash computes xxh128 as xxhsum does") {
  scratch at;
  // From xxHash's own test: XXH128 of the empty input.
  at.file("empty", "");
  const auto done = asyncfs({"hash", "-a", "xxh128", at / "empty"});
  CHECK(done.out == "99aa06d3014798d86001c324468d497f  " + (at / "empty") + "\n");
}

TEST_CASE("hash reads files in /proc to their end") {
  const auto wanted = cli::program({"sha256sum", "/proc/version"});
  CHECK(asyncfs({"hash", "/proc/version"}).out == wanted.out);
}

TEST_CASE("hash reads files in /sys, which claim a size that they do not have") {
  const std::string name = "/sys/kernel/mm/transparent_hugepage/enabled";
  const auto wanted = cli::program({"sha256sum", name});
  if (wanted.status == 0) CHECK(asyncfs({"hash", name}).out == wanted.out);
}

TEST_CASE("a hole however large keeps nobody from ending it") {
  const scratch at;
  CHECK(cli::shell("truncate -s 3T '" + (at / "hole") + "'").status == 0);
  for (const std::string& engine : cli::engines) {
    INFO(engine);
    const auto done =
        cli::shell("exec timeout --preserve-status -k 20 -s TERM 0.3 " ASYNCFS_PROGRAM " hash --engine=" + engine +
                   " '" + (at / "hole") + "'");
    CHECK(done.status == 128 + 15);  // and not of SIGKILL
  }
}

TEST_CASE("hash reports a standard output that is closed or full") {
  scratch at;
  at.file("x", "x\n");
  for (const std::string where : {">&-", ">/dev/full"}) {
    const auto done = cli::shell(std::string(ASYNCFS_PROGRAM) + " hash " + at.path() + "/x " + where);
    CHECK(done.status == 1);
    CHECK(done.err.find("cannot write to standard output: ") != std::string::npos);
  }
  const auto closed = cli::shell(std::string(ASYNCFS_PROGRAM) + " hash " + at.path() + "/x >&-");
  CHECK(closed.err.find("Bad file descriptor") != std::string::npos);
}

TEST_CASE("hash names what is missing or unreadable, does the rest, and exits with 1") {
  scratch at;
  at.file("here", "x\n");
  const auto done = asyncfs({"hash", at / "gone", at / "here"});
  CHECK(done.status == 1);
  CHECK(done.err == "asyncfs hash: cannot open '" + (at / "gone") + "' for reading: No such file or directory\n");
  CHECK(done.out.size() == 64 + 2 + (at / "here").size() + 1);
  if (::geteuid() != 0) return;
  at.file("shut/inside", "y\n");
  ::chmod((at / "shut").c_str(), 0);
  const auto barred = asyncfs({"hash", at.path()}, hardship::as_nobody);
  CHECK(barred.status == 1);
  CHECK(barred.err == "asyncfs hash: cannot open directory '" + (at / "shut") + "': Permission denied\n");
  CHECK(barred.out.find("here") != std::string::npos);
}

TEST_CASE("hash quotes hostile names in messages") {
  scratch at;
  const auto done = asyncfs({"hash", at / "two\nlines \x1b[31m"});
  CHECK(done.err == "asyncfs hash: cannot open '" + at.path() +
                        "/two'$'\\n''lines '$'\\033''[31m' for reading: No such file or directory\n");
}

TEST_CASE("a closed pipe ends hash quietly") {
  scratch at;
  cli::make_hostile_tree(at, "tree");
  std::string many;
  for (int i = 0; i < 20; ++i) many += " '" + (at / "tree") + "'";
  const auto done = cli::shell(std::string(ASYNCFS_PROGRAM) + " hash" + many + " | head -n 1 | wc -l");
  CHECK(done.out == "1\n");
  CHECK(done.err == "");
}

TEST_CASE("wrong usage ends with 2 and points at the help") {
  for (const auto& words : std::vector<std::vector<std::string>>{{"hash", "--engine=steam", "x"},
                                                                 {"hash", "-a", "md6", "x"},
                                                                 {"hash", "--quiet", "x"},
                                                                 {"hash", "--what"},
                                                                 {"copy", "one"},
                                                                 {"grep"},
                                                                 {"nonsense"},
                                                                 {}}) {
    const auto done = asyncfs(words);
    CHECK(done.status == 2);
    CHECK(done.out == "");
    CHECK(done.err.find("--help' for more information.\n") != std::string::npos);
  }
  CHECK(asyncfs({"hash", "--engine=steam", "x"})
            .err.find("'steam' is unknown; choose one of auto, sync, threads, uring") != std::string::npos);
}

TEST_CASE("operands are taken as they are: in brackets, behind --, and named like a command") {
  scratch at;
  at.file("[a,b]", "1\n");
  at.file("--tag", "2\n");
  at.file("copy", "3\n");
  const std::string digests = cli::shell("cd '" + at.path() + "' && sha256sum '[a,b]' copy -- --tag").out;
  CHECK(asyncfs({"hash", "[a,b]", "copy", "--", "--tag"}, hardship::none, at.path()).out == digests);
}

TEST_CASE("asking for io_uring where it is forbidden says why") {
  scratch at;
  at.file("x", "x\n");
  const auto done = asyncfs({"hash", "--engine=uring", at / "x"}, hardship::no_io_uring);
  CHECK(done.status == 1);
  CHECK(done.out == "");
  CHECK(done.err.find("forbids io_uring") != std::string::npos);
}

TEST_CASE("probe lists every operation and the engine it chose") {
  const auto done = asyncfs({"probe"});
  CHECK(done.status == 0);
  CHECK(done.out.find("engine  ") != std::string::npos);
  CHECK(done.out.find("openat2") != std::string::npos);
  const auto refused = asyncfs({"probe"}, hardship::no_io_uring);
  CHECK(refused.status == 0);
  CHECK(refused.out.find("engine  threads (no io_uring: ") != std::string::npos);
}

TEST_CASE("--trace overwrites an older trace, and refuses to overwrite anything else") {
  scratch at;
  at.file("a", "1\n");
  const std::string precious = at.file("precious", "precious\n");
  const auto refused = asyncfs({"hash", "--trace", precious, at / "a"});
  CHECK(refused.status == 1);
  CHECK(refused.out == "");
  CHECK(refused.err.find(precious) != std::string::npos);
  CHECK(refused.err.find("overwrite") != std::string::npos);
  CHECK(cli::shell("cat '" + precious + "'").out == "precious\n");
  const auto nowhere = asyncfs({"hash", "--trace", at / "missing/trace", at / "a"});
  CHECK(nowhere.status == 1);
  for (int i = 0; i < 2; ++i) {
    const auto done = asyncfs({"hash", "--trace", at / "trace", at / "a"});
    CHECK(done.err == "");
    CHECK(done.status == 0);
    CHECK(cli::shell("grep -c traceEvents '" + (at / "trace") + "'").out == "1\n");
  }
}

TEST_CASE("without recursion directories are refused, and files beside them hashed") {
  scratch at;
  at.file("d/inside", "x\n");
  at.file("x", "x\n");
  at.file("y", "x\n");
  cli::shell("ln -s d " + at / "link");
  const std::string refused = " is a directory; leave out --no-recursive to hash what is in it\n";
  const auto sums = asyncfs({"hash", "--no-recursive", "d", "x", "link"}, cli::hardship::none, at.path());
  CHECK(sums.out == cli::program({"sha256sum", "x"}, cli::hardship::none, at.path()).out);
  CHECK(sums.err == "asyncfs hash: 'd'" + refused + "asyncfs hash: 'link'" + refused);
  CHECK(sums.status == 1);
  const auto alike = asyncfs({"hash", "--no-recursive", "--duplicates", "x", "y", "d"}, cli::hardship::none, at.path());
  CHECK(alike.out == "2 bytes, 2 copies, 2 wasted:\nx\ny\n");
  CHECK(alike.err == "asyncfs hash: 'd'" + refused);
  CHECK(alike.status == 1);
}
