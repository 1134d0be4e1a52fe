#include "hash/line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "pipeline/json.hpp"
#include "quoting.hpp"

namespace tool {

namespace {

bool is_escaped(char c) noexcept { return c == '\n' || c == '\r' || c == '\\'; }

bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

int value_of(char hex) noexcept {
  if (hex >= '0' && hex <= '9') return hex - '0';
  if (hex >= 'a' && hex <= 'f') return hex - 'a' + 10;
  if (hex >= 'A' && hex <= 'F') return hex - 'A' + 10;
  return -1;
}

std::optional<digest_value> parse_hexadecimal(std::string_view text) {
  if (text.empty() || text.size() % 2 != 0 || text.size() / 2 > most_digest_bytes) return std::nullopt;
  digest_value made;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = value_of(text[i]), low = value_of(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    made.bytes[made.size++] = static_cast<unsigned char>(high * 16 + low);
  }
  return made;
}

std::optional<std::string> unescaped(std::string_view text) {
  std::string path;
  path.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      path += text[i];
      continue;
    }
    if (++i == text.size()) return std::nullopt;
    switch (text[i]) {
      case 'n': path += '\n'; break;
      case 'r': path += '\r'; break;
      case '\\': path += '\\'; break;
      default: return std::nullopt;
    }
  }
  return path;
}

// A name as the line has it. No file can have a NUL in its name.
std::optional<std::string> parse_path(std::string_view text, bool escaped) {
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  return escaped ? unescaped(text) : std::string(text);
}

// OpenSSL 3 has names of its own for some, and newer coreutils read them too.
constexpr std::pair<std::string_view, algorithm> other_tags[] = {
    {"SHA2-224", algorithm::sha224}, {"SHA2-256", algorithm::sha256},     {"SHA2-384", algorithm::sha384},
    {"SHA2-512", algorithm::sha512}, {"BLAKE2B-512", algorithm::blake2b},
};

const algorithm_info* take_any_tag(std::string_view& rest) noexcept {
  for (const auto& [tag, which] : other_tags)
    if (rest.starts_with(tag)) {
      rest.remove_prefix(tag.size());
      return &describe(which);
    }
  return take_tag(rest);
}

}  // namespace

std::string escaped(std::string_view path) {
  std::string text;
  text.reserve(path.size());
  for (const char c : path) switch (c) {
      case '\n': text += "\\n"; break;
      case '\r': text += "\\r"; break;
      case '\\': text += "\\\\"; break;
      default: text += c;
    }
  return text;
}

std::string json_digests(std::span<const algorithm> which, std::span<const digest_value> values) {
  std::string made;
  for (std::size_t i = 0; i < which.size(); ++i) {
    made += fmt::format("{}\"{}\":\"", i == 0 ? '{' : ',', describe(which[i]).name);
    values[i].append_hexadecimal(made);
    made += '"';
  }
  made += '}';
  return made;
}

std::string verdict_line(const std::string& path, std::string_view verdict, verdict_style style) {
  std::string line;
  switch (style.form) {
    case verdict_form::json:
      json_line(line).text("type", "check").bytes("path", path).text("verdict", verdict).end();
      return line;
    case verdict_form::terminal: line = shell_quoted_if_needed(path); break;
    case verdict_form::plain:
      if (path.find('\n') == std::string::npos)
        line = path;
      else
        line.append(1, '\\').append(escaped(path));
      break;
  }
  const bool red = style.coloured && verdict.starts_with("FAILED");
  line += ": ";
  if (red) line += "\x1b[31m";
  line += verdict;
  if (red) line += "\x1b[0m";
  line += '\n';
  return line;
}

namespace {

// A path as a line has it: escaped, with a mark for the line's beginning, where there is something to escape.
class written_path {
 public:
  written_path(std::string_view path, char end)
      : escapes_(end == '\n' && std::ranges::any_of(path, is_escaped)),
        escaped_(escapes_ ? escaped(path) : std::string()),
        plain_(path) {}
  [[nodiscard]] std::string_view mark() const noexcept { return escapes_ ? "\\" : ""; }
  [[nodiscard]] std::string_view name() const noexcept { return escapes_ ? escaped_ : plain_; }

