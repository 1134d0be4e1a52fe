#include "command/hash_sums.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include "ending.hpp"
#include "hash/digesting_crew.hpp"
#include "hash/line.hpp"
#include "hash/source.hpp"
#include "pipeline/json.hpp"
#include "quoting.hpp"

namespace tool {

namespace {

enum class sum_form : std::uint8_t { lines, json };

struct sum_style {
  sum_form form;
  line_style line;
  bool to_terminal;
};

class sum_printer {
 public:
  sum_printer(const sum_style& style, std::span<const algorithm> which, std::shared_ptr<loop_share> share,
              messages& say)
      : style_(style), which_(which), digester_(std::move(share)), say_(say) {}

  asyncfs::task<std::string> visit(asyncfs::walk_entry& entry) {
    if (entry.error)
      say_.failure(fmt::format("cannot {} {}", entry.operation, shell_quoted(entry.path())), entry.error);
    else if (wanted(entry))
      return lines_of(entry);
    return nothing();
  }

 private:
  static asyncfs::task<std::string> nothing() { co_return std::string(); }
  // Inside a tree only regular files; what the user named is read whatever it is.
  static bool wanted(const asyncfs::walk_entry& entry) {
    return entry.is_root() || entry.type() == DT_REG || entry.type() == DT_UNKNOWN;
  }

  asyncfs::task<std::string> lines_of(asyncfs::walk_entry& entry) {
    const auto begun = stability::begin();
    auto opened = co_await open_source(entry);
    if (!opened) {
      say_.failure(fmt::format("cannot open {} for reading", shell_quoted(entry.path())), opened.error());
      co_return std::string();
    }
    source from = *std::move(opened);
    auto outcome = co_await digest_source(digester_, from, begun, which_);
    co_await from.close();
    std::string lines;
    const std::string path = entry.path();
    switch (outcome.what) {
      case file_digester::outcome::kind::done: append(lines, outcome, path); break;
      case file_digester::outcome::kind::unreadable:
        say_.failure(fmt::format("cannot read {}", shell_quoted(path)), outcome.error);
        break;
      case file_digester::outcome::kind::changed:
        say_.failure(fmt::format("{} changed while hashing; no digest is given, hash it again when it is at rest",
                                 shell_quoted(path)));
        break;
    }
    co_return lines;
  }

  void append(std::string& lines, const file_digester::outcome& outcome, const std::string& path) const {
    if (style_.form == sum_form::json) return append_object(lines, outcome, path);
    // On a terminal a name must not do anything.
    const std::string safe = style_.to_terminal ? printable(path) : std::string();
    const std::string& shown = style_.to_terminal ? safe : path;
    line_style how = style_.line;
    if (shown != path) how.end = '\0';  // it is escaped already
    for (std::size_t i = 0; i < which_.size(); ++i) {
      append_line(lines, how, which_[i], outcome.values[i], shown);
      lines.back() = style_.line.end;
    }
  }

  void append_object(std::string& lines, const file_digester::outcome& outcome, const std::string& path) const {
    json_line(lines)
        .text("type", "file")
        .bytes("path", path)
        .number("bytes", outcome.size)
        .raw("digests", json_digests(which_, outcome.values))
        .end();
  }

  const sum_style style_;
  const std::span<const algorithm> which_;
  file_digester digester_;
  messages& say_;
};

// Several algorithms are told apart by their tags.
sum_style style_of(const hash_command& command, std::size_t algorithms) {
  const bool tagged = command.tagged || (algorithms > 1 && !command.untagged);
  return {.form = command.tree.json ? sum_form::json : sum_form::lines,
          .line = {.form = tagged ? line_form::tagged : line_form::plain, .end = command.zero ? '\0' : '\n'},
          .to_terminal = ::isatty(STDOUT_FILENO) == 1};
}

}  // namespace

int print_sums(const hash_command& command, messages& say) {
  const std::vector<algorithm> which =
      command.which.empty() ? std::vector<algorithm>{algorithm::sha256} : command.which;
  const sum_style style = style_of(command, which.size());
  report out(STDOUT_FILENO, report::order::of_the_walk);
  tree_work work;
  for (const std::string& path : command.paths) work.roots.push_back(source_named(path));
  if (command.paths.empty() && !command.tree.more_paths) work.roots.push_back(source_named("-"));
  work.root_named = source_named;
  work.after_interruption = "what was printed is right; the rest is missing";
  work.walk.order = asyncfs::walk_order::bytes;
  work.walk.follow = command.follow;
  if (command.no_recursive)
    work.walk.enter = [&say](asyncfs::walk_directory& found, const asyncfs::directory&) {
      return refuse_directory(found, say);
    };
  work.make_crew = digesting_crew([&](const std::shared_ptr<loop_share>& share) {
    return std::make_shared<sum_printer>(style, which, share, say);
  });
  run_tree(command.tree, std::move(work), out, say);
  if (out.error() == std::errc::broken_pipe) die_of(SIGPIPE);
  if (out.error()) say.failure("cannot write to standard output", out.error());
  return say.any_failure() ? 1 : 0;
}

}  // namespace tool
