#include "pipeline/json.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "utf8.hpp"

namespace tool {

namespace {

// DEL is no control character to JSON, but is one to terminals.
bool stands_for_itself(char c) { return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\' && c != 0x7f; }

}  // namespace

void append_json_string(std::string& to, std::string_view text) {
  to += '"';
  for (auto from = text.begin(); from != text.end();) {
    const auto special = std::find_if_not(from, text.end(), stands_for_itself);
    to.append(from, special);
    if (special == text.end()) break;
    switch (*special) {
      case '"': to += "\\\""; break;
      case '\\': to += "\\\\"; break;
      case '\b': to += "\\b"; break;
      case '\f': to += "\\f"; break;
      case '\n': to += "\\n"; break;
      case '\r': to += "\\r"; break;
      case '\t': to += "\\t"; break;
      default: to += fmt::format("\\u{:04x}", static_cast<unsigned>(*special));
    }
    from = special + 1;
  }
  to += '"';
}

// As in RFC 4648, section 4.
void append_json_base64(std::string& to, std::string_view bytes) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  to += '"';
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t j = 0; j < 3; ++j)
      three = three << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j) to += j <= count ? alphabet[three >> (18 - 6 * j) & 63] : '=';
  }
  to += '"';
}

void json_line::begin(std::string_view key, std::string_view suffix) {
  if (!first_) to_ += ',';
  first_ = false;
  to_ += '"';
  to_ += key;
  to_ += suffix;
  to_ += "\":";
}

json_line& json_line::text(std::string_view key, std::string_view value) {
  begin(key);
  append_json_string(to_, value);
  return *this;
}
json_line& json_line::number(std::string_view key, std::uint64_t value) {
  begin(key);
  to_ += fmt::format("{}", value);
  return *this;
}
json_line& json_line::real(std::string_view key, double value) {
  begin(key);
  to_ += fmt::format("{:.6f}", value);
  return *this;
}
json_line& json_line::boolean(std::string_view key, bool value) {
  begin(key);
  to_ += value ? "true" : "false";
  return *this;
}
json_line& json_line::bytes(std::string_view key, std::string_view value) {
  if (is_utf8(value)) return text(key, value);
  begin(key, "_base64");
  append_json_base64(to_, value);
  return *this;
}
json_line& json_line::raw(std::string_view key, std::string_view json) {
  begin(key);
  to_ += json;
  return *this;
}
json_line& json_line::members(std::string_view json) {
  if (first_ && !json.empty()) json.remove_prefix(1);
  first_ = first_ && json.empty();
  to_ += json;
  return *this;
}

}  // namespace tool
