// Reads a checksum list piece by piece, so that lists of any length take the same memory.
//
// Calls come one after the other, from any loop.
#pragma once

#include <asyncfs/file.hpp>
#include <asyncfs/task.hpp>

#include <optional>
#include <string>
#include <vector>

#include "hash/line.hpp"
#include "hash/source.hpp"
#include "pipeline/record_reader.hpp"

namespace tool {

class list_reader {
 public:
  list_reader(source from, std::optional<algorithm> only) noexcept : from_(std::move(from)), parser_(only) {}
  list_reader(const list_reader&) = delete;
  list_reader& operator=(const list_reader&) = delete;

  // Longer lines are malformed: no path is that long.
  static constexpr std::size_t longest_line = std::size_t{64} << 10;
  // About this many at a time.
  static constexpr std::size_t files_a_piece = 1024;

  struct piece {
    std::vector<listed_file> files;
    std::vector<std::uint64_t> malformed;  // line numbers, from 1
    std::error_code error{};               // of reading; ends the list
  };
  // The next part; at the end, one with neither files nor malformed lines.
  asyncfs::task<piece> next();

 private:
  void take_line(const record_reader::record& line, piece& into);

  source from_;
  line_parser parser_;
  record_reader lines_{from_.file(), '\n', longest_line};
  std::uint64_t count_ = 0;  // of lines so far
};

}  // namespace tool
