// Reads what is separated by newlines or NULs, piece by piece, so that input of any length takes the same memory.
//
// Calls come one after the other, from any loop.
#pragma once

#include <asyncfs/file.hpp>
#include <asyncfs/task.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace tool {

class record_reader {
 public:
  // The file must outlive it. Records beyond `longest` bytes come cut short, as too long.
  record_reader(const asyncfs::file& from, char end, std::size_t longest) noexcept
      : from_(from), end_(end), longest_(longest) {}

  struct record {
    std::string_view text;  // until the next call
    bool too_long;
  };
  // The next one, if it was read already.
  [[nodiscard]] std::optional<record> take();
  // Reads on, from where the file is. False at the end.
  asyncfs::task<asyncfs::result<bool>> fill();

 private:
  const asyncfs::file& from_;
  const char end_;
  const std::size_t longest_;
  std::string unread_;
  std::size_t taken_ = 0;
  bool at_end_ = false, too_long_ = false;
};

}  // namespace tool
