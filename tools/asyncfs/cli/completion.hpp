// Scripts that complete command lines in shells, made from the tables.
#pragma once

#include <span>

#include "cli/option.hpp"

namespace tool {

// `shell` is one of `shells` (parser.hpp).
[[nodiscard]] std::string completions_for(std::string_view shell, std::span<const command_line> commands);

}  // namespace tool
