// The lines of checksum lists, as coreutils write and read them.
//
//   HEX  path            GNU; a '*' may stand for the second space
//   TAG (path) = HEX     BSD, and OpenSSL without its spaces; of trees too (tree_digest.hpp)
//
// A path with a newline, carriage return or backslash in it has these written as \n, \r and \\, and its line begins with
// a backslash. Lines that end in NUL escape nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "hash/digest.hpp"
#include "hash/tree_digest.hpp"

namespace tool {

enum class line_form : std::uint8_t { plain, tagged };

struct line_style {
  line_form form = line_form::plain;
  char end = '\n';  // or '\0'
};

// Appends a whole line. Algorithms whose digests would pass for another's are tagged in either form.
void append_line(std::string& to, const line_style& style, algorithm which, const digest_value& digest,
                 std::string_view path);

// The same of a tree's digest.
void append_tree_line(std::string& to, char end, tree_kind what, const digest_value& digest, std::string_view path);

// {"sha256":"...",...}
[[nodiscard]] std::string json_digests(std::span<const algorithm> which, std::span<const digest_value> values);

// With newlines, carriage returns and backslashes written as \n, \r and \\.
[[nodiscard]] std::string escaped(std::string_view path);

// A name in what is said of a listed file: as coreutils write it into pipes; on a terminal, such that it cannot do
// anything there.
enum class verdict_form : std::uint8_t { plain, terminal, json };
struct verdict_style {
  verdict_form form = verdict_form::plain;
  bool coloured = false;  // failures are red
};
[[nodiscard]] std::string verdict_line(const std::string& path, std::string_view verdict, verdict_style style);

// What one line of a list says.
struct listed_file {
  std::optional<algorithm> tagged;  // by name; without one, the length of the digest has to tell
  digest_value digest;
  std::string path;
  std::optional<tree_scope> tree{};  // it is the digest of a tree; `tagged` holds
};

// Reads one list, line after line: the first untagged line decides whether names follow two characters or one.
class line_parser {
 public:
  // With `only`, tags of other algorithms and digests of other lengths are malformed.
  explicit line_parser(std::optional<algorithm> only) noexcept : only_(only) {}

  // `line` is without its end. Nothing: it is malformed.
  [[nodiscard]] std::optional<listed_file> parse(std::string_view line);

  // Blank lines and comments say nothing. Takes the carriage return of a DOS line off.
  [[nodiscard]] static bool says_nothing(std::string_view& line) noexcept;

 private:
  [[nodiscard]] std::optional<listed_file> parse_tagged(std::string_view rest, bool escaped) const;
  [[nodiscard]] std::optional<listed_file> parse_plain(std::string_view rest, bool escaped);

  const std::optional<algorithm> only_;
  // Digest and name with one character between them, as reversed BSD tools write. Never mixed with two in one list:
  // whoever adds a line could otherwise make a name lose its first character.
  std::optional<bool> one_character_between_;
};

}  // namespace tool
