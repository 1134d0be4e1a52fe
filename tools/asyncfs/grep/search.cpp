#include "grep/search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "grep/colours.hpp"
#include "quoting.hpp"

namespace tool {

namespace {

constexpr std::size_t read_piece = std::size_t{64} << 10;
constexpr std::size_t longest_line = std::size_t{256} << 20;  // held whole in memory
constexpr std::size_t sink_piece = std::size_t{64} << 10;

}  // namespace

struct searcher::progress {
  outcome so_far;
  std::uint64_t lines_before = 0;     // line breaks passed, for line numbers
  std::uint64_t offset = 0;           // of the buffer's begin in the file
  std::optional<std::uint64_t> zero;  // where the first NUL byte is: a binary file
  const asyncfs::walk_entry& entry;
  const bool with_name, to_terminal, coloured;
  std::string marked{};  // "path:", made when the first line needs it

  // Of the buffer's lines.
  std::size_t from = 0;     // those before it are done
  std::size_t counted = 0;  // their breaks are in lines_before up to here
  // The line whose matches are being told.
  bool in_line = false;
  line_span line{};
  match_cursor cursor{};
  std::optional<event_writer> events{};  // json
  line_painter painter{};                // coloured

  // What stands before every line and count.
  const std::string& mark() {
    if (with_name && marked.empty()) marked = name() + ":";
    return marked;
  }
  [[nodiscard]] std::string name() const {
    const std::string plain = to_terminal ? printable(entry.path()) : entry.path();
    return coloured ? coloured_path(plain) : plain;
  }
  [[nodiscard]] std::string number() const {
    return coloured ? coloured_number(lines_before + 1) + ":" : fmt::format("{}:", lines_before + 1);
  }
  void count_lines(std::string_view lines, std::size_t until) {
    lines_before += static_cast<std::uint64_t>(std::count(lines.begin() + static_cast<std::ptrdiff_t>(counted),
                                                          lines.begin() + static_cast<std::ptrdiff_t>(until), '\n'));
    counted = until;
  }
  // Without its break.
  [[nodiscard]] std::string_view shown_line(std::string_view lines) const {
    return lines.substr(line.begin, line.end - line.begin);
  }
  [[nodiscard]] bool has_break(std::string_view lines) const { return line.end < lines.size(); }
};

searcher::searcher(const pattern& what, const search_options& options, job& whole)
    : matcher_(what),
      options_(options),
      detailed_(options.json || (options.coloured && !options.count && !options.names_only)),
      whole_(whole),
      buffer_(read_piece) {}

// False: nothing more is wanted of this file. True: the lines are done, or the text is full, so that the rest of them,
// perhaps of a line, is for the next call.
bool searcher::search_lines(std::string_view lines, progress& state, std::string& text) {
  if (state.in_line && !detail(lines, state, text)) return !state.so_far.limit_hit;
  const bool numbered = (options_.numbers || options_.json) && !options_.count;
  while (state.from < lines.size()) {
    const auto found = matcher_.next(lines, state.from, state.line);
    if (found == matcher::outcome::limit) state.so_far.limit_hit = true;
    if (found != matcher::outcome::found) break;
    ++state.so_far.lines;
    if (options_.names_only) return false;
    if (!options_.count) {
      if (state.zero && !options_.json) return false;
      if (numbered) state.count_lines(lines, state.line.begin);
      if (detailed_) {
        begin_detailed(lines, state, text);
        if (!detail(lines, state, text)) return !state.so_far.limit_hit;
        continue;
      }
      text += state.mark();
      if (options_.numbers) text += state.number();
      text += state.shown_line(lines);
      text += '\n';
    }
    state.from = state.line.end + 1;
  }
  if (numbered) state.count_lines(lines, lines.size());
  state.from = lines.size();
  return !state.so_far.limit_hit;
}

void searcher::begin_detailed(std::string_view lines, progress& state, std::string& text) {
  state.in_line = true;
  state.cursor = {};
  if (state.events) {
    const std::size_t length = state.line.end - state.line.begin + (state.has_break(lines) ? 1 : 0);
    state.events->begin_line(
        text, {lines.substr(state.line.begin, length), state.lines_before + 1, state.offset + state.line.begin});
    return;
  }
  text += state.mark();
  if (options_.numbers) text += state.number();
  state.painter.begin_line();
}

// Tells the matches of a line. False: the text is full before the line is done, or the matcher gave up.
bool searcher::detail(std::string_view lines, progress& state, std::string& text) {
  const std::string_view line = state.shown_line(lines);
  match_span match;
  auto found = matcher::outcome::found;
  while (text.size() < sink_piece) {
    found = matcher_.next_match(line, state.has_break(lines), state.cursor, match);
    if (found != matcher::outcome::found) break;
    if (state.events)
      state.events->match(text, line, match);
    else
      state.painter.match(text, line, match);
  }
  if (found == matcher::outcome::found) return false;
  if (state.events)
    state.events->end_line(text);
  else
    state.painter.end_line(text, line);
  state.in_line = false;
  state.from = state.line.end + 1;
  state.so_far.limit_hit = found == matcher::outcome::limit;
  return !state.so_far.limit_hit;
}

// Delivers what search_lines leaves to further calls. A line of which a part was delivered is delivered to its end here,
// since the next read may be cancelled; deliveries are not.
asyncfs::task<bool> searcher::search_in_pieces(std::string_view lines, progress& state, std::string& text,
                                               const text_sink& sink) {
  bool more = search_lines(lines, state, text), broken = false;
  for (;;) {
    const bool done = !more || state.from >= lines.size();
    if (done && !broken) co_return more;
    co_await sink(text);
    text.clear();
    broken = !done;
    if (broken) more = search_lines(lines, state, text);
  }
}

void searcher::print_end(progress& state, std::string& text) const {
  if (state.events) {
    // What was not searched to its end has none, as when it cannot be read.
    if (!state.so_far.limit_hit && !state.so_far.line_too_long)
      state.so_far.totals = state.events->end(text, state.offset, state.zero);
  } else if (state.so_far.lines == 0) {
    return;
  } else if (options_.names_only) {
    text += fmt::format("{}\n", state.name());
  } else if (options_.count) {
    text += fmt::format("{}{}\n", state.mark(), state.so_far.lines);
  } else if (state.zero) {
    text += fmt::format("{}{}binary file matches (found \"\\0\" byte around offset {})\n", state.mark(),
                        state.with_name ? " " : "", *state.zero);
  }
}

asyncfs::task<asyncfs::result<searcher::outcome>> searcher::search(const asyncfs::file& source,
                                                                   const asyncfs::walk_entry& entry, bool with_name,
                                                                   const text_sink& sink) {
  progress state{.so_far = {},
                 .zero = {},
                 .entry = entry,
                 .with_name = with_name,
                 .to_terminal = options_.to_terminal,
                 .coloured = options_.coloured};
  if (options_.json) state.events.emplace(entry.path());
  std::string text;
  std::size_t held = 0;  // bytes in the buffer: the beginning of a line whose end has not come yet
  bool more = true, seekable = true;
  while (more) {
    if (held == buffer_.size()) {
      if (held >= longest_line) {
        state.so_far.line_too_long = true;
        break;
      }
      buffer_.resize(buffer_.size() * 2);
    }
    const std::span<std::byte> room(reinterpret_cast<std::byte*>(buffer_.data()) + held, buffer_.size() - held);
    const auto got = co_await whole_.read_at(source, room, seekable ? state.offset + held : asyncfs::stream_position);
    if (!got && got.error().value() == ESPIPE && seekable) {
      seekable = false;
      continue;
    }
    if (!got) co_return asyncfs::failure(got.error());
    std::string_view fresh(buffer_.data() + held, *got);
    if (!state.zero) {
      const std::size_t zero = fresh.find('\0');
      if (zero != std::string_view::npos) state.zero = state.offset + held + zero;
    }
    // In a binary file a NUL byte ends a line too, as in ripgrep.
    if (state.zero)
      std::replace(buffer_.begin() + static_cast<std::ptrdiff_t>(held),
                   buffer_.begin() + static_cast<std::ptrdiff_t>(held + *got), '\0', '\n');
    const std::size_t total = held + *got;
    const bool at_end = *got == 0;
    const void* last_break = *got == 0 ? nullptr : ::memrchr(fresh.data(), '\n', fresh.size());
    const std::size_t whole = at_end ? total
                              : last_break == nullptr
                                  ? 0
                                  : static_cast<std::size_t>(static_cast<const char*>(last_break) - buffer_.data()) + 1;
    const std::string_view lines(buffer_.data(), whole);
    state.from = state.counted = 0;
    if (!detailed_)
      more = search_lines(lines, state, text);
    else
      more = co_await search_in_pieces(lines, state, text, sink);
    if (text.size() >= sink_piece) {
      co_await sink(text);
      text.clear();
    }
    held = total - whole;
    state.offset += whole;
    if (at_end) break;
    std::memmove(buffer_.data(), buffer_.data() + whole, held);
  }
  if (buffer_.size() > read_piece) std::vector<char>(read_piece).swap(buffer_);
  print_end(state, text);
  if (!text.empty()) co_await sink(text);
  co_return state.so_far;
}

}  // namespace tool
