#include "grep/events.hpp"

#include <fmt/format.h>

#include <iterator>

#include "pipeline/json.hpp"
#include "utf8.hpp"

namespace tool {

namespace {

using std::chrono::nanoseconds;

// Bytes that are mostly text.
void append_data(std::string& to, std::string_view bytes) {
  const bool text = is_utf8(bytes);
  to += text ? R"({"text":)" : R"({"bytes":)";
  if (text)
    append_json_string(to, bytes);
  else
    append_json_base64(to, bytes);
  to += '}';
}

struct duration {
  std::uint64_t seconds, nanoseconds;
  std::string human;
};

duration parts_of(nanoseconds time) {
  constexpr std::uint64_t a_second = 1'000'000'000;
  const auto all = static_cast<std::uint64_t>(time.count());
  return {all / a_second, all % a_second, fmt::format("{:.6f}s", static_cast<double>(all) / a_second)};
}

// Members in the order of the alphabet, as the summary has them.
std::string sorted_duration(nanoseconds time) {
  const duration parts = parts_of(time);
  return fmt::format(R"({{"human":"{}","nanos":{},"secs":{}}})", parts.human, parts.nanoseconds, parts.seconds);
}

// Counts what is appended while it lives.
class counting {
 public:
  counting(const std::string& text, std::uint64_t& into) : text_(text), before_(text.size()), into_(into) {}
  counting(const counting&) = delete;
  counting& operator=(const counting&) = delete;
  ~counting() { into_ += text_.size() - before_; }

 private:
  const std::string& text_;
  const std::size_t before_;
  std::uint64_t& into_;
};

}  // namespace

search_totals& search_totals::operator+=(const search_totals& other) noexcept {
  elapsed += other.elapsed;
  searches += other.searches;
  bytes_searched += other.bytes_searched;
  bytes_printed += other.bytes_printed;
  lines += other.lines;
  matches += other.matches;
  return *this;
}

std::string summary_event(const search_totals& all, nanoseconds elapsed, std::string_view more) {
  return fmt::format(
      R"({{"data":{{"elapsed_total":{},"stats":{{"bytes_printed":{},"bytes_searched":{},"elapsed":{},)"
      R"("matched_lines":{},"matches":{},"searches":{},"searches_with_match":{}}}}},"type":"summary"{}}})"
      "\n",
      sorted_duration(elapsed), all.bytes_printed, all.bytes_searched, sorted_duration(all.elapsed), all.lines,
      all.matches, all.searches, all.searches, more);
}

event_writer::event_writer(std::string_view path) : path_(R"("path":)"), begun_(std::chrono::steady_clock::now()) {
  append_data(path_, path);
}

void event_writer::begin_line(std::string& to, const event_line& line) {
  const counting counted(to, totals_.bytes_printed);
  if (totals_.lines++ == 0)
    fmt::format_to(std::back_inserter(to),
                   R"({{"type":"begin","data":{{{}}}}})"
                   "\n",
                   path_);
  fmt::format_to(std::back_inserter(to), R"({{"type":"match","data":{{{},"lines":)", path_);
  append_data(to, line.bytes);
  fmt::format_to(std::back_inserter(to), R"(,"line_number":{},"absolute_offset":{},"submatches":[)", line.number,
                 line.offset);
  first_in_line_ = true;
}

void event_writer::match(std::string& to, std::string_view line, const match_span& where) {
  const counting counted(to, totals_.bytes_printed);
  ++totals_.matches;
  if (!first_in_line_) to += ',';
  first_in_line_ = false;
  to += R"({"match":)";
  append_data(to, line.substr(where.begin, where.end - where.begin));
  fmt::format_to(std::back_inserter(to), R"(,"start":{},"end":{}}})", where.begin, where.end);
}

void event_writer::end_line(std::string& to) {
  const counting counted(to, totals_.bytes_printed);
  to += "]}}\n";
}

search_totals event_writer::end(std::string& to, std::uint64_t bytes_searched,
                                std::optional<std::uint64_t> binary_offset) {
  if (totals_.lines == 0) return {};
  totals_.searches = 1;
  totals_.bytes_searched = bytes_searched;
  totals_.elapsed = std::chrono::steady_clock::now() - begun_;
  const duration elapsed = parts_of(totals_.elapsed);
  fmt::format_to(
      std::back_inserter(to),
      R"({{"type":"end","data":{{{},"binary_offset":{},"stats":{{"elapsed":{{"secs":{},"nanos":{},"human":"{}"}},)"
      R"("searches":1,"searches_with_match":1,"bytes_searched":{},"bytes_printed":{},"matched_lines":{},)"
      R"("matches":{}}}}}}})"
      "\n",
      path_, binary_offset ? std::to_string(*binary_offset) : "null", elapsed.seconds, elapsed.nanoseconds,
      elapsed.human, totals_.bytes_searched, totals_.bytes_printed, totals_.lines, totals_.matches);
  return totals_;
}

}  // namespace tool
