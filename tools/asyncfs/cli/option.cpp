#include "cli/option.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "quoting.hpp"

namespace tool {

option flag(char letter, std::string_view name, std::string_view group, std::string_view help,
            std::function<void()> set) {
  return {
      .letter = letter, .name = name, .group = group, .help = help, .take = [set = std::move(set)](auto&) { set(); }};
}

option flag(char letter, std::string_view name, std::string_view group, std::string_view help, bool& into) {
  return flag(letter, name, group, help, [&into] { into = true; });
}

option word(char letter, std::string_view name, std::string_view value, std::string_view group, std::string_view help,
            std::function<void(const std::string&)> take, value_kind kind) {
  return {.letter = letter,
          .name = name,
          .group = group,
          .help = help,
          .value = value,
          .kind = kind,
          .take = std::move(take)};
}

option choice(char letter, std::string_view name, std::string_view value, std::vector<std::string_view> choices,
              std::string_view group, std::string_view help, std::function<void(std::size_t)> take) {
  option made{.letter = letter,
              .name = name,
              .group = group,
              .help = help,
              .value = value,
              .kind = value_kind::choice,
              .choices = choices};
  made.take = [name, choices = std::move(choices), take = std::move(take)](const std::string& word) {
    const auto found = std::ranges::find(choices, word);
    if (found == choices.end()) throw not_among(name, word, choices);
    take(static_cast<std::size_t>(found - choices.begin()));
  };
  return made;
}

std::uint64_t number_of(std::string_view name, const std::string& word, std::uint64_t least, std::uint64_t most) {
  std::uint64_t value = 0;
  const char* const end = word.data() + word.size();
  const auto parsed = std::from_chars(word.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || value < least || value > most)
    throw wrong_usage(fmt::format("--{}: {} is no number from {} to {}", name, shell_quoted(word), least, most));
  return value;
}

std::uint64_t size_of(std::string_view name, const std::string& word) {
  constexpr std::string_view units = "KMGT";
  std::string digits = word;
  unsigned shift = 0;
  if (!digits.empty()) {
    const std::size_t unit = units.find(digits.back());
    if (unit != std::string_view::npos) {
      shift = 10 * (static_cast<unsigned>(unit) + 1);
      digits.pop_back();
    }
  }
  std::uint64_t value = 0;
  const char* const end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || value == 0 || value > (~std::uint64_t{0} >> (shift + 1)))
    throw wrong_usage(
        fmt::format("--{}: {} is no size; write a number of bytes, with K, M, G or T behind it where it is of those",
                    name, shell_quoted(word)));
  return value << shift;
}

wrong_usage not_among(std::string_view name, const std::string& word, const std::vector<std::string_view>& choices) {
  return wrong_usage(
      fmt::format("--{}: {} is unknown; choose one of {}", name, shell_quoted(word), fmt::join(choices, ", ")));
}

}  // namespace tool