 private:
  const bool escapes_;
  const std::string escaped_;
  const std::string_view plain_;
};

void append_tagged(std::string& to, char end, std::string_view tag, const digest_value& digest, std::string_view path) {
  const written_path written(path, end);
  to += written.mark();
  to += tag;
  to += " (";
  to += written.name();
  to += ") = ";
  digest.append_hexadecimal(to);
  to += end;
}

}  // namespace

void append_line(std::string& to, const line_style& style, algorithm which, const digest_value& digest,
                 std::string_view path) {
  const algorithm_info& info = describe(which);
  constexpr std::size_t most_around = 32;  // tags, spaces and the like
  to.reserve(to.size() + 2 * digest.size + path.size() + most_around);
  if (style.form == line_form::tagged || info.always_tagged) {
    append_tagged(to, style.end, info.tag, digest, path);
    return;
  }
  const written_path written(path, style.end);
  to += written.mark();
  digest.append_hexadecimal(to);
  to += "  ";
  to += written.name();
  to += style.end;
}

void append_tree_line(std::string& to, char end, tree_kind what, const digest_value& digest, std::string_view path) {
  append_tagged(to, end, tree_tag(what.scope, what.which), digest, path);
}

bool line_parser::says_nothing(std::string_view& line) noexcept {
  if (line.starts_with('#')) return true;
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line.empty();
}

std::optional<listed_file> line_parser::parse(std::string_view line) {
  while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
  const bool escaped = line.starts_with('\\');
  if (escaped) line.remove_prefix(1);
  if (auto tagged = parse_tagged(line, escaped)) return tagged;
  return parse_plain(line, escaped);
}

// "TAG (path) = HEX"; the last ')' ends the path, which may have others.
std::optional<listed_file> line_parser::parse_tagged(std::string_view rest, bool escaped) const {
  const auto tree = take_tree_tag(rest);
  const algorithm_info* const info = tree ? &describe(tree->which) : take_any_tag(rest);
  if (info == nullptr || (only_ && *only_ != info->which)) return std::nullopt;
  if (rest.starts_with(' ')) rest.remove_prefix(1);
  if (!rest.starts_with('(')) return std::nullopt;
  const std::size_t close = rest.rfind(')');
  if (close == std::string_view::npos) return std::nullopt;
  const std::string_view name = rest.substr(1, close - 1);
  rest.remove_prefix(close + 1);
  const auto skip_blanks = [&rest] {
    while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
  };
  skip_blanks();
  if (!rest.starts_with('=')) return std::nullopt;
  rest.remove_prefix(1);
  skip_blanks();
  auto digest = parse_hexadecimal(rest);
  auto path = parse_path(name, escaped);
  if (!digest || digest->size != info->bytes || !path) return std::nullopt;
  return listed_file{info->which, *digest, *std::move(path), tree ? std::optional(tree->scope) : std::nullopt};
}

std::optional<listed_file> line_parser::parse_plain(std::string_view rest, bool escaped) {
  std::optional<algorithm> tagged;
  constexpr std::string_view xxh3_mark = "XXH3_";  // of newer xxhsum's untagged lines
  if (rest.starts_with(xxh3_mark)) {
    tagged = algorithm::xxh3;
    rest.remove_prefix(xxh3_mark.size());
  }
  const auto blank = std::ranges::find_if(rest, is_blank);
  const auto length = static_cast<std::size_t>(blank - rest.begin());
  auto digest = parse_hexadecimal(rest.substr(0, length));
  if (!digest || blank == rest.end()) return std::nullopt;
  if (only_ && digest->size != describe(*only_).bytes) return std::nullopt;
  const bool known_length =
      std::ranges::any_of(algorithm_table, [&](const algorithm_info& row) { return row.bytes == digest->size; });
  if (!known_length) return std::nullopt;
  rest.remove_prefix(length + 1);
  const bool one_between = rest.size() == 1 || !(rest.starts_with(' ') || rest.starts_with('*'));
  if (one_between) {
    if (one_character_between_ == false) return std::nullopt;
    one_character_between_ = true;
  } else if (one_character_between_ != true) {
    one_character_between_ = false;
    rest.remove_prefix(1);
  }
  auto path = parse_path(rest, escaped);
  if (!path || path->empty()) return std::nullopt;
  return listed_file{tagged, *digest, *std::move(path)};
}

}  // namespace tool
