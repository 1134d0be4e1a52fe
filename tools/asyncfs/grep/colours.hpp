// What --color makes of a search's lines: ripgrep's default colours, in its very sequences.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "grep/matcher.hpp"

namespace tool {

[[nodiscard]] std::string coloured_path(std::string_view path);
[[nodiscard]] std::string coloured_number(std::uint64_t number);

// Appends a line with its matches in colour. Those that touch are one coloured piece; empty ones do not show.
class line_painter {
 public:
  void begin_line() noexcept { *this = {}; }
  void match(std::string& to, std::string_view line, const match_span& where);
  void end_line(std::string& to, std::string_view line);

 private:
  void stop(std::string& to);
  std::size_t painted_ = 0;  // how much of the line was appended
  bool in_match_ = false;
};

}  // namespace tool
