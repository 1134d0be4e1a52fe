// How names of files are shown to people: as GNU tools show them, so that no byte of a name reaches a terminal raw, and
// what is shown can be given back to a shell.
//
// The rules are those of a UTF-8 locale, whatever the locale is: well-formed printable characters stand for themselves,
// all else becomes $'\ooo'. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace tool {

// Always in quotes: 'name', "it's", 'a'$'\n''b'.
[[nodiscard]] std::string shell_quoted(std::string_view name);

// In quotes only where the shell, or a reader of "name: message", needs them: name, 'a b', 'x:y'.
[[nodiscard]] std::string shell_quoted_if_needed(std::string_view name);

// As it is, or in quotes where it holds what a terminal would act upon.
[[nodiscard]] std::string printable(std::string_view name);

}  // namespace tool
