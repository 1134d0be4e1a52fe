// The lines of checksum lists, written and read.
#include <hash/line.hpp>
#include <hash/list_reader.hpp>

#include <asyncfs/file.hpp>
#include <asyncfs/pipe.hpp>
#include <asyncfs/run.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include "../catch.hpp"

using tool::algorithm;
using tool::line_form;
using tool::line_parser;
using tool::list_reader;

namespace {

constexpr std::string_view zeros64 = "0000000000000000000000000000000000000000000000000000000000000000";

std::string with(std::string_view digest, std::string_view rest) { return std::string(digest) + std::string(rest); }

std::optional<std::string> path_in(std::string_view line, std::optional<algorithm> only = {}) {
  const auto parsed = line_parser(only).parse(line);
  return parsed ? std::optional(parsed->path) : std::nullopt;
}

}  // namespace

TEST_CASE("whatever is written is read back") {
  for (const std::string name :
       {"a", " a", "*a", "a b", "a\nb", "a\rb", "a\\b", "\\", "a) = 00", "(", "\xff", "SHA256 (x) = "})
    for (const line_form form : {line_form::plain, line_form::tagged})
      for (const tool::algorithm_info& row : tool::algorithm_table) {
        tool::digest_value digest;
        digest.size = row.bytes;
        for (std::size_t i = 0; i < row.bytes; ++i) digest.bytes[i] = static_cast<unsigned char>(i * 37 + 1);
        std::string line;
        append_line(line, {.form = form, .end = '\n'}, row.which, digest, name);
        REQUIRE(line.back() == '\n');
        line.pop_back();
        CHECK(line.find_first_of("\n\r") == std::string::npos);
        const auto parsed = line_parser(std::nullopt).parse(line);
        INFO(line);
        REQUIRE(parsed);
        CHECK(parsed->path == name);
        CHECK(parsed->digest == digest);
        if (form == line_form::tagged) CHECK(parsed->tagged == row.which);
      }
}

TEST_CASE("lines of trees are read back, and are never taken for a file's") {
  for (const tool::tree_scope scope : {tool::tree_scope::content, tool::tree_scope::mode, tool::tree_scope::all})
    for (const tool::algorithm_info& row : tool::algorithm_table)
      for (const std::string name : {"a", "two\nlines", "a) = 00"}) {
        tool::digest_value digest;
        digest.size = row.bytes;
        digest.bytes[0] = 0xa5;
        std::string line;
        append_tree_line(line, '\n', {scope, row.which}, digest, name);
        line.pop_back();
        INFO(line);
        const auto parsed = line_parser(row.which).parse(line);
        REQUIRE(parsed);
        CHECK(parsed->path == name);
        CHECK(parsed->digest == digest);
        CHECK(parsed->tagged == row.which);
        CHECK(parsed->tree == scope);
      }
  CHECK_FALSE(path_in(with("ASYNCFS-TREE-2-CONTENT-SHA256 (x) = ", zeros64)));
  CHECK_FALSE(path_in(with("ASYNCFS-TREE-1-SHA256 (x) = ", zeros64)));
  CHECK_FALSE(path_in(with("ASYNCFS-TREE-1-CONTENT-MD5 (x) = ", zeros64)));
  CHECK_FALSE(path_in(with("ASYNCFS-TREE-1-CONTENT- (x) = ", zeros64)));
  CHECK_FALSE(line_parser(std::nullopt).parse(with("SHA256 (x) = ", zeros64))->tree);
}

TEST_CASE("lines that end in NUL escape nothing") {
  std::string line;
  tool::digest_value digest;
  digest.size = 4;
  append_line(line, {.form = line_form::plain, .end = '\0'}, algorithm::crc32c, digest, "a\nb\\c");
  CHECK(line == std::string("00000000  a\nb\\c\0", 16));
}

TEST_CASE("the forms that other tools write are understood") {
  CHECK(path_in(with(zeros64, "  name")) == "name");
  CHECK(path_in(with(zeros64, " *name")) == "name");
  CHECK(path_in(with(zeros64, "\tname")) == "name");
  CHECK(path_in(with("  ", with(zeros64, "  name"))) == "name");
  CHECK(path_in("SHA256 (name) = " + std::string(zeros64)) == "name");
  CHECK(path_in("SHA256(name)= " + std::string(zeros64)) == "name");
  CHECK(path_in("SHA256 () = " + std::string(zeros64)).value().empty());
  CHECK(path_in("XXH3_0123456789abcdef  name") == "name");
  CHECK(path_in("\\" + with(zeros64, "  a\\nb\\\\c\\rd")) == "a\nb\\c\rd");
  CHECK(path_in(with(zeros64, "  a\\nb")) == "a\\nb");
  CHECK(path_in("SHA3-256 (x) = " + std::string(zeros64)) == "x");
  CHECK(path_in("00000000  upper and lower", algorithm::crc32c) == "upper and lower");
  CHECK(path_in("ABCDEFab  x", algorithm::crc32c) == "x");
}

