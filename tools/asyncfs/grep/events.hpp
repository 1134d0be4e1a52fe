// What --json prints of a search: ripgrep's events, byte for byte but for times.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "grep/matcher.hpp"

namespace tool {

// Of files with a match that were searched to their end.
struct search_totals {
  std::chrono::nanoseconds elapsed{};
  std::uint64_t searches = 0, bytes_searched = 0, bytes_printed = 0, lines = 0, matches = 0;
  search_totals& operator+=(const search_totals& other) noexcept;
};

// The last line. `more`: further members, each with a comma before it.
[[nodiscard]] std::string summary_event(const search_totals& all, std::chrono::nanoseconds elapsed,
                                        std::string_view more);

// A line of a file, as an event has it.
struct event_line {
  std::string_view bytes;  // with its line break
  std::uint64_t number, offset;
};

// Appends one file's events to texts, piece by piece. Nothing is appended for a file without a match.
class event_writer {
 public:
  explicit event_writer(std::string_view path);

  // Each line that matches: begin_line, match for each of its matches, end_line.
  void begin_line(std::string& to, const event_line& line);
  void match(std::string& to, std::string_view line, const match_span& where);
  void end_line(std::string& to);
  // When the file was searched to its end.
  search_totals end(std::string& to, std::uint64_t bytes_searched, std::optional<std::uint64_t> binary_offset);

 private:
  std::string path_;  // as a member of every event
  std::chrono::steady_clock::time_point begun_;
  search_totals totals_;
  bool first_in_line_ = true;
};

}  // namespace tool
