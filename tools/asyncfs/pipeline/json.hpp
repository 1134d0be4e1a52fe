// Results for programs: one JSON object a line.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace tool {

// Appends `text` in quotes, escaped as RFC 8259 wants it. It must be UTF-8.
void append_json_string(std::string& to, std::string_view text);
// Appends any bytes in quotes, in base64.
void append_json_base64(std::string& to, std::string_view bytes);

// An object that is written member by member. The string must outlive it.
class json_line {
 public:
  explicit json_line(std::string& to) : to_(to) { to_ += '{'; }
  json_line(const json_line&) = delete;
  json_line& operator=(const json_line&) = delete;

  // `key` is plain: nothing in it is escaped.
  json_line& text(std::string_view key, std::string_view value);
  json_line& number(std::string_view key, std::uint64_t value);
  json_line& real(std::string_view key, double value);
  json_line& boolean(std::string_view key, bool value);
  // A name, whatever its bytes: "path", or "path_base64" where it is not UTF-8.
  json_line& bytes(std::string_view key, std::string_view value);
  // What is JSON already.
  json_line& raw(std::string_view key, std::string_view json);
  // Members that are JSON already, each with a comma before it.
  json_line& members(std::string_view json);
  // One of these is to be called once, at last.
  void end() { to_ += "}\n"; }
  void close() { to_ += '}'; }

 private:
  void begin(std::string_view key, std::string_view suffix = {});
  std::string& to_;
  bool first_ = true;
};

}  // namespace tool
