// asyncfs hash --duplicates: which files it says are the same, and how.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "../catch.hpp"
#include "program.hpp"

using cli::asyncfs;
using cli::outcome;
using cli::scratch;

namespace {

outcome duplicates(const scratch& at, std::vector<std::string> words) {
  words.insert(words.begin(), {"hash", "--duplicates"});
  return asyncfs(words, cli::hardship::none, at.path());
}

// What is to be said of files of which none has two names.
std::string expected(const std::map<std::string, std::string>& files) {
  std::map<std::string, std::set<std::string>> by_content;
  for (const auto& [path, content] : files) by_content[content].insert(path);
  struct group {
    std::size_t size, wasted;
    std::set<std::string> paths;
  };
  std::vector<group> groups;
  for (const auto& [content, paths] : by_content)
    if (paths.size() > 1) groups.push_back({content.size(), content.size() * (paths.size() - 1), paths});
  std::ranges::sort(groups, [](const group& a, const group& b) {
    return a.wasted != b.wasted ? a.wasted > b.wasted : *a.paths.begin() < *b.paths.begin();
  });
  std::string text;
  for (const group& one : groups) {
    text += (text.empty() ? "" : "\n") + std::to_string(one.size) + (one.size == 1 ? " byte, " : " bytes, ") +
            std::to_string(one.paths.size()) + " copies, " + std::to_string(one.wasted) + " wasted:\n";
    for (const std::string& path : one.paths) text += path + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("duplicates are grouped, the most wasteful first, names in their order and quoted where they need it") {
  scratch at;
  at.file("t/z", std::string(100'000, 'z'));
  at.file("t/deep/er/z z", std::string(100'000, 'z'));
  at.file("t/deep/it's", std::string(100'000, 'z'));
  at.file("t/two\nlines", "xyz");
  at.file("t/b", "xyz");
  at.file("t/a", "1");
  at.file("t/c", "1");
  at.file("t/none1", "");
  at.file("t/none2", "");
  at.file("t/alone", "as long");
  at.file("t/alike", "as-long");
  cli::shell("cd " + at.path() + " && ln -s z t/link && mkfifo t/fifo");
  const auto done = duplicates(at, {"t"});
  CHECK(done.out ==
        "100000 bytes, 3 copies, 200000 wasted:\n't/deep/er/z z'\n\"t/deep/it's\"\nt/z\n\n"
        "3 bytes, 2 copies, 3 wasted:\nt/b\n't/two'$'\\n''lines'\n\n"
        "1 byte, 2 copies, 1 wasted:\nt/a\nt/c\n\n"
        "0 bytes, 2 copies, 0 wasted:\nt/none1\nt/none2\n");
  CHECK(done.err == "");
  CHECK(done.status == 0);
  CHECK(duplicates(at, {"t/alone", "t/alike", "t/z", "t/a"}).out == "");
  CHECK(duplicates(at, {"t/alone"}).status == 0);
}

TEST_CASE("names of one file are no copies, and are marked among copies") {
  scratch at;
  at.file("t/a", "same\n");
  at.file("only/a", "same\n");
  cli::shell("cd " + at.path() + " && ln t/a t/c && ln t/a t/b\\ b && ln only/a only/b");
  CHECK(duplicates(at, {"only"}).out == "");
  CHECK(duplicates(at, {"only", "only/a", "./only"}).out == "");
  CHECK(duplicates(at, {"only", "t"}).out ==
        "5 bytes, 2 copies, 5 wasted:\nonly/a\nonly/b (the same file as only/a)\nt/a\n"
        "'t/b b' (the same file as t/a)\nt/c (the same file as t/a)\n");
}

TEST_CASE("files of one size that differ in a single byte, wherever it is, are told apart") {
  for (const std::size_t size : {std::size_t{1}, std::size_t{4096}, std::size_t{24'575}, std::size_t{24'576},
                                 std::size_t{300'000}, std::size_t{5'000'000}}) {
    std::mt19937 random(static_cast<unsigned>(size));
    std::string content(size, '\0');
    for (char& c : content) c = static_cast<char>(random());
    scratch at;
    std::map<std::string, std::string> files = {{"t/same1", content}, {"t/same2", content}};
    std::set<std::size_t> places = {0, size / 2, size - 1};
    for (int i = 0; i < 5; ++i) places.insert(random() % size);
    for (const std::size_t place : places) {
      std::string other = content;
      other[place] = static_cast<char>(other[place] + 1);
      files["t/other" + std::to_string(place)] = other;
    }
    for (const auto& [path, bytes] : files) at.file(path, bytes);
    INFO(size);
    CHECK(duplicates(at, {"t"}).out == expected(files));
  }
}

TEST_CASE("on trees that a seed makes up, the groups are those of the contents, by every engine") {
  for (unsigned seed = 1; seed <= 8; ++seed) {
    std::mt19937 random(seed);
    std::vector<std::string> contents;
    for (int i = 0; i < 30; ++i) {
      constexpr std::size_t sizes[] = {0, 1, 2, 2, 100, 100, 5000, 24'576, 24'576, 30'000, 30'000, 70'000};
      std::string content(sizes[random() % std::size(sizes)], 'c');
      for (int j = 0; j < 2 && !content.empty(); ++j) content[random() % content.size()] = static_cast<char>(random());
      contents.push_back(content);
    }
    scratch at;
    std::map<std::string, std::string> files;
    for (int i = 0; i < 200; ++i) {
      const std::string path = "t/" + std::to_string(random() % 9) + "/" + std::to_string(random() % 1000);
      files[path] = contents[random() % contents.size()];
    }
    for (const auto& [path, bytes] : files) at.file(path, bytes);
    INFO("seed " << seed);
    const std::string& engine = cli::engines[seed % cli::engines.size()];
    CHECK(duplicates(at, {"--engine=" + engine, "t"}).out == expected(files));
  }
}

TEST_CASE("what cannot be read is said, and the rest compared all the same") {
  if (::geteuid() != 0) return;  // others cannot become nobody
  scratch at;
  for (const char* name : {"t/a", "t/b", "t/secret"}) at.file(name, "same\n");
  cli::shell("chmod 0 " + at / "t/secret");
  at.directory("t/closed");
  cli::shell("chmod 0 " + at / "t/closed");
  const auto done = asyncfs({"hash", "--duplicates", "t", "gone"}, cli::hardship::as_nobody, at.path());
  CHECK(done.out == "5 bytes, 2 copies, 5 wasted:\nt/a\nt/b\n");
  CHECK(done.err.find("cannot open 't/secret': Permission denied\n") != std::string::npos);
  CHECK(done.err.find("cannot open directory 't/closed': Permission denied\n") != std::string::npos);
  CHECK(done.err.find("cannot examine 'gone': No such file or directory\n") != std::string::npos);
  CHECK(done.status == 1);
}

TEST_CASE("duplicates are looked for among what filters leave, and in what lists of paths name") {
  scratch at;
  for (const char* name : {"t/a", "t/b.o", "u/c", "u/d.o"}) at.file(name, "same\n");
  at.file("paths", "u\n");
  CHECK(duplicates(at, {"--exclude=*.o", "--files-from=paths", "t"}).out == "5 bytes, 2 copies, 5 wasted:\nt/a\nu/c\n");
  CHECK(duplicates(at, {"--files-from=paths"}).out == "5 bytes, 2 copies, 5 wasted:\nu/c\nu/d.o\n");
  CHECK(duplicates(at, {"--shard=1/2", "t"}).status == 2);
}

TEST_CASE("files that do not have the size they claim are no duplicates, and that is said") {
  const auto done = asyncfs({"hash", "--duplicates", "/proc/version", "/proc/cpuinfo"});
  CHECK(done.status == 1);
  CHECK(done.out == "");
  for (const std::string path : {"/proc/version", "/proc/cpuinfo"})
    CHECK(done.err.find("'" + path + "' has not the size that it claims") != std::string::npos);
}

TEST_CASE("what is read in a few places to tell files apart is counted, too") {
  const scratch at;
  at.file("a", std::string(100'000, 'a'));
  at.file("b", std::string(100'000, 'b'));
  const outcome done = duplicates(at, {"--json", "a", "b"});
  CHECK(done.status == 0);
  CHECK(done.out.find("\"bytes\":24576,") != std::string::npos);  // three places of 4 KiB of each
}

TEST_CASE("looking for duplicates does not go with printing or checking digests") {
  for (const std::string other : {"-c", "--tag", "--untagged", "--zero", "--tree", "-amd5"})
    CHECK(asyncfs({"hash", "--duplicates", other, "x"}).status == 2);
}
