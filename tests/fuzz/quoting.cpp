// Names as they are shown: nothing in them reaches a terminal raw, and a shell turns them back into the name.
#include <quoting.hpp>

#include "fuzz.hpp"

namespace {

// What a shell makes of one word that consists of '...', "...", $'...' and \'.
std::string unquoted(std::string_view word) {
  std::string name;
  while (!word.empty()) {
    const bool dollar = word.starts_with("$'");
    if (dollar) word.remove_prefix(1);
    if (word.starts_with("\\'")) {
      name += '\'';
      word.remove_prefix(2);
      continue;
    }
    const char quote = word.front();
    fuzz::require(quote == '\'' || quote == '"', "a part that is not quoted");
    word.remove_prefix(1);
    while (!word.empty() && word.front() != quote) {
      if (dollar && word.front() == '\\') {
        static constexpr std::string_view letters = "abfnrtv", meanings = "\a\b\f\n\r\t\v";
        fuzz::require(word.size() > 1, "an escape without an end");
        if (const auto at = letters.find(word[1]); at != std::string_view::npos) {
          name += meanings[at];
          word.remove_prefix(2);
        } else {
          fuzz::require(word.size() > 3, "an octal escape of fewer than three digits");
          name += static_cast<char>((word[1] - '0') * 64 + (word[2] - '0') * 8 + (word[3] - '0'));
          word.remove_prefix(4);
        }
        continue;
      }
      name += word.front();
      word.remove_prefix(1);
    }
    fuzz::require(!word.empty(), "a quote without an end");
    word.remove_prefix(1);
  }
  return name;
}

void check_harmless(std::string_view shown) {
  for (const char c : shown)
    fuzz::require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "a control character reaches the terminal");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view name(reinterpret_cast<const char*>(data), size);
  const std::string always = tool::shell_quoted(name), needed = tool::shell_quoted_if_needed(name);
  check_harmless(always);
  check_harmless(needed);
  fuzz::require(unquoted(always) == name, "a shell makes another name of it");
  fuzz::require(needed == name || needed == always, "neither the name nor the name in quotes");
  return 0;
}
