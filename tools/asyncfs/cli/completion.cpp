#include "cli/completion.hpp"

#include <fmt/format.h>

namespace tool {

namespace {

std::string joined(const std::vector<std::string_view>& words) { return fmt::format("{}", fmt::join(words, " ")); }

std::string command_names(std::span<const command_line> commands) {
  std::vector<std::string_view> names;
  for (const command_line& one : commands) names.push_back(one.name);
  return joined(names);
}

// Between single quotes in a shell.
std::string quoted(std::string_view text) {
  std::string made = "'";
  for (const char c : text) {
    if (c == '\'')
      made += "'\\''";
    else
      made += c;
  }
  return made + "'";
}

// ---- bash ----------------------------------------------------------------------------------------------------------

constexpr std::string_view bash_begin = R"(# bash completion for asyncfs
_asyncfs() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command= option= i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -*) ;;
      *) command=${COMP_WORDS[i]}; break ;;
    esac
  done
  # The shell takes --option=value apart at the sign.
  if [[ $current == = ]]; then
    option=$previous current=
  elif [[ $previous == = ]]; then
    option=${COMP_WORDS[COMP_CWORD-2]}
  elif [[ $previous == -* ]]; then
    option=$previous
  fi
)";

std::string bash_value(const option& row) {
  switch (row.kind) {
    case value_kind::choice: return fmt::format("COMPREPLY=($(compgen -W '{}' -- \"$current\"))", joined(row.choices));
    case value_kind::file: return "compopt -o default";
    case value_kind::directory: return "COMPREPLY=($(compgen -d -- \"$current\"))";
    case value_kind::word: return ":";
  }
  return {};
}

void append_bash_command(std::string& to, const command_line& command) {
  to += fmt::format("    {})\n      case $option in\n", command.name);
  std::string names;
  for (const option& row : command.options) {
    names += fmt::format("{}--{}", names.empty() ? "" : " ", row.name);
    if (row.letter != 0) names += fmt::format(" -{}", row.letter);
    if (!row.has_value()) continue;
    // A value that may be left out comes behind a sign or not at all.
    const std::string only_with_sign =
        row.may_be_bare() ? "[[ $previous == = || ${COMP_WORDS[COMP_CWORD]} == = ]] && " : "";
    to += fmt::format("        --{}{}) {}{{ {}; return; }} ;;\n", row.name,
                      row.letter == 0 ? "" : fmt::format("|-{}", row.letter), only_with_sign, bash_value(row));
  }
  to += fmt::format("      esac\n      names='{} -h --help'\n      ;;\n", names);
}

std::string bash(std::span<const command_line> commands) {
  std::string made(bash_begin);
  made += "  local names=\n  case $command in\n";
  for (const command_line& one : commands) append_bash_command(made, one);
  made += fmt::format(
      "    *)\n"
      "      [[ $option == --completions ]] && {{ COMPREPLY=($(compgen -W 'bash zsh fish' -- \"$current\")); return; "
      "}}\n"
      "      COMPREPLY=($(compgen -W '{} -h --help --version --completions' -- \"$current\"))\n"
      "      return ;;\n"
      "  esac\n"
      "  if [[ $current == -* ]]; then\n"
      "    COMPREPLY=($(compgen -W \"$names\" -- \"$current\"))\n"
      "  else\n"
      "    compopt -o default\n"
      "  fi\n"
      "}}\n"
      "complete -F _asyncfs asyncfs\n",
      command_names(commands));
  return made;
}

// ---- zsh -----------------------------------------------------------------------------------------------------------

// In the brackets of a specification of _arguments.
std::string zsh_text(std::string_view text) {
  std::string made;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') made += '\\';
    made += c;
  }
  return made;
}

std::string zsh_action(value_kind kind, const std::vector<std::string_view>& choices) {
  switch (kind) {
    case value_kind::choice: return fmt::format("({})", joined(choices));
    case value_kind::file: return "_files";
    case value_kind::directory: return "_files -/";
    case value_kind::word: return "";
  }
  return {};
}

