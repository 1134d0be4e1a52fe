// asyncfs hash beside the tools that it stands for, on trees that a seed makes up.
//
// ASYNCFS_TREES sets how many trees; the printed line says how many it was.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <random>

#include "../catch.hpp"
#include "program.hpp"

using cli::asyncfs;
using cli::scratch;

namespace {

unsigned trees_to_make() {
  const char* asked_for = std::getenv("ASYNCFS_TREES");
  constexpr unsigned usually = 10;
  return asked_for != nullptr ? static_cast<unsigned>(std::strtoul(asked_for, nullptr, 10)) : usually;
}

// Any bytes that a name may have, the troublesome ones most.
std::string some_name(std::mt19937& random, bool harmless) {
  static const std::string troublesome = "\n\r\\ \t'\"*()=$`#~-:\x1b\x7f\xff\xc3\xa4\xe2\x80\xae";
  static const std::string usual = "abcXYZ019._-+";
  std::string name;
  const std::size_t length = random() % 50 == 0 ? 255 : 1 + random() % 12;
  while (name.size() < length) {
    const std::string& from = !harmless && random() % 3 == 0 ? troublesome : usual;
    name += from[random() % from.size()];
  }
  if (name == "." || name == "..") name = "dots";
  return name;
}

void make_tree(const scratch& at, std::mt19937& random, bool harmless) {
  std::vector<std::string> directories{"t"};
  at.directory("t");
  const unsigned files = 1 + random() % 20;
  for (unsigned i = 0; i < files; ++i) {
    const std::string path = directories[random() % directories.size()] + "/" + some_name(random, harmless);
    if (::access((at / path).c_str(), F_OK) == 0) continue;
    if (random() % 5 == 0) {
      at.directory(path);
      directories.push_back(path);
      continue;
    }
    constexpr std::size_t sizes[] = {0,    1,    55,   56,     63,     64,     65,     127,    128,
                                     1023, 1024, 1025, 65'534, 65'535, 65'536, 65'537, 200'000};
    std::string content(sizes[random() % std::size(sizes)], '\0');
    for (char& c : content) c = static_cast<char>(random());
    at.file(path, content);
  }
}

struct peer {
  std::string command, algorithm, options;
  bool escapes;  // its names as coreutils do
};

const peer peers[] = {{"md5sum", "md5", "", true},
                      {"sha1sum", "sha1", "", true},
                      {"sha224sum", "sha224", "", true},
                      {"sha256sum", "sha256", "", true},
                      {"sha384sum", "sha384", "", true},
                      {"sha512sum", "sha512", "", true},
                      {"b2sum", "blake2b", "", true},
                      {"sha256sum --tag", "sha256", "--tag", true},
                      {"sha512sum --tag", "sha512", "--tag", true},
                      {"sha256sum --zero", "sha256", "--zero", true},
                      {"cksum -a md5", "md5", "--tag", true},
                      {"cksum -a sha384", "sha384", "--tag", true},
                      {"cksum -a blake2b", "blake2b", "--tag", true},
                      {"cksum -a sha1 --untagged", "sha1", "", true},
                      {"b3sum", "blake3", "", false},
                      {"xxhsum -q -H1", "xxh64", "", false},
                      {"xxhsum -q -H2", "xxh128", "", false}};

// In the first line.
std::string with_one_digit_changed(std::string list, bool tagged) {
  const std::size_t at = tagged ? list.find('\n') - 1 : list.front() == '\\' ? 1 : 0;
  list[at] = list[at] == '0' ? '1' : '0';
  return list;
}

}  // namespace

TEST_CASE("hash prints what each of its peers prints, and each side accepts the other's lists") {
  const unsigned trees = trees_to_make();
  const auto began = std::chrono::steady_clock::now();
  for (unsigned seed = 1; seed <= trees; ++seed) {
    std::mt19937 random(seed);
    const bool harmless = seed % 3 == 0;  // for those that have ways of their own with names
    scratch at;
    make_tree(at, random, harmless);
    const std::string in = "cd '" + at.path() + "' && ", self = ASYNCFS_PROGRAM " hash ";
    for (const peer& one : peers) {
      if ((!one.escapes && !harmless) || !cli::has_program(one.command.substr(0, one.command.find(' ')))) continue;
      INFO("seed " << seed << ": " << one.command);
      const auto theirs = cli::shell(in + "find t -type f -print0 | LC_ALL=C sort -z | xargs -0 -r " + one.command);
      const auto ours = cli::shell(in + self + "-a " + one.algorithm + " " + one.options + " t");
      if (theirs.out.empty()) continue;  // no files: their tool reads standard input
      REQUIRE(ours.out == theirs.out);
      REQUIRE(ours.status == 0);
      if (one.options == "--zero") continue;
      at.file("list", seed % 2 == 0 ? with_one_digit_changed(ours.out, one.options == "--tag") : ours.out);
      const std::string only = one.command.substr(0, one.command.find(" -"));
      const auto our_check = cli::shell(in + self + "-a " + one.algorithm + " -c list 2>/dev/null");
      const auto their_check = cli::shell(in + one.command.substr(0, one.command.find(" --")) + " -c list 2>/dev/null");
      if (only != "xxhsum" && only != "b3sum" && only != "cksum") REQUIRE(our_check.out == their_check.out);
      REQUIRE((our_check.status == 0) == (their_check.status == 0));
      REQUIRE((our_check.status == 0) == (seed % 2 != 0));
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("%u trees of 500, each beside %zu tools, in %.1f s\n", trees, std::size(peers), took.count());
}

TEST_CASE(
    "large files give what the peers give: one alone, many side by side, and where nothing can be read in place") {
  // Files in memory cannot tell what is cached; many at once keep the vector lanes busy.
  for (const std::string base : {"", "/dev/shm"}) {
    if (!base.empty() && ::access(base.c_str(), W_OK) != 0) continue;
    const auto made = cli::shell(base.empty() ? "mktemp -d" : "mktemp -d -p " + base);
    const std::string at = made.out.substr(0, made.out.find('\n'));
    REQUIRE(at.size() > 1);
    const std::string in = "cd '" + at + "' && ", self = ASYNCFS_PROGRAM " hash ";
    REQUIRE(cli::shell(in + "mkdir t && head -c 9000001 /dev/urandom > t/one && for i in $(seq 40); do "
                            "head -c $((4000000 + i * 33333)) t/one | tail -c $((4000000 + i * 33300)) > t/f$i; done")
                .status == 0);
    for (const peer& one : peers) {
      if (!one.options.empty() || !cli::has_program(one.command.substr(0, one.command.find(' ')))) continue;
      INFO(base << " " << one.command);
      const auto theirs = cli::shell(in + "find t -type f -print0 | LC_ALL=C sort -z | xargs -0 " + one.command);
      CHECK(cli::shell(in + self + "-a " + one.algorithm + " t").out == theirs.out);
      CHECK(cli::shell(in + self + "-a " + one.algorithm + " --engine=threads t/one").out ==
            cli::shell(in + one.command + " t/one").out);
    }
    CHECK(cli::shell("rm -r '" + at + "'").status == 0);
  }
}