TEST_CASE("what is no line of a list is told from one") {
  for (const std::string& line :
       {std::string("x"), std::string(zeros64), with(zeros64, " "), with(zeros64, "x  name"), std::string("0  name"),
        std::string("00  name"), std::string("g0000000  name"), "MD5 (x) = " + std::string(zeros64),
        "SHA256 (x) " + std::string(zeros64), "SHA256 x) = " + std::string(zeros64), "\\" + with(zeros64, "  bad\\x"),
        "\\" + with(zeros64, "  end\\"), with(zeros64, std::string("  a\0b", 5))})
    CHECK_FALSE(path_in(line).has_value());
  CHECK_FALSE(path_in(with(zeros64, "  name"), algorithm::md5).has_value());
  CHECK_FALSE(path_in("MD5 (name) = 00000000000000000000000000000000", algorithm::sha256).has_value());
}

TEST_CASE("a list that began with two characters before names cannot take one away from a later name") {
  line_parser parser(std::nullopt);
  CHECK(parser.parse(with(zeros64, "  name")));
  CHECK_FALSE(parser.parse(with(zeros64, " name")));
  line_parser reversed(std::nullopt);
  CHECK(reversed.parse(with(zeros64, " name"))->path == "name");
  CHECK(reversed.parse(with(zeros64, "  name"))->path == " name");
}

TEST_CASE("comments and blank lines say nothing, and DOS lines end before their carriage return") {
  std::string_view comment = "# words", blank = "", dos = "\r", text = "x\r";
  CHECK(line_parser::says_nothing(comment));
  CHECK(line_parser::says_nothing(blank));
  CHECK(line_parser::says_nothing(dos));
  CHECK_FALSE(line_parser::says_nothing(text));
  CHECK(text == "x");
}

namespace {

struct whole_list {
  std::vector<std::string> paths;
  std::vector<std::uint64_t> malformed;
};

asyncfs::task<whole_list> read_whole(int fd) {
  list_reader list(tool::source{asyncfs::file(fd)}, std::nullopt);
  whole_list all;
  for (;;) {
    list_reader::piece next = co_await list.next();
    if (next.files.empty() && next.malformed.empty()) co_return all;
    for (const tool::listed_file& one : next.files) all.paths.push_back(one.path);
    all.malformed.insert(all.malformed.end(), next.malformed.begin(), next.malformed.end());
  }
}

whole_list read_text(const std::string& text) {
  const int fd = ::memfd_create("list", MFD_CLOEXEC);
  REQUIRE(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  REQUIRE(::lseek(fd, 0, SEEK_SET) == 0);
  return asyncfs::run(read_whole(fd));
}

}  // namespace

TEST_CASE("lists of any length are read, also when the last line has no end") {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += with(zeros64, "  name" + std::to_string(i) + "\n");
  text += with(zeros64, "  last");
  const whole_list all = read_text(text);
  CHECK(all.paths.size() == 5001);
  CHECK(all.paths.front() == "name0");
  CHECK(all.paths.back() == "last");
  CHECK(all.malformed.empty());
}

TEST_CASE("a line that is longer than any path is malformed, and the next one is not") {
  for (const std::size_t length : {list_reader::longest_line + 1, std::size_t{1} << 20}) {
    const whole_list all =
        read_text(with(zeros64, "  " + std::string(length, 'x') + "\n") + with(zeros64, "  next\n") + "bad\n");
    CHECK(all.paths == std::vector<std::string>{"next"});
    CHECK(all.malformed == std::vector<std::uint64_t>{1, 3});
  }
}

TEST_CASE("a list of nothing but malformed lines is read to its end") {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "bad\n";
  const whole_list all = read_text(text);
  CHECK(all.paths.empty());
  CHECK(all.malformed.size() == 3000);
  CHECK(all.malformed.back() == 3000);
}
