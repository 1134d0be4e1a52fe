#include "quoting.hpp"

#include <fmt/format.h>

#include "utf8.hpp"

namespace tool {

namespace {

unsigned byte_of(std::string_view text, std::size_t at) {
  return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u;
}

// Control characters, and those that change how others are shown.
bool is_invisible(std::string_view character) {
  const unsigned a = byte_of(character, 0), b = byte_of(character, 1), c = byte_of(character, 2);
  if (character.size() == 1) return a < 0x20 || a == 0x7f;
  if (a == 0xc2) return b < 0xa0;   // C1 controls
  if (a == 0xd8) return b == 0x9c;  // Arabic letter mark
  if (a == 0xe2 && b == 0x80)
    return (c >= 0x8b && c <= 0x8f) || (c >= 0xa8 && c <= 0xae);  // zero width, marks, embedding
  if (a == 0xe2 && b == 0x81) return c >= 0xa0 && c <= 0xaf;      // isolates, invisible operators
  return a == 0xef && b == 0xbb && c == 0xbf;                     // byte order mark
}

// The bytes that stand for themselves at the beginning of `rest`; 0 when the first must be escaped.
std::size_t printable_length(std::string_view rest) {
  const std::size_t length = utf8_length(rest);
  return length != 0 && !is_invisible(rest.substr(0, length)) ? length : 0;
}

std::string escape_of(unsigned char c) {
  switch (c) {
    case '\a': return "\\a";
    case '\b': return "\\b";
    case '\f': return "\\f";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    case '\v': return "\\v";
    default: return fmt::format("\\{:03o}", c);
  }
}

constexpr std::string_view special_in_shells = " !\"$&()*;<=>[^`|'?\\";

bool is_special(std::string_view name, std::size_t at) {
  const char c = name[at];
  if (c == '#' || c == '~') return at == 0;
  if (c == '{' || c == '}') return name.size() == 1;
  return special_in_shells.find(c) != std::string_view::npos;
}

// Neither a shell nor C, between double quotes, changes it.
bool stands_between_double_quotes(std::string_view name) {
  for (std::size_t i = 0; i < name.size();) {
    const std::size_t length = printable_length(name.substr(i));
    const bool harmless = name[i] == ' ' || name[i] == '\'' || (i == 0 && (name[i] == '#' || name[i] == '~')) ||
                          (std::string_view("#~{}").find(name[i]) == std::string_view::npos && !is_special(name, i));
    if (length == 0 || !harmless) return false;
    i += length;
  }
  return true;
}

}  // namespace

std::string shell_quoted(std::string_view name) {
  if (name.find('\'') != std::string_view::npos && stands_between_double_quotes(name))
    return fmt::format("\"{}\"", name);
  std::string text = "'";
  bool escaping = false;  // between $' and '
  for (std::size_t i = 0; i < name.size();) {
    const std::size_t length = printable_length(name.substr(i));
    if (length == 0) {
      if (!escaping) text += "'$'";
      escaping = true;
      text += escape_of(static_cast<unsigned char>(name[i++]));
      continue;
    }
    if (name[i] == '\'') {
      text += "'\\''";
    } else {
      if (escaping) text += "''";
      text += name.substr(i, length);
    }
    escaping = false;
    i += length;
  }
  text += '\'';
  return text;
}

std::string shell_quoted_if_needed(std::string_view name) {
  bool plain = !name.empty();
  for (std::size_t i = 0; plain && i < name.size();) {
    const std::size_t length = printable_length(name.substr(i));
    plain = length != 0 && name[i] != ':' && !is_special(name, i);
    i += length;
  }
  return plain ? std::string(name) : shell_quoted(name);
}

std::string printable(std::string_view name) {
  for (std::size_t i = 0; i < name.size();) {
    const std::size_t length = printable_length(name.substr(i));
    if (length == 0) return shell_quoted(name);
    i += length;
  }
  return std::string(name);
}

}  // namespace tool
