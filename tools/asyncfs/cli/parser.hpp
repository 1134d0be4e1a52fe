// From the words of a command line into the functions of a table.
#pragma once

#include <span>
#include <variant>

#include "cli/option.hpp"

namespace tool {

// What the words ask for.
struct asks_for_help {
  const command_line* of;  // null: of the whole tool
  bool all;                // --help, not -h
};
struct asks_for_version {};
struct asks_for_completions {
  std::string shell;
};
struct misused {
  std::string_view command;  // empty: none was chosen yet
  std::string reason;
};
using request = std::variant<const command_line*, asks_for_help, asks_for_version, asks_for_completions, misused>;

// Options of the command that was chosen have been taken when it is returned.
[[nodiscard]] request parse(int argc, const char* const* argv, std::span<const command_line> commands);

inline constexpr std::string_view shells[] = {"bash", "zsh", "fish"};

}  // namespace tool
