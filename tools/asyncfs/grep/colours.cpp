#include "grep/colours.hpp"

#include <fmt/format.h>

namespace tool {

namespace {

// The reset before each colour is ripgrep's habit.
constexpr std::string_view magenta = "\x1b[0m\x1b[35m", green = "\x1b[0m\x1b[32m", bold_red = "\x1b[0m\x1b[1m\x1b[31m",
                           reset = "\x1b[0m";

}  // namespace

std::string coloured_path(std::string_view path) { return fmt::format("{}{}{}", magenta, path, reset); }

std::string coloured_number(std::uint64_t number) { return fmt::format("{}{}{}", green, number, reset); }

void line_painter::stop(std::string& to) {
  if (in_match_) to += reset;
  in_match_ = false;
}

void line_painter::match(std::string& to, std::string_view line, const match_span& where) {
  if (where.begin == where.end) return;
  if (where.begin > painted_) {
    stop(to);
    to += line.substr(painted_, where.begin - painted_);
  }
  if (!in_match_) to += bold_red;
  in_match_ = true;
  to += line.substr(where.begin, where.end - where.begin);
  painted_ = where.end;
}

void line_painter::end_line(std::string& to, std::string_view line) {
  stop(to);
  to += line.substr(painted_);
  to += '\n';
}

}  // namespace tool
