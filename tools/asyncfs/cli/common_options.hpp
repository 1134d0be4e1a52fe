// The options that every command on trees has.
#pragma once

#include "cli/option.hpp"
#include "pipeline/tree_options.hpp"

namespace tool {

// Adds them; `into` is the command's.
void add_common_options(command_line& to, tree_options& into);

// The engines by name, as --engine takes them.
[[nodiscard]] option engine_option(asyncfs::engine_kind& into, std::string_view group);

}  // namespace tool
