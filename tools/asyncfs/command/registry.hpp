// The commands there are. A new one is a file command/NAME.cpp that defines NAME_command_line, and its name in
// meson.build.
#pragma once

#include <vector>

#include "cli/option.hpp"

// FOR_EACH_COMMAND(X): X(copy) X(grep) ...; made by the build.
#include "commands_of_build.hpp"

namespace tool {

#define ASYNCFS_DECLARE(name) [[nodiscard]] command_line name##_command_line();
FOR_EACH_COMMAND(ASYNCFS_DECLARE)
#undef ASYNCFS_DECLARE

[[nodiscard]] std::vector<command_line> all_commands();

}  // namespace tool
