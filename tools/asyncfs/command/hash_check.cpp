#include "command/hash_check.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "command/hash_exact.hpp"
#include "command/hash_tree.hpp"
#include "ending.hpp"
#include "hash/digesting_crew.hpp"
#include "hash/list_reader.hpp"
#include "pipeline/progress.hpp"
#include "quoting.hpp"

namespace tool {

namespace {

using outcome = file_digester::outcome;

// What one list turned out to say.
struct tally {
  std::atomic<std::uint64_t> listed{0}, malformed{0}, matched{0}, mismatched{0}, unreadable{0}, unlisted{0};
  bool unreadable_list = false;
  bool all_searched = true;
};

// Which algorithms an untagged digest may be of. Those that stand against attackers only, where there is a choice: a
// file must not pass because it is easy to make one with the right weak digest.
std::vector<algorithm> candidates(const listed_file& what, const std::vector<algorithm>& asked_for) {
  if (what.tagged) return {*what.tagged};
  std::vector<algorithm> all;
  for (const algorithm_info& row : algorithm_table)
    if (row.bytes == what.digest.size && available(row.which)) all.push_back(row.which);
  if (!asked_for.empty()) {
    std::erase_if(all, [&](algorithm one) { return std::ranges::find(asked_for, one) == asked_for.end(); });
    return all;
  }
  const auto weak = [](algorithm one) { return one == algorithm::xxh128 || one == algorithm::xxh3; };
  std::erase_if(all, weak);
  return all;
}

// The algorithm that untagged digests of a length were last found to be of: tried first. One that does not match is
// followed by the others, so the outcome does not depend on it.
class habit {
 public:
  habit() noexcept {
    for (auto& one : known_) one.store(-1, std::memory_order_relaxed);
  }
  [[nodiscard]] std::optional<algorithm> of(std::size_t bytes) const noexcept {
    const int known = known_[bytes].load(std::memory_order_relaxed);
    return known < 0 ? std::nullopt : std::optional(algorithm(known));
  }
  void learn(algorithm which) noexcept {
    known_[describe(which).bytes].store(static_cast<int>(which), std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<int>, most_digest_bytes + 1> known_;
};

struct list_check {
  const hash_command& command;
  const std::string shown;  // the list's name in messages
  const verdict_style style;
  messages& say;
  tree_summary& sum;
  tally count{};
  habit usual{};
  std::optional<unlisted_search> exact{};
  std::vector<listed_file> trees{};  // to be walked when the files are done
};

class list_checker {
 public:
  list_checker(list_check& check, std::shared_ptr<loop_share> share) : check_(check), digester_(std::move(share)) {}

  asyncfs::task<std::string> visit(asyncfs::walk_entry& entry) {
    const auto& listed = *static_cast<const listed_file*>(entry.user().get());
    const std::string_view verdict = co_await verdict_on(entry, listed);
    std::string line;
    if (!verdict.empty() && !check_.command.status) line = verdict_line(listed.path, verdict, check_.style);
    co_return line;
  }

 private:
  static constexpr std::string_view ok = "OK", failed = "FAILED", not_read = "FAILED open or read", nothing = "";

  asyncfs::task<std::string_view> verdict_on(asyncfs::walk_entry& entry, const listed_file& listed) {
    const auto begun = stability::begin();
    auto opened = co_await open_listed(entry, listed.path);
    if (!opened) {
      if (check_.command.ignore_missing && opened.error() == std::errc::no_such_file_or_directory) co_return nothing;
      co_return unreadable(fmt::format("cannot open {} for reading", shell_quoted(listed.path)), opened.error());
    }
    source from = *std::move(opened);
    const auto status = co_await asyncfs::as_result(from.file().status());
    std::string_view verdict;
    if (!status) {
      verdict = unreadable(fmt::format("cannot examine {}", shell_quoted(listed.path)), status.error());
    } else if (status->is_directory()) {
      verdict = unreadable(fmt::format("cannot read {}", shell_quoted(listed.path)),
                           std::make_error_code(std::errc::is_a_directory));
    } else if (!status->is_regular() && !from.is_standard_input()) {
      // A list must not make anybody wait for a FIFO's other end, or read a device for ever.
      check_.say.failure(
          fmt::format("not reading {}, which is no regular file; hash it by its name", shell_quoted(listed.path)));
      ++check_.count.unreadable;
      verdict = not_read;
    } else {
      verdict = co_await compare(from, listed, begun);
    }
    co_await from.close();
    co_return verdict;
  }

  asyncfs::task<asyncfs::result<source>> open_listed(const asyncfs::walk_entry& entry, const std::string& path) {
    if (path == "-") co_return source::standard_input();
    auto opened = co_await asyncfs::as_result(entry.at().open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY));
    if (!opened) co_return std::unexpected(opened.error());
    co_return source(*std::move(opened));
  }

  asyncfs::task<std::string_view> compare(const source& from, const listed_file& listed, stability begun) {
    std::vector<algorithm> left = candidates(listed, check_.command.which);
    const auto usual = check_.usual.of(listed.digest.size);
    const bool try_usual = !listed.tagged && left.size() > 1 && usual && !from.is_standard_input();
    while (!left.empty()) {
      std::vector<algorithm> now = left;
      if (try_usual && std::ranges::find(left, *usual) != left.end()) now = {*usual};
      const outcome read = co_await digest_source(digester_, from, begun, now);
      if (read.what == outcome::kind::unreadable)
        co_return unreadable(fmt::format("cannot read {}", shell_quoted(listed.path)), read.error);
      if (read.what == outcome::kind::changed) {
        check_.say.failure(
            fmt::format("{} changed while hashing; check it again when it is at rest", shell_quoted(listed.path)));
        ++check_.count.unreadable;
        co_return not_read;
      }
      for (std::size_t i = 0; i < now.size(); ++i) {
        if (read.values[i] != listed.digest) continue;
        if (!listed.tagged) check_.usual.learn(now[i]);
        ++check_.count.matched;
        co_return check_.command.quiet ? nothing : ok;
      }
      std::erase_if(left, [&](algorithm one) { return std::ranges::find(now, one) != now.end(); });
    }
    ++check_.count.mismatched;
    co_return failed;
  }

  std::string_view unreadable(const std::string& what, const std::error_code& why) {
    check_.say.failure(what, why);
    ++check_.count.unreadable;
    return not_read;
  }

  list_check& check_;
  file_digester digester_;
};

// The files of the next part of the list, as roots of a walk.
asyncfs::task<std::vector<asyncfs::walk_root>> next_roots(list_check& check, list_reader& list) {
  std::vector<asyncfs::walk_root> roots;
  for (;;) {
    list_reader::piece piece = co_await list.next();
    check.count.malformed += piece.malformed.size();
    if (check.command.warn)
      for (const std::uint64_t line : piece.malformed)
        check.say.note(fmt::format("{}: {}: improperly formatted {}checksum line", check.shown, line,
                                   check.command.which.size() == 1
                                       ? std::string(describe(check.command.which.front()).tag) + " "
                                       : std::string()));
    if (piece.error) {
      check.say.failure(fmt::format("cannot read {}", check.shown), piece.error);
      check.count.unreadable_list = true;
    }
    check.count.listed += piece.files.size();
    for (listed_file& one : piece.files) {
      if (one.tree) {
        if (check.exact) check.exact->take_tree(one.path);
        check.trees.push_back(std::move(one));
        continue;
      }
      if (check.exact) check.exact->take_file(one.path);
      std::string path = one.path;
      roots.push_back({.path = std::move(path),
                       .type = DT_REG,  // whatever it is, it is opened; so nobody need ask
                       .user = std::make_shared<listed_file>(std::move(one))});
    }
    const bool at_end = piece.files.empty() && piece.malformed.empty();
    if (!roots.empty() || at_end) co_return roots;
  }
}

// Empty: nothing is to be said.
std::string_view verdict_on_tree(list_check& check, const listed_file& listed, const tree_result& found) {
  if (found.missing && check.command.ignore_missing) return "";
  if (found.missing)
    check.say.failure(fmt::format("cannot examine {}", shell_quoted(listed.path)),
                      std::make_error_code(std::errc::no_such_file_or_directory));
  if (found.values.empty()) {
    ++check.count.unreadable;
    return "FAILED open or read";
  }
  if (found.values.front() != listed.digest) {
    ++check.count.mismatched;
    return "FAILED";
  }
  ++check.count.matched;
  return check.command.quiet ? "" : "OK";
}

asyncfs::task<void> say_of_trees(list_check& check, std::span<const tree_result> found, report& out) {
  for (std::size_t i = 0; i < found.size(); ++i) {
    const std::string& path = check.trees[i].path;
    const std::string_view verdict = verdict_on_tree(check, check.trees[i], found[i]);
    if (verdict.empty() || check.command.status) continue;
    const std::string line = verdict_line(path, verdict, check.style);
    co_await out.deliver(0, line);
  }
  co_await out.finish();
}

// Of a part, the other parts may have verified all; filters may have left out all that is listed.
bool verified_nothing(const list_check& check) {
  const tally& count = check.count;
  if (count.matched > 0 || check.command.tree.shard.of > 1) return false;
  return check.command.ignore_missing || (count.mismatched == 0 && count.unreadable == 0);
}

void say_summary(list_check& check) {
  const auto plural = [](std::uint64_t n, const char* one, const char* many) { return n == 1 ? one : many; };
  const tally& count = check.count;
  if (count.listed == 0) {
    check.say.failure(fmt::format("{}: no properly formatted checksum lines found", check.shown));
    return;
  }
  if (check.command.status) return;
  if (const std::uint64_t n = count.malformed)
    check.say.note(fmt::format("WARNING: {} {} improperly formatted", n, plural(n, "line is", "lines are")));
  if (const std::uint64_t n = count.unreadable)
    check.say.note(fmt::format("WARNING: {} listed {} could not be read", n, plural(n, "file", "files")));
  if (const std::uint64_t n = count.mismatched)
    check.say.note(fmt::format("WARNING: {} computed {} did NOT match", n, plural(n, "checksum", "checksums")));
  if (verified_nothing(check)) check.say.note(fmt::format("{}: no file was verified", check.shown));
  if (const std::uint64_t n = count.unlisted)
    check.say.note(fmt::format("WARNING: {} {} not listed", n, plural(n, "file is", "files are")));
}

asyncfs::task<asyncfs::result<source>> open_list(std::string path) {
  if (path == "-") co_return source::standard_input();
  auto opened = co_await asyncfs::as_result(asyncfs::here().open(path.c_str(), O_RDONLY | O_NOCTTY));
  if (!opened) co_return std::unexpected(opened.error());
  co_return source(*std::move(opened));
}

asyncfs::task<std::error_code> leave_out(unlisted_search& search, const asyncfs::file& what) {
  const auto status = co_await asyncfs::as_result(what.status());
  if (!status) co_return status.error();
  if (status->is_regular()) search.leave_out(*status);
  co_return std::error_code();
}

// The list itself, and what goes where a shell has sent it, are in no list. False, and said: what these are is unknown.
asyncfs::task<bool> leave_out_streams(list_check& check, const asyncfs::file& list) {
  std::error_code failed = co_await leave_out(*check.exact, list);
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    if (failed) break;
    asyncfs::file stream(fd);
    failed = co_await leave_out(*check.exact, stream);
    static_cast<void>(stream.release());
  }
  if (failed) check.say.failure(fmt::format("cannot examine {} and where results go", check.shown), failed);
  co_return !failed;
}

// False, and said, when results cannot be written.
bool written(const report& out, messages& say) {
  if (out.error() == std::errc::broken_pipe) die_of(SIGPIPE);
  if (out.error()) say.failure("cannot write to standard output", out.error());
  return !out.error();
}

// False: results could not be written.
bool check_trees(list_check& check) {
  std::vector<tree_request> requests;
  for (const listed_file& one : check.trees) requests.push_back({one.path, *one.tree, {*one.tagged}});
  const std::vector<tree_result> found = hash_trees(check.command, requests, check.say, check.sum);
  report out(STDOUT_FILENO, report::order::as_it_comes);
  run_ahead(check.command.tree, say_of_trees(check, found, out));
  return written(out, check.say);
}

tree_work work_of(list_check& check, list_reader& list) {
  tree_work work;
  work.walk.order = asyncfs::walk_order::bytes;  // that of the roots: there is nothing below them
  work.walk.more_roots = [&check, &list] { return next_roots(check, list); };
  work.part_of = &check.sum;
  work.after_interruption = "the rest of the list was not checked";
  work.make_crew = digesting_crew(
      [&check](const std::shared_ptr<loop_share>& share) { return std::make_shared<list_checker>(check, share); });
  return work;
}

bool all_well(const list_check& check) {
  const tally& count = check.count;
  const bool any = count.matched > 0 || (check.command.tree.shard.of > 1 && count.listed > 0);
  return !count.unreadable_list && any && count.mismatched == 0 && count.unreadable == 0 && count.unlisted == 0 &&
         count.all_searched && (!check.command.strict || count.malformed == 0);
}

enum class list_outcome : std::uint8_t { well, not_well, not_written };

verdict_style style_of(const hash_command& command) {
  if (command.tree.json) return {.form = verdict_form::json};
  return {.form = ::isatty(STDOUT_FILENO) == 1 ? verdict_form::terminal : verdict_form::plain,
          .coloured = has_colours(command.tree.color)};
}

list_outcome check_list(const hash_command& command, const std::string& path, messages& say, tree_summary& sum) {
  const std::string shown = shell_quoted_if_needed(path == "-" ? "standard input" : path);
  auto opened = run_ahead(command.tree, open_list(path));
  if (!opened) {
    say.failure(shown, opened.error());
    return list_outcome::not_well;
  }
  report out(STDOUT_FILENO, report::order::of_the_walk);
  list_check check{command, shown, style_of(command), say, sum};
  if (command.exact) {
    check.exact.emplace(command, check.style, say);
    if (!run_ahead(command.tree, leave_out_streams(check, opened->file()))) return list_outcome::not_well;
  }
  list_reader list(*std::move(opened), command.which.size() == 1 ? std::optional(command.which.front()) : std::nullopt);
  run_tree(command.tree, work_of(check, list), out, say);
  if (!written(out, say)) return list_outcome::not_written;
  if (!check.trees.empty() && !check_trees(check)) return list_outcome::not_written;
  tally& count = check.count;
  if (check.exact && !count.unreadable_list && count.listed > 0) {
    report rest(STDOUT_FILENO, report::order::of_the_walk);
    const auto found = check.exact->run(rest, sum);
    count.unlisted = found.unlisted;
    count.all_searched = found.complete;
    if (!written(rest, say)) return list_outcome::not_written;
  }
  if (!count.unreadable_list) say_summary(check);
  return all_well(check) ? list_outcome::well : list_outcome::not_well;
}

}  // namespace

int check_lists(const hash_command& command, messages& say) {
  bool well = true;
  tree_summary sum;
  const std::vector<std::string> lists = command.paths.empty() ? std::vector<std::string>{"-"} : command.paths;
  for (const std::string& path : lists) {
    const list_outcome one = check_list(command, path, say, sum);
    if (one == list_outcome::not_written) return 1;
    well = one == list_outcome::well && well;
  }
  if (command.tree.json) {
    report out(STDOUT_FILENO, report::order::as_it_comes);
    run_ahead(command.tree, out.finish(json_summary(command.tree, sum, !well)));
    if (!written(out, say)) return 1;
  }
  tell_statistics(command.tree, sum, say);
  return well ? 0 : 1;
}

}  // namespace tool
