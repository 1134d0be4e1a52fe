#include "hash/list_reader.hpp"

namespace tool {

asyncfs::task<list_reader::piece> list_reader::next() {
  piece made;
  for (;;) {
    while (made.files.size() < files_a_piece && made.malformed.size() < files_a_piece) {
      const auto line = lines_.take();
      if (!line) break;
      take_line(*line, made);
    }
    if (made.files.size() >= files_a_piece || made.malformed.size() >= files_a_piece) break;
    const auto more = co_await lines_.fill();
    if (!more) made.error = more.error();
    if (!more.value_or(false)) break;
  }
  co_return made;
}

void list_reader::take_line(const record_reader::record& line, piece& into) {
  ++count_;
  std::string_view text = line.text;
  if (!line.too_long && line_parser::says_nothing(text)) return;
  auto parsed = line.too_long ? std::nullopt : parser_.parse(text);
  if (parsed && parsed->path == "-" && from_.is_standard_input()) parsed.reset();  // the list itself
  if (parsed)
    into.files.push_back(*std::move(parsed));
  else
    into.malformed.push_back(count_);
}

}  // namespace tool
