// Lines of checksum lists: whatever they hold, parsing ends, and what was understood can be written and read again.
#include <hash/line.hpp>

#include "fuzz.hpp"

using tool::line_form;
using tool::line_parser;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  line_parser parser(std::nullopt);
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    if (line_parser::says_nothing(line)) continue;
    const auto parsed = parser.parse(line);
    if (!parsed) continue;
    fuzz::require(parsed->path.find('\0') == std::string::npos, "a path that no file can have");
    if (parsed->path.empty()) continue;  // nor has one this, but sha256sum tries to open it
    for (const tool::algorithm_info& row : tool::algorithm_table) {
      if (row.bytes != parsed->digest.size) continue;
      for (const line_form form : {line_form::plain, line_form::tagged}) {
        std::string written;
        append_line(written, {.form = form, .end = '\n'}, row.which, parsed->digest, parsed->path);
        written.pop_back();
        fuzz::require(written.find_first_of("\n\r") == std::string::npos, "a line that is two");
        const auto again = line_parser(row.which).parse(written);
        fuzz::require(again && again->path == parsed->path && again->digest == parsed->digest, "not read as written");
      }
    }
  }
  return 0;
}
