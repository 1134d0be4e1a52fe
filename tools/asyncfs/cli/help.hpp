// What --help says, made from the tables.
#pragma once

#include <span>

#include "cli/option.hpp"

namespace tool {

[[nodiscard]] std::string help_of_tool(std::span<const command_line> commands);
// Options by purpose; with `all` those too that commands on trees have in common.
[[nodiscard]] std::string help_of(const command_line& command, bool all);
// "-j, --jobs=N", "--tree[=SCOPE]"
[[nodiscard]] std::string spelled_out(const option& row);

}  // namespace tool
