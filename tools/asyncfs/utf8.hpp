// Well-formed UTF-8, as the Unicode Standard has it (table 3-7).
#pragma once

#include <cstddef>
#include <string_view>

namespace tool {

// Of the character that `rest` begins with, in bytes: 0 when it is malformed, or nothing is left.
[[nodiscard]] std::size_t utf8_length(std::string_view rest) noexcept;
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

}  // namespace tool
