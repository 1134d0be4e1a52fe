#include "hash/list_reader.hpp"

namespace tool {

namespace {

constexpr std::size_t read_piece = std::size_t{64} << 10;

}  // namespace

asyncfs::task<list_reader::piece> list_reader::next() {
  piece made;
  while (made.files.size() < files_a_piece && made.malformed.size() < files_a_piece) {
    const std::size_t end = unread_.find('\n', taken_);
    if (end != std::string::npos) {
      take_line(std::string_view(unread_).substr(taken_, end - taken_), made);
      taken_ = end + 1;
      continue;
    }
    unread_.erase(0, taken_);
    taken_ = 0;
    if (at_end_) {
      if (!unread_.empty() || too_long_) take_line(unread_, made);
      unread_.clear();
      break;
    }
    if (unread_.size() > longest_line) {
      too_long_ = true;
      unread_.clear();
    }
    const std::size_t before = unread_.size();
    unread_.resize(before + read_piece);
    const auto got =
        co_await asyncfs::as_result(from_.file().read(std::as_writable_bytes(std::span(unread_).subspan(before))));
    unread_.resize(before + got.value_or(0));
    at_end_ = !got || *got == 0;
    if (!got) {
      made.error = got.error();
      unread_.clear();
      break;
    }
  }
  co_return made;
}

void list_reader::take_line(std::string_view line, piece& into) {
  ++lines_;
  const bool too_long = std::exchange(too_long_, false) || line.size() > longest_line;
  if (!too_long && line_parser::says_nothing(line)) return;
  auto parsed = too_long ? std::nullopt : parser_.parse(line);
  if (parsed && parsed->path == "-" && from_.is_standard_input()) parsed.reset();  // the list itself
  if (parsed)
    into.files.push_back(*std::move(parsed));
  else
    into.malformed.push_back(lines_);
}

}  // namespace tool
