#include "message.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace tool {

namespace {

// Printable ASCII stands for itself, and so does well-formed UTF-8 beyond the control and format characters.
std::size_t printable_length(std::string_view rest) {
  const auto byte = [&](std::size_t i) { return i < rest.size() ? static_cast<unsigned char>(rest[i]) : 0u; };
  const unsigned first = byte(0);
  if (first >= 0x20 && first < 0x7f) return 1;
  const std::size_t length = first >= 0xf0 && first <= 0xf4 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (first >= 0xf5 || length == 0) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0u) != 0x80u) return 0;
  if (first == 0xc2 && byte(1) < 0xa0) return 0;                                           // C1 controls
  if (first == 0xe0 && byte(1) < 0xa0) return 0;                                           // overlong
  if (first == 0xed && byte(1) >= 0xa0) return 0;                                          // surrogates
  if (first == 0xf0 && byte(1) < 0x90) return 0;                                           // overlong
  if (first == 0xf4 && byte(1) >= 0x90) return 0;                                          // past U+10FFFF
  if (first == 0xd8 && byte(1) == 0x9c) return 0;                                          // U+061C
  if (first == 0xe2 && byte(1) == 0x80 && (byte(2) >= 0x8b && byte(2) <= 0x8f)) return 0;  // zero width, LRM, RLM
  if (first == 0xe2 && byte(1) == 0x80 && (byte(2) >= 0xa8 && byte(2) <= 0xae)) return 0;  // separators, bidi embedding
  if (first == 0xe2 && byte(1) == 0x81 && (byte(2) >= 0xa0 && byte(2) <= 0xaf)) return 0;  // bidi isolates
  if (first == 0xef && byte(1) == 0xbb && byte(2) == 0xbf) return 0;                       // byte order mark
  return length;
}

std::string escape_of(unsigned char c) {
  switch (c) {
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    default: return fmt::format("\\{:03o}", c);
  }
}

}  // namespace

std::string shell_quoted(std::string_view name) {
  std::string text = "'";
  bool plain = true;
  for (std::size_t i = 0; i < name.size();) {
    const auto c = static_cast<unsigned char>(name[i]);
    const std::size_t length = printable_length(name.substr(i));
    if (length > 0 && c != '\'') {
      if (!plain) text += "''";
      plain = true;
      text += name.substr(i, length);
      i += length;
      continue;
    }
    if (c == '\'') {
      text += plain ? "'\\''" : "\\'";
    } else {
      if (plain) text += "'$'";
      plain = false;
      text += escape_of(c);
    }
    ++i;
  }
  text += '\'';
  return text;
}

void messages::line(std::string_view text) {
  const std::string whole = fmt::format("{}: {}\n", command_, text);
  [[maybe_unused]] const auto written = ::write(fd_, whole.data(), whole.size());  // one call, so lines stay whole
}

void messages::failure(std::string_view what, const std::error_code& why) {
  failure(fmt::format("{}: {}", what, why.message()));
}

void messages::failure(std::string_view what) {
  failed_.test_and_set();
  line(what);
}

void messages::note(std::string_view what) { line(what); }

}  // namespace tool
