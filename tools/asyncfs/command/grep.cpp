// asyncfs grep: lines that match, printed as ripgrep prints them into a pipe.

#include "command/grep.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <mutex>

#include "cli/common_options.hpp"
#include "command/registry.hpp"
#include "ending.hpp"
#include "grep/search.hpp"
#include "pipeline/progress.hpp"
#include "quoting.hpp"

namespace tool {

namespace {

// What all workers found.
struct findings {
  std::atomic_flag any;
  std::mutex mutex;
  search_totals totals;  // with --json

  void add(const search_totals& more) {
    const std::lock_guard lock(mutex);
    totals += more;
  }
};

class file_grepper {
 public:
  file_grepper(const pattern& what, const search_options& options, bool with_names, report& out, job& whole,
               findings& found)
      : searcher_(what, options, whole), with_names_(with_names), out_(out), say_(whole.say), found_(found) {}

  asyncfs::task<std::string> visit(asyncfs::walk_entry& entry) {
    if (entry.error)
      say_.failure(fmt::format("cannot {} {}", entry.operation, shell_quoted(entry.path())), entry.error);
    else if (entry.is_root() || entry.type() == DT_REG || entry.type() == DT_UNKNOWN)
      co_await search(entry);
    co_return std::string();
  }

 private:
  asyncfs::task<void> search(asyncfs::walk_entry& entry) {
    const int flags = entry.is_root() ? O_RDONLY | O_NOCTTY : O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    auto opened = co_await asyncfs::as_result(entry.at().open(entry.name(), flags));
    if (!opened) {
      say_.failure(fmt::format("cannot open {} for reading", shell_quoted(entry.path())), opened.error());
      co_return;
    }
    asyncfs::file source = *std::move(opened);
    const text_sink sink = [this, &entry](std::string_view text) {
      return out_.deliver(entry.sequence(), std::string(text), false);
    };
    const auto searched = co_await searcher_.search(source, entry, with_names_, sink);
    const auto closed = co_await asyncfs::as_result(source.close());
    static_cast<void>(closed);  // nothing was written, so nothing can be lost
    if (!searched) {
      say_.failure(fmt::format("cannot read {}", shell_quoted(entry.path())), searched.error());
      co_return;
    }
    if (searched->lines > 0) found_.any.test_and_set();
    if (searched->totals.searches > 0) found_.add(searched->totals);
    if (searched->limit_hit)
      say_.failure(fmt::format(
          "{}: the pattern needs too many steps on a line (match limit); the rest of the file was not searched",
          shell_quoted(entry.path())));
    if (searched->line_too_long)
      say_.failure(fmt::format("{}: a line is longer than 256 MiB; the rest of the file was not searched",
                               shell_quoted(entry.path())));
  }

  searcher searcher_;
  const bool with_names_;
  report& out_;
  messages& say_;
  findings& found_;
};

// What is not there is no directory; the walk says that it is not there.
asyncfs::task<asyncfs::result<bool>> is_directory(const std::string& path) {
  const auto status = co_await asyncfs::as_result(asyncfs::here().status_followed(path.c_str()));
  if (status) co_return status->is_directory();
  if (status.error() == std::errc::no_such_file_or_directory) co_return false;
  co_return asyncfs::failure(status.error());
}

}  // namespace

command_line grep_command_line() {
  const auto parsed = std::make_shared<grep_command>();
  grep_command& grep = *parsed;
  constexpr std::string_view searching = "Searching", printing = "Printing";
  command_line made{.name = "grep",
                    .summary = "Print lines that match a pattern (PCRE2)",
                    .takes = {.synopsis = "PATTERN [PATH...]",
                              .help = "A Perl-compatible regular expression; files and trees (default: the current "
                                      "directory)",
                              .least = 1},
                    .status_of_failure = 2};
  made.options = {
      flag('i', "ignore-case", searching, "Letters match in either case", grep.ignore_case),
      flag('F', "fixed-strings", searching, "The pattern is a string, not an expression", grep.fixed),
      flag('u', "unrestricted", searching,
           "Once: no ignore files; twice: hidden files too; three times: binary files too",
           [&grep] { ++grep.unrestricted; }),
      flag('n', "line-number", printing, "Print line numbers", grep.numbers),
      flag('c', "count", printing, "Print only how many lines match, for files where any does", grep.count),
      flag('l', "files-with-matches", printing, "Print only the names of files with a match", grep.names_only),
      choice(0, "sort", "KEY", {"path"}, printing, "Order of the output: path",
             [&grep](std::size_t) { grep.sorted = true; }),
  };
  add_common_options(made, grep.tree);
  made.take_operands = [parsed](std::vector<std::string> words) {
    if (parsed->tree.json && parsed->count) throw wrong_usage("--count and --json exclude each other");
    if (parsed->tree.json && parsed->names_only)
      throw wrong_usage("--files-with-matches and --json exclude each other");
    parsed->pattern = std::move(words.front());
    parsed->paths.assign(std::make_move_iterator(words.begin() + 1), std::make_move_iterator(words.end()));
  };
  made.run = [parsed](messages& say) { return run(*parsed, say); };
  return made;
}

int run(const grep_command& command, messages& say) {
  std::unique_ptr<pattern> what;
  try {
    what = std::make_unique<pattern>(command.pattern,
                                     matcher_options{.ignore_case = command.ignore_case, .fixed = command.fixed});
  } catch (const std::invalid_argument& fault) {
    say.failure(fault.what());
    return 2;
  }
  if (command.unrestricted < 3)
    say.note(
        "ignore files, hidden files and binary files are not told apart yet: everything is searched, as with -uuu");
  tree_work work;
  for (const std::string& path : command.paths) work.roots.push_back({.path = path});
  if (work.roots.empty() && !command.tree.more_paths) work.roots.push_back({.path = ".", .shown = ""});
  // Lines of a single file carry no name, so it must be known what the root is.
  bool with_names = work.roots.size() > 1 || command.tree.more_paths;
  if (!with_names) {
    const auto directory = run_ahead(command.tree, is_directory(work.roots.front().path));
    if (!directory) {
      say.failure(fmt::format("cannot examine {}", shell_quoted(work.roots.front().path)), directory.error());
      return 2;
    }
    with_names = *directory;
  }
  work.after_interruption = "not all was searched";
  const search_options options{.numbers = command.numbers,
                               .count = command.count,
                               .names_only = command.names_only,
                               .json = command.tree.json,
                               .coloured = !command.tree.json && has_colours(command.tree.color),
                               .to_terminal = ::isatty(STDOUT_FILENO) == 1};
  work.walk.order = command.sorted ? asyncfs::walk_order::components : asyncfs::walk_order::none;
  // Without an order a file's output must still stay together, which the window does as well.
  report out(STDOUT_FILENO, report::order::of_the_walk);
  findings found;
  work.make_crew = [&](workplace& place) -> visitor_maker {
    return [&]() -> visitor {
      auto grepper = std::make_shared<file_grepper>(*what, options, with_names, out, place.whole, found);
      return [grepper](asyncfs::walk_entry& entry) { return grepper->visit(entry); };
    };
  };
  work.last_line = [&](const tree_summary& sum) {
    const auto elapsed =
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(sum.seconds));
    return summary_event(found.totals, elapsed, command.tree.stats ? statistics_members(sum) : std::string());
  };
  run_tree(command.tree, std::move(work), out, say);
  if (out.error() == std::errc::broken_pipe) die_of(SIGPIPE);
  if (out.error()) say.failure("cannot write to standard output", out.error());
  if (say.any_failure()) return 2;
  return found.any.test() ? 0 : 1;
}

}  // namespace tool
