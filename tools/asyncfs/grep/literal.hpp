// Finds a byte string in a buffer, fast: two of its bytes, the rarest, are compared at 16 or 32 places at a time.
//
// Immutable after construction; any thread.
#pragma once

#include <string>
#include <string_view>

namespace tool {

class literal_finder {
 public:
  // `needle` must not be empty.
  explicit literal_finder(std::string needle);

  // The first occurrence at or after `from`, or npos.
  [[nodiscard]] std::size_t find(std::string_view text, std::size_t from) const noexcept;
  [[nodiscard]] const std::string& needle() const noexcept { return needle_; }

 private:
  std::string needle_;
  std::size_t first_ = 0, second_ = 0;  // places of the two bytes, first_ <= second_
};

}  // namespace tool