void append_zsh_option(std::string& to, const option& row) {
  std::string value;
  if (row.has_value())
    value =
        fmt::format("{}{}:{}", row.may_be_bare() ? "::" : ":", zsh_text(row.value), zsh_action(row.kind, row.choices));
  const std::string help = fmt::format("[{}]", zsh_text(row.help));
  // '*': any option may be given again.
  to += fmt::format("        {} \\\n", quoted(fmt::format("*--{}{}{}{}", row.name,
                                                          !row.has_value()    ? ""
                                                          : row.may_be_bare() ? "=-"
                                                                              : "=",
                                                          help, value)));
  if (row.letter != 0)
    to += fmt::format("        {} \\\n",
                      quoted(fmt::format("*-{}{}{}{}", row.letter, row.has_value() ? "+" : "", help, value)));
}

std::string zsh(std::span<const command_line> commands) {
  std::string made =
      "#compdef asyncfs\n_asyncfs() {\n  local context state state_descr line\n  typeset -A opt_args\n"
      "  _arguments -C \\\n    '(- *)'{-h,--help}'[Print help]' '(- *)--version[Print the version]' \\\n"
      "    '--completions=[Print completions]:SHELL:(bash zsh fish)' \\\n"
      "    '1:command:->command' '*::operand:->operand'\n  case $state in\n    command)\n      local -a commands=(\n";
  for (const command_line& one : commands)
    made += fmt::format("        {}\n", quoted(fmt::format("{}:{}", one.name, zsh_text(one.summary))));
  made += "      )\n      _describe command commands ;;\n    operand)\n      case $words[1] in\n";
  for (const command_line& one : commands) {
    made += fmt::format("      {})\n        _arguments -s -S \\\n", one.name);
    for (const option& row : one.options) append_zsh_option(made, row);
    made +=
        fmt::format("        '(- *)'{{-h,--help}}'[Print help]' '*:operand:{}' ;;\n", zsh_action(one.takes.kind, {}));
  }
  made += "      esac ;;\n  esac\n}\n_asyncfs \"$@\"\n";
  return made;
}

// ---- fish ----------------------------------------------------------------------------------------------------------

std::string fish(std::span<const command_line> commands) {
  std::string made = "# fish completion for asyncfs\n";
  const auto first = "-n __fish_use_subcommand";
  made += fmt::format("complete -c asyncfs {} -f\n", first);
  for (const command_line& one : commands)
    made += fmt::format("complete -c asyncfs {} -a {} -d {}\n", first, one.name, quoted(one.summary));
  made += fmt::format("complete -c asyncfs {} -s h -l help -d 'Print help'\n", first);
  made += fmt::format("complete -c asyncfs {} -l version -d 'Print the version'\n", first);
  made += fmt::format("complete -c asyncfs {} -l completions -x -a 'bash zsh fish' -d 'Print completions'\n", first);
  for (const command_line& one : commands) {
    const std::string here = fmt::format("complete -c asyncfs -n '__fish_seen_subcommand_from {}'", one.name);
    for (const option& row : one.options) {
      made += here;
      if (row.letter != 0) made += fmt::format(" -s {}", row.letter);
      made += fmt::format(" -l {}", row.name);
      // -x: a value that is no file; -r: one that may be.
      if (row.has_value() && !row.may_be_bare())
        made += row.kind == value_kind::word || row.kind == value_kind::choice ? " -x" : " -r";
      if (row.kind == value_kind::choice) made += fmt::format(" -a '{}'", joined(row.choices));
      if (row.kind == value_kind::directory) made += " -a '(__fish_complete_directories)'";
      made += fmt::format(" -d {}\n", quoted(row.help));
    }
    made += fmt::format("{} -s h -l help -d 'Print help'\n", here);
  }
  return made;
}

}  // namespace

std::string completions_for(std::string_view shell, std::span<const command_line> commands) {
  if (shell == "bash") return bash(commands);
  if (shell == "zsh") return zsh(commands);
  return fish(commands);
}

}  // namespace tool
