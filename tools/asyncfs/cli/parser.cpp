#include "cli/parser.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <list>

#include "quoting.hpp"

namespace tool {

namespace {

// "-j,--jobs", as CLI11 wants it; flags that may have a value name what they are without.
std::string spelling(const option& of) {
  const std::string all = of.letter == 0 ? fmt::format("--{}", of.name) : fmt::format("-{},--{}", of.letter, of.name);
  return of.may_be_bare() ? fmt::format("{}{{{}}}", all, of.when_bare) : all;
}

constexpr std::string_view completions_name = "completions";

// What CLI11 parses values into before they are handed on: it must live as long as the parser, and is not looked at.
struct unread {
  std::list<std::string> words;
  std::list<bool> flags;
};

void add(CLI::App& to, const option& row, unread& into) {
  CLI::Option* made = nullptr;
  if (row.has_value() && !row.may_be_bare()) {
    made = to.add_option(spelling(row), into.words.emplace_back())->allow_extra_args(false);
    made->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    made->each(row.take);
  } else if (row.has_value()) {
    made = to.add_flag(spelling(row), into.words.emplace_back());
    made->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    made->each(row.take);
  } else {
    made = to.add_flag_callback(spelling(row), [&row] { row.take({}); })->disable_flag_override();
  }
  // In the order of the command line, so that a later word can take back an earlier one.
  made->trigger_on_parse();
}

std::string names_of(std::span<const command_line> commands) {
  std::vector<std::string_view> names;
  for (const command_line& one : commands) names.push_back(one.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string reason_of(const CLI::ParseError& error, const command_line* command) {
  const std::string text = error.what();
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) == nullptr) return text;
  // A value is missing, or there is one too many; the name of the option is what the text begins with.
  const std::size_t begin = text.find_first_not_of('-');
  const std::string name = text.substr(begin, text.find_first_of(": ", begin) - begin);
  const bool takes_one =
      command == nullptr ? name == completions_name : std::ranges::any_of(command->options, [&](const option& row) {
        return row.has_value() && row.name == name;
      });
  return fmt::format("--{} {} value", name, takes_one ? "needs a" : "takes no");
}

bool is_option(const std::string& word) { return word.size() > 1 && word.front() == '-'; }

}  // namespace

request parse(int argc, const char* const* argv, std::span<const command_line> commands) {
  // Operands are what CLI11 does not know: a positional of its own would take "[a,b]" for a list of two.
  const char* const* const end = std::find_if(argv + std::min(argc, 1), argv + argc,
                                              [](const char* word) { return std::string_view(word) == "--"; });
  CLI::App app{"", "asyncfs"};
  app.allow_extras();
  unread words;
  bool short_help = false, long_help = false, version = false;
  std::string shell;
  // At once, whatever else is wrong with the line.
  const auto stops_at = [](CLI::App& of, const char* word, bool& into) {
    const auto stop = [&into] {
      into = true;
      throw CLI::Success();
    };
    of.add_flag_callback(word, stop)->disable_flag_override()->trigger_on_parse();
  };
  const auto take_help = [&](CLI::App& of) {
    of.set_help_flag();
    stops_at(of, "-h", short_help);
    stops_at(of, "--help", long_help);
  };
  take_help(app);
  stops_at(app, "--version", version);
  app.add_option(fmt::format("--{}", completions_name), shell)->each([](const std::string& word) {
    if (std::ranges::find(shells, word) == std::end(shells))
      throw not_among(completions_name, word, {std::begin(shells), std::end(shells)});
  });
  app.require_subcommand(0, 1);

  const command_line* chosen = nullptr;
  for (const command_line& one : commands) {
    CLI::App& sub = *app.add_subcommand(std::string(one.name));
    sub.preparse_callback([&chosen, &one](std::size_t) { chosen = &one; });
    take_help(sub);
    for (const option& row : one.options) add(sub, row, words);
    sub.allow_extras();
  }
  // CLI11 takes the next word for the value, and may or may not like it.
  const auto empty = std::find_if(argv + std::min(argc, 1), end, [](std::string_view word) {
    return word.starts_with("--") && word.find('=') == word.size() - 1;
  });
  const std::string missing =
      empty == end ? std::string() : fmt::format("the value is missing behind {}", shell_quoted(*empty));
  try {
    app.parse(static_cast<int>(end - argv), argv);
    if (!missing.empty()) throw wrong_usage(missing);
    std::vector<std::string> given = app.remaining(true);
    const auto unknown = std::ranges::find_if(given, is_option);
    if (unknown != given.end()) throw wrong_usage(fmt::format("unknown option {}", shell_quoted(*unknown)));
    if (end != argv + argc) given.insert(given.end(), end + 1, argv + argc);
    if (chosen == nullptr) {
      if (!shell.empty()) return asks_for_completions{shell};
      if (!given.empty())
        throw wrong_usage(
            fmt::format("unknown command {}; the commands are {}", shell_quoted(given.front()), names_of(commands)));
      throw wrong_usage("a command is missing; the commands are " + names_of(commands));
    }
    if (given.size() < chosen->takes.least || given.size() > chosen->takes.most)
      return misused{chosen->name, given.size() < chosen->takes.least
                                       ? fmt::format("too few operands; it takes {}", chosen->takes.synopsis)
                                       : fmt::format("unexpected operand {}", shell_quoted(given[chosen->takes.most]))};
    chosen->take_operands(std::move(given));
    return chosen;
  } catch (const CLI::Success&) {
    if (version) return asks_for_version{};
    return asks_for_help{chosen, long_help};
  } catch (const CLI::ParseError& error) {
    return misused{chosen == nullptr ? std::string_view() : chosen->name,
                   missing.empty() ? reason_of(error, chosen) : missing};
  } catch (const wrong_usage& error) {
    return misused{chosen == nullptr ? std::string_view() : chosen->name, missing.empty() ? error.what() : missing};
  }
}

}  // namespace tool
