// asyncfs hash -c beside coreutils' -c: the same words on the same streams, and the same exit status.
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "../catch.hpp"
#include "program.hpp"

using cli::asyncfs;
using cli::outcome;
using cli::scratch;

namespace {

const std::string sha256_of_x = "73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac";  // "x\n"
const std::string sha256_of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

// What cannot be opened or read is said in each tool's own words, which end in the system's. All else is the same.
std::string essence(const std::string& err, const std::string& program) {
  std::string all;
  std::istringstream in(replaced(err, program + ": ", ""));
  for (std::string line; std::getline(in, line);) {
    for (const std::string system : {": No such file or directory", ": Permission denied", ": Is a directory"})
      if (line.ends_with(system)) line = "unreadable" + system;
    all += line + "\n";
  }
  return all;
}

void check_alike(const scratch& at, const std::string& program, const std::string& algorithm,
                 std::vector<std::string> words) {
  std::vector<std::string> theirs{program}, ours{"hash", "-a", algorithm};
  theirs.insert(theirs.end(), words.begin(), words.end());
  ours.insert(ours.end(), words.begin(), words.end());
  const outcome wanted = cli::program(theirs, cli::hardship::none, at.path());
  const outcome got = asyncfs(ours, cli::hardship::none, at.path());
  std::string said;
  for (const std::string& word : words) said += " " + word;
  INFO(program << said << "\n" << wanted.err << "ours:\n" << got.err);
  CHECK(got.out == wanted.out);
  CHECK(got.status == wanted.status);
  CHECK(essence(got.err, "asyncfs hash") == essence(wanted.err, program));
}

}  // namespace

TEST_CASE("checking says what sha256sum -c says, of every kind of line and with every option") {
  scratch at;
  at.file("x", "x\n");
  at.file("empty", "");
  at.file("a b", "x\n");
  at.file("it's:odd", "x\n");
  at.file("two\nlines", "x\n");
  at.file("back\\slash", "x\n");
  at.file("*star", "x\n");
  at.directory("directory");
  const std::string good = sha256_of_x + "  ", bad = sha256_of_nothing + "  ";
  at.file("good", good + "x\n" + sha256_of_nothing + " *empty\n" + good + "a b\n" + good + "it's:odd\n\\" + good +
                      "two\\nlines\n\\" + good + "back\\\\slash\n");
  at.file("mismatch", good + "x\n" + bad + "a b\n" + good + "empty\n");
  at.file("missing", good + "x\n" + good + "gone\n" + good + "directory\n");
  at.file("all missing", good + "gone\n");
  at.file("malformed", "what\n" + good + "x\n\n# comment\n\\" + good + "bad\\escape\n" + sha256_of_x + "\n" +
                           sha256_of_x.substr(1) + "  x\n");
  at.file("nothing", "what\n");
  at.file("no bytes", "");
  at.file("dos", good + "x\r\n" + bad + "x\r\n");
  at.file("no end", good + "x");
  at.file("tagged", "SHA256 (x) = " + sha256_of_x + "\nSHA256 (a b) = " + sha256_of_nothing +
                        "\nMD5 (x) = " + std::string(32, '0') + "\nSHA256(x)= " + sha256_of_x +
                        "\n\\SHA256 (two\\nlines) = " + sha256_of_x + "\n");
  at.file("upper", replaced(good, "b", "B") + "x\n");
  at.file("reversed", sha256_of_x + " x\n" + sha256_of_x + "  x\n");
  at.file("mixed", good + "x\n" + sha256_of_x + " x\n");
  at.file("star", sha256_of_x + "  *star\n" + sha256_of_x + " **star\n");
  at.file("leading", "  " + good + "x\n");
  for (const std::string list :
       {"good", "mismatch", "missing", "all missing", "malformed", "nothing", "no bytes", "dos", "no end", "tagged",
        "upper", "reversed", "mixed", "star", "leading", "no such list"})
    for (const std::vector<std::string>& options :
         std::vector<std::vector<std::string>>{{"-c"},
                                               {"-c", "--quiet"},
                                               {"-c", "--status"},
                                               {"-c", "--warn"},
                                               {"-c", "--strict"},
                                               {"-c", "--ignore-missing"},
                                               {"-c", "--ignore-missing", "--quiet", "--strict", "-w"}}) {
      auto words = options;
      words.push_back(list);
      check_alike(at, "sha256sum", "sha256", words);
    }
  check_alike(at, "sha256sum", "sha256", {"-c", "good", "mismatch", "nothing", "missing"});
}

TEST_CASE("a list may come from standard input, and standard input may be in a list") {
  scratch at;
  at.file("x", "x\n");
  at.file("list", sha256_of_x + "  x\n");
  at.file("stdin", sha256_of_x + "  -\n");
  const auto both = [&](const std::string& words) {
    const auto wanted = cli::shell("cd " + at.path() + " && sha256sum " + words);
    const auto got = cli::shell("cd " + at.path() + " && " + ASYNCFS_PROGRAM + " hash -a sha256 " + words);
    CHECK(got.out == wanted.out);
    CHECK(got.status == wanted.status);
    CHECK(essence(got.err, "asyncfs hash") == essence(wanted.err, "sha256sum"));
  };
  both("-c <list");
  both("-c - <list");
  both("-c stdin <x");
  both("-c --warn <stdin");
  both("<x");
  both("- <x");
  both("x - x <x");
}

