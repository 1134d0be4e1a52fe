#include "grep/search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

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
  const bool with_name, to_terminal;
  std::string marked{};  // "path:", made when the first line needs it

  // What stands before every line and count.
  const std::string& mark() {
    if (with_name && marked.empty()) marked = name() + ":";
    return marked;
  }
  [[nodiscard]] std::string name() const { return to_terminal ? printable(entry.path()) : entry.path(); }
};

searcher::searcher(const pattern& what, const search_options& options, job& whole)
    : matcher_(what), options_(options), whole_(whole), buffer_(read_piece) {}

// False: nothing more is wanted of this file.
bool searcher::search_lines(std::string_view lines, progress& state, std::string& text) {
  std::size_t counted = 0;
  for (std::size_t from = 0; from < lines.size();) {
    line_span line;
    const auto found = matcher_.next(lines, from, line);
    if (found == matcher::outcome::limit) state.so_far.limit_hit = true;
    if (found != matcher::outcome::found) break;
    ++state.so_far.lines;
    if (options_.names_only) return false;
    if (!options_.count) {
      if (state.zero) return false;
      text += state.mark();
      if (options_.numbers) {
        state.lines_before +=
            static_cast<std::uint64_t>(std::count(lines.begin() + static_cast<std::ptrdiff_t>(counted),
                                                  lines.begin() + static_cast<std::ptrdiff_t>(line.begin), '\n'));
        counted = line.begin;
        text += fmt::format("{}:", state.lines_before + 1);
      }
      text += lines.substr(line.begin, line.end - line.begin);
      text += '\n';
    }
    from = line.end + 1;
  }
  if (options_.numbers && !options_.count)
    state.lines_before +=
        static_cast<std::uint64_t>(std::count(lines.begin() + static_cast<std::ptrdiff_t>(counted), lines.end(), '\n'));
  return !state.so_far.limit_hit;
}

asyncfs::task<asyncfs::result<searcher::outcome>> searcher::search(const asyncfs::file& source,
                                                                   const asyncfs::walk_entry& entry, bool with_name,
                                                                   const text_sink& sink) {
  progress state{.so_far = {}, .zero = {}, .entry = entry, .with_name = with_name, .to_terminal = options_.to_terminal};
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
    if (whole > 0) more = search_lines({buffer_.data(), whole}, state, text);
    if (text.size() >= sink_piece) {
      co_await sink(text);
      text.clear();
    }
    if (at_end) break;
    held = total - whole;
    std::memmove(buffer_.data(), buffer_.data() + whole, held);
    state.offset += whole;
  }
  if (buffer_.size() > read_piece) std::vector<char>(read_piece).swap(buffer_);
  if (state.so_far.lines > 0) {
    if (options_.names_only)
      text += fmt::format("{}\n", state.name());
    else if (options_.count)
      text += fmt::format("{}{}\n", state.mark(), state.so_far.lines);
    else if (state.zero)
      text += fmt::format("{}{}binary file matches (found \"\\0\" byte around offset {})\n", state.mark(),
                          with_name ? " " : "", *state.zero);
  }
  if (!text.empty()) co_await sink(text);
  co_return state.so_far;
}

}  // namespace tool
