#include "cli/common_options.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "quoting.hpp"

namespace tool {

namespace {

constexpr std::string_view speed = "Speed", choosing = "Which files", showing = "Output";
constexpr unsigned most_jobs = 1024, most_depth = 4096, most_shards = 1'000'000;

option when_option(std::string_view name, std::string_view help, when& into) {
  return choice(0, name, "WHEN", {"auto", "always", "never"}, showing, help,
                [&into](std::size_t index) { into = std::array{when::automatic, when::always, when::never}[index]; });
}

option glob_option(std::string_view name, std::string_view help, name_filter& into,
                   void (name_filter::*add)(const std::string&)) {
  return word(0, name, "GLOB", choosing, help, [name, &into, add](const std::string& glob) {
    try {
      (into.*add)(glob);
    } catch (const std::invalid_argument& error) {
      throw wrong_usage(fmt::format("--{}: {}", name, error.what()));
    }
  });
}

shard parse_shard(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos)
    throw wrong_usage(fmt::format("--shard: {} is no part; write the second of three as 2/3", shell_quoted(text)));
  const auto of = static_cast<unsigned>(number_of("shard", text.substr(slash + 1), 1, most_shards));
  return {static_cast<unsigned>(number_of("shard", text.substr(0, slash), 1, of)), of};
}

// Given twice, the last one counts; one of each would be half of what was meant.
void take_list(tree_options& into, path_list list) {
  if (into.more_paths && into.more_paths->end != list.end)
    throw wrong_usage("--files-from and --files0-from cannot be combined; put all paths into one list");
  into.more_paths = std::move(list);
}

}  // namespace

option engine_option(asyncfs::engine_kind& into, std::string_view group) {
  using enum asyncfs::engine_kind;
  return choice(0, "engine", "ENGINE", {"auto", "sync", "threads", "uring"}, group,
                "How to do I/O: auto (io_uring where it works), uring, threads or sync",
                [&into](std::size_t index) { into = std::array{automatic, sync, threads, uring}[index]; });
}

void add_common_options(command_line& to, tree_options& into) {
  to.common = &into;
  into.interruptible = true;
  into.progress = when::automatic;
  std::vector<option> all;
  const auto number = [](std::string_view name, unsigned most, unsigned& into_number) {
    return [name, most, &into_number](const std::string& text) {
      into_number = static_cast<unsigned>(number_of(name, text, 1, most));
    };
  };
  all.push_back(glob_option("exclude",
                            "Leave out what matches: names, or with a slash in it paths below the operand; "
                            "as in .gitignore. The last --exclude or --include that matches decides",
                            into.filter, &name_filter::exclude));
  all.push_back(glob_option("include", "Work on files that match; where it comes first, on no others", into.filter,
                            &name_filter::include));
  all.push_back(word(
      0, "files-from", "FILE", choosing, "Work also on the paths in FILE, one a line; -: standard input",
      [&into](const std::string& path) { take_list(into, {path, '\n'}); }, value_kind::file));
  all.push_back(word(
      0, "files0-from", "FILE", choosing, "The same with a NUL behind each path, as find -print0 writes it",
      [&into](const std::string& path) { take_list(into, {path, '\0'}); }, value_kind::file));
  all.push_back(flag(0, "one-file-system", choosing, "Do not enter other file systems than the operand is on",
                     into.one_file_system));
  all.push_back(word(0, "shard", "K/N", choosing,
                     "Work on the K-th of N parts of the files, which a stable hash of their paths makes",
                     [&into](const std::string& text) { into.shard = parse_shard(text); }));
  all.push_back(when_option(
      "progress", "Show on standard error how far the work is: auto (on a terminal), always, never", into.progress));
  all.push_back(
      when_option("color", "Colours: auto (on a terminal, unless NO_COLOR is set), always, never", into.color));
  all.push_back(flag(0, "json", showing, "Print one JSON object a line, at last a summary", into.json));
  all.push_back(flag(0, "stats", showing, "Say at the end what it took", into.stats));
  all.push_back(word(
      0, "trace", "FILE", showing, "Write a timeline of all I/O for ui.perfetto.dev",
      [&into](const std::string& path) { into.trace = path; }, value_kind::file));
  all.push_back(engine_option(into.loop.engine.kind, speed));
  all.push_back(word('j', "jobs", "N", speed, "Loops, each on its own thread (default: one a CPU)",
                     number("jobs", most_jobs, into.jobs)));
  all.push_back(word(0, "depth", "N", speed, "Files in flight a loop (default: as the device asks)",
                     number("depth", most_depth, into.depth)));
  all.push_back(flag(0, "direct", speed, "Leave the page cache as it was", into.direct));
  all.push_back(word(0, "limit-rate", "SIZE", speed, "Read at most SIZE bytes a second; K, M, G may stand behind it",
                     [&into](const std::string& text) { into.bytes_a_second = size_of("limit-rate", text); }));
  for (option& one : all) {
    one.common = true;
    to.options.push_back(std::move(one));
  }
}

}  // namespace tool
