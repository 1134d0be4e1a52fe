#include "cli/help.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tool {

namespace {

constexpr std::size_t width = 100, column = 30;

// Words of the text from `column` on, in lines that fit.
void append_wrapped(std::string& to, std::size_t at, std::string_view text) {
  const auto next_line = [&] {
    to += '\n';
    to.append(column, ' ');
    at = column;
  };
  if (at + 2 > column)
    next_line();
  else
    to.append(column - at, ' ');
  at = column;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    if (at > column && at + 1 + word.size() > width) next_line();
    if (at > column) {
      to += ' ';
      ++at;
    }
    to += word;
    at += word.size();
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  to += '\n';
}

void append_row(std::string& to, std::string_view name, std::string_view text) {
  to += name;
  append_wrapped(to, name.size(), text);
}

}  // namespace

std::string spelled_out(const option& row) {
  std::string made = row.letter == 0 ? "    " : fmt::format("-{}, ", row.letter);
  made += fmt::format("--{}", row.name);
  if (row.may_be_bare())
    made += fmt::format("[={}]", row.value);
  else if (row.has_value())
    made += fmt::format("={}", row.value);
  return made;
}

std::string help_of_tool(std::span<const command_line> commands) {
  std::string made =
      "Usage: asyncfs COMMAND [OPTIONS] [OPERAND...]\n\n"
      "Copies, hashes and searches trees of files, asynchronously.\n\nCommands:\n";
  for (const command_line& one : commands) append_row(made, fmt::format("  {}", one.name), one.summary);
  made += "\nOptions:\n";
  append_row(made, "  -h, --help",
             "Print this help; behind a command, that of the command: -h in short, --help with all");
  append_row(made, "      --version", "Print the version");
  append_row(made, "      --completions=SHELL", "Print what completes command lines in bash, zsh or fish");
  return made;
}

std::string help_of(const command_line& command, bool all) {
  std::string made =
      fmt::format("Usage: asyncfs {} [OPTIONS] {}\n\n{}.\n", command.name, command.takes.synopsis, command.summary);
  if (!command.takes.help.empty()) {
    made += '\n';
    append_row(made, fmt::format("  {}", command.takes.synopsis), command.takes.help);
  }
  std::vector<std::string_view> groups;
  for (const option& row : command.options)
    if ((all || !row.common) && std::ranges::find(groups, row.group) == groups.end()) groups.push_back(row.group);
  for (const std::string_view group : groups) {
    made += fmt::format("\n{}:\n", group);
    for (const option& row : command.options)
      if (row.group == group && (all || !row.common))
        append_row(made, std::string(2, ' ').append(spelled_out(row)), row.help);
  }
  made += "\nHelp:\n";
  append_row(made, "  -h", "Print the command's own options");
  append_row(made, "      --help", "Print all options");
  return made;
}

}  // namespace tool
