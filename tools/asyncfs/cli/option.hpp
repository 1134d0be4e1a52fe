// What a command takes: the one table that the parser, the help and the completions are made from.
#pragma once

#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace tool {

class messages;
struct tree_options;

// What the user wrote makes no sense. The text says which option, and what it takes.
struct wrong_usage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What the words of a value are, for completions.
enum class value_kind : std::uint8_t { word, file, directory, choice };

struct option {
  char letter;            // 0: none
  std::string_view name;  // without dashes
  std::string_view group, help;
  std::string_view value{};  // how the help calls it; empty: it takes none
  value_kind kind = value_kind::word;
  std::vector<std::string_view> choices{};  // of value_kind::choice
  std::string_view when_bare{};             // not empty: the value may be left out, and is this then
  bool common = false;                      // every command that works on trees has it
  // Called in the order of the command line, each time the option is given. May throw wrong_usage.
  std::function<void(const std::string&)> take{};

  [[nodiscard]] bool has_value() const noexcept { return !value.empty(); }
  [[nodiscard]] bool may_be_bare() const noexcept { return !when_bare.empty(); }
};

// How often options are made: by these, so that a table reads as one.
[[nodiscard]] option flag(char letter, std::string_view name, std::string_view group, std::string_view help,
                          std::function<void()> set);
[[nodiscard]] option flag(char letter, std::string_view name, std::string_view group, std::string_view help,
                          bool& into);
[[nodiscard]] option word(char letter, std::string_view name, std::string_view value, std::string_view group,
                          std::string_view help, std::function<void(const std::string&)> take,
                          value_kind kind = value_kind::word);
// One of the choices; their index is handed on.
[[nodiscard]] option choice(char letter, std::string_view name, std::string_view value,
                            std::vector<std::string_view> choices, std::string_view group, std::string_view help,
                            std::function<void(std::size_t)> take);

// A number from `least` to `most`; throws wrong_usage that names the option.
[[nodiscard]] std::uint64_t number_of(std::string_view name, const std::string& word, std::uint64_t least,
                                      std::uint64_t most);
// The same with K, M, G or T behind it, for powers of 1024.
[[nodiscard]] std::uint64_t size_of(std::string_view name, const std::string& word);
// "--name: 'word' is unknown; choose one of a, b"
[[nodiscard]] wrong_usage not_among(std::string_view name, const std::string& word,
                                    const std::vector<std::string_view>& choices);

struct operands {
  std::string_view synopsis, help;  // as the help shows them, "[PATH...]"
  std::size_t least = 0, most = std::numeric_limits<std::size_t>::max();
  value_kind kind = value_kind::file;
};

// One command. What its functions refer to, they own.
struct command_line {
  std::string_view name, summary;
  operands takes;
  std::vector<option> options;
  std::function<void(std::vector<std::string>)> take_operands;  // once, after the options; may throw wrong_usage
  // Returns the exit status.
  std::function<int(messages&)> run;
  int status_of_failure = 1;       // when it could not even begin
  tree_options* common = nullptr;  // of commands on trees
};

}  // namespace tool