TEST_CASE("the algorithm of a list is guessed from its tags, or from how long its digests are") {
  scratch at;
  for (int i = 0; i < 50; ++i) at.file("tree/f" + std::to_string(i), "content " + std::to_string(i) + "\n");
  for (const std::string algorithm : {"md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-512",
                                      "blake2b", "blake3", "xxh64", "crc32c"}) {
    INFO(algorithm);
    const auto list = asyncfs({"hash", "-a", algorithm, "tree"}, cli::hardship::none, at.path());
    if (list.status == 2) continue;  // not in this build
    at.file("list", list.out);
    const auto checked = asyncfs({"hash", "-c", "--quiet", "list"}, cli::hardship::none, at.path());
    CHECK(checked.status == 0);
    CHECK(checked.out == "");
    CHECK(checked.err == "");
  }
  for (const std::string algorithm : {"xxh128", "xxh3", "sha256,md5,blake2b"}) {
    const auto list = asyncfs({"hash", "--tag", "-a", algorithm, "tree"}, cli::hardship::none, at.path());
    at.file("list", list.out);
    CHECK(asyncfs({"hash", "-c", "--status", "list"}, cli::hardship::none, at.path()).status == 0);
  }
  // Digests of several kinds and the same length in one list.
  at.file("joined", cli::shell("cd " + at.path() + " && sha256sum tree/f1 && " + ASYNCFS_PROGRAM +
                               " hash -a sha3-256 tree/f2 && sha256sum tree/f3")
                        .out);
  CHECK(asyncfs({"hash", "-c", "joined"}, cli::hardship::none, at.path()).out ==
        "tree/f1: OK\ntree/f2: OK\ntree/f3: OK\n");
}

TEST_CASE("a weak digest does not pass for a strong one of its length") {
  scratch at;
  at.file("x", "x\n");
  const auto weak = asyncfs({"hash", "-a", "xxh128", "x"}, cli::hardship::none, at.path());
  at.file("list", weak.out);
  CHECK(asyncfs({"hash", "-c", "list"}, cli::hardship::none, at.path()).out == "x: FAILED\n");
  CHECK(asyncfs({"hash", "-a", "xxh128", "-c", "list"}, cli::hardship::none, at.path()).out == "x: OK\n");
}

TEST_CASE("a list cannot make anybody wait for a FIFO or read a device") {
  scratch at;
  cli::shell("mkfifo " + at.path() + "/fifo");
  at.file("list", sha256_of_nothing + "  fifo\n" + sha256_of_nothing + "  /dev/zero\n");
  const auto done = asyncfs({"hash", "-c", "list"}, cli::hardship::none, at.path());
  CHECK(done.status == 1);
  CHECK(done.out == "fifo: FAILED open or read\n/dev/zero: FAILED open or read\n");
  CHECK(done.err.find("not reading 'fifo', which is no regular file") != std::string::npos);
  CHECK(done.err.find("WARNING: 2 listed files could not be read\n") != std::string::npos);
}

TEST_CASE("a part of a list in which nothing is listed is well, and a list of which filters leave nothing is not") {
  const scratch at;
  at.file("a", "a");
  at.file("list", asyncfs({"hash", "a"}, cli::hardship::none, at.path()).out);
  for (const char* part : {"--shard=1/2", "--shard=2/2"}) {
    const outcome done = asyncfs({"hash", "-c", "--quiet", part, "list"}, cli::hardship::none, at.path());
    CHECK(done.status == 0);
    CHECK(done.err == "");
  }
  const outcome none = asyncfs({"hash", "-c", "--exclude=*", "list"}, cli::hardship::none, at.path());
  CHECK(none.status == 1);
  CHECK(none.err == "asyncfs hash: list: no file was verified\n");
}

TEST_CASE("a listed name that is empty is a file that cannot be opened, as for sha256sum") {
  const scratch at;
  at.file("list", "SHA256 () = " + std::string(64, 'a') + "\n");
  const outcome ours = asyncfs({"hash", "-c", "list"}, cli::hardship::none, at.path());
  const outcome theirs = cli::shell("cd '" + at.path() + "' && sha256sum -c list");
  CHECK(ours.out == theirs.out);
  CHECK(ours.status == theirs.status);
}

TEST_CASE("checking gives the same on every engine, in the order of the list") {
  scratch at;
  std::string list, wanted;
  for (int i = 999; i >= 0; --i) {
    const std::string name = "f" + std::to_string(i);
    at.file(name, i % 7 == 0 ? "" : "x\n");
    list += sha256_of_x + "  " + name + "\n";
    wanted += name + (i % 7 == 0 ? ": FAILED\n" : ": OK\n");
  }
  at.file("list", list);
  for (const std::string& engine : cli::engines)
    CHECK(asyncfs({"hash", "-c", "--engine=" + engine, "list"}, cli::hardship::none, at.path()).out == wanted);
  CHECK(asyncfs({"hash", "-c", "list"}, cli::hardship::no_io_uring, at.path()).out == wanted);
}

TEST_CASE("options that belong to checking are refused without it, and ways of printing exclude each other") {
  for (const auto& words : std::vector<std::vector<std::string>>{{"hash", "--strict", "x"},
                                                                 {"hash", "--status", "x"},
                                                                 {"hash", "--warn", "x"},
                                                                 {"hash", "--ignore-missing", "x"},
                                                                 {"hash", "--tag", "--untagged", "x"},
                                                                 {"hash", "-c", "--tag", "x"},
                                                                 {"hash", "-c", "--zero", "x"}}) {
    const auto done = asyncfs(words);
    CHECK(done.status == 2);
    CHECK(done.out == "");
    CHECK(done.err.find("Try 'asyncfs hash --help' for more information.\n") != std::string::npos);
  }
}
