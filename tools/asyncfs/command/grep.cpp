// asyncfs grep: lines that match, printed as ripgrep prints them into a pipe.

#include <dirent.h>
#include <fmt/format.h>

#include "command/commands.hpp"
#include "grep/search.hpp"
#include "quoting.hpp"

namespace tool {

namespace {

class file_grepper {
 public:
  file_grepper(const pattern& what, const search_options& options, bool with_names, report& out, messages& say,
               std::atomic_flag& found)
      : searcher_(what, options), with_names_(with_names), out_(out), say_(say), found_(found) {}

  asyncfs::task<void> visit(asyncfs::walk_entry& entry) {
    if (entry.error)
      say_.failure(fmt::format("cannot {} {}", entry.operation, shell_quoted(entry.path())), entry.error);
    else if (entry.is_root() || entry.type() == DT_REG || entry.type() == DT_UNKNOWN)
      co_await search(entry);
    co_await out_.deliver(entry.sequence(), {});
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
      return out_.deliver(entry.sequence(), text, false);
    };
    const auto searched = co_await searcher_.search(source, entry, with_names_, sink);
    const auto closed = co_await asyncfs::as_result(source.close());
    static_cast<void>(closed);  // nothing was written, so nothing can be lost
    if (!searched) {
      say_.failure(fmt::format("cannot read {}", shell_quoted(entry.path())), searched.error());
      co_return;
    }
    if (searched->lines > 0) found_.test_and_set();
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
  std::atomic_flag& found_;
};

// What is not there is no directory; the walk says that it is not there.
asyncfs::task<asyncfs::result<bool>> is_directory(const std::string& path) {
  const auto status = co_await asyncfs::as_result(asyncfs::here().status_followed(path.c_str()));
  if (status) co_return status->is_directory();
  if (status.error() == std::errc::no_such_file_or_directory) co_return false;
  co_return asyncfs::failure(status.error());
}

}  // namespace

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
  if (work.roots.empty()) work.roots.push_back({.path = ".", .shown = ""});
  // Lines of a single file carry no name, so it must be known what the root is.
  const auto directory = run_ahead(command.tree, is_directory(work.roots.front().path));
  if (!directory) {
    say.failure(fmt::format("cannot examine {}", shell_quoted(work.roots.front().path)), directory.error());
    return 2;
  }
  const bool with_names = work.roots.size() > 1 || *directory;
  const search_options options{.numbers = command.numbers, .count = command.count, .names_only = command.names_only};
  work.walk.order = command.sorted ? asyncfs::walk_order::components : asyncfs::walk_order::none;
  // Without an order a file's output must still stay together, which the window does as well.
  report out(1, report::order::of_the_walk);
  std::atomic_flag found;
  const visitor_maker make_visitor = [&]() -> visitor {
    auto grepper = std::make_shared<file_grepper>(*what, options, with_names, out, say, found);
    return [grepper](asyncfs::walk_entry& entry) { return grepper->visit(entry); };
  };
  work.make_crew = [&make_visitor] { return make_visitor; };
  run_tree(command.tree, std::move(work), out);
  if (out.error() == std::errc::broken_pipe) die_of_closed_pipe();
  if (out.error()) say.failure("cannot write to standard output", out.error());
  if (say.any_failure()) return 2;
  return found.test() ? 0 : 1;
}

}  // namespace tool
