#include "command/hash_tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <utility>

#include "ending.hpp"
#include "hash/digesting_crew.hpp"
#include "hash/line.hpp"
#include "hash/source.hpp"
#include "pipeline/json.hpp"
#include "quoting.hpp"

namespace tool {

namespace {

// A node that the workers of all loops add to.
struct shared_node {
  asyncfs::short_lock mutex;
  tree_node node;
};

// What one request has come to. Its node gets one record, that of the tree.
struct argument {
  explicit argument(const tree_request& request) : what(request), top{{}, tree_node(request.scope, request.which)} {}
  const tree_request& what;
  shared_node top;
  std::atomic<bool> failed{false}, missing{false};
};

// A directory below which something is unfinished. Whoever works there holds it; it holds what is above it.
struct open_directory {
  open_directory(argument& root, std::shared_ptr<open_directory> above, std::string own_name)
      : of(root),
        parent(std::move(above)),
        name(std::move(own_name)),
        entries{{}, tree_node(root.what.scope, root.what.which)} {}
  argument& of;
  const std::shared_ptr<open_directory> parent;  // null: of the tree itself
  const std::string name;                        // none: the tree itself
  asyncfs::file_status status{};
  shared_node entries;
  open_directory* next = nullptr;  // that was finished

  [[nodiscard]] shared_node& goes_into() noexcept { return parent ? parent->entries : of.top; }
};

// Directories that nobody works below any more, to be digested by whoever has time.
class finished_directories {
 public:
  ~finished_directories() {  // of a walk that was broken off
    while (const auto left = take()) {
    }
  }
  std::shared_ptr<open_directory> watch(std::unique_ptr<open_directory> made) {
    return {made.release(), [this](open_directory* done) { put(done); }};
  }
  void digest_all(tree_hasher& by) {
    while (const auto done = take()) {  // releases its parent, which may come next
      const auto values = by.digests_of(done->entries.node);
      shared_node& above = done->goes_into();
      const std::lock_guard lock(above.mutex);
      above.node.add_directory(done->name, done->status, values);
    }
  }

 private:
  void put(open_directory* done) noexcept {
    const std::lock_guard lock(mutex_);
    done->next = std::exchange(first_, done);
  }
  std::unique_ptr<open_directory> take() noexcept {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<open_directory> one(first_);
    if (one) first_ = one->next;
    return one;
  }

  asyncfs::short_lock mutex_;
  open_directory* first_ = nullptr;
};

struct tree_hashing {
  explicit tree_hashing(std::span<const tree_request> requests, messages& to) : say(to) {
    for (const tree_request& one : requests) arguments.emplace_back(one);
  }
  void fail(argument& of, std::string_view what, const std::string& path, const std::error_code& why) {
    of.failed = true;
    say.failure(fmt::format("cannot {} {}", what, shell_quoted(path)), why);
  }
  void fail_as_changed(argument& of, const std::string& path) {
    of.failed = true;
    say.failure(
        fmt::format("{} changed while hashing; no digest of its tree is given, hash it again when it is at rest",
                    shell_quoted(path)));
  }
  asyncfs::task<bool> enter(asyncfs::walk_directory& found, const asyncfs::directory& handle);

  messages& say;
  std::deque<argument> arguments;
  finished_directories finished;
};

asyncfs::task<bool> tree_hashing::enter(asyncfs::walk_directory& found, const asyncfs::directory& handle) {
  tree_hasher hasher;
  finished.digest_all(hasher);
  argument& of = arguments[found.root()];
  std::shared_ptr<open_directory> above;
  if (!found.is_root()) above = std::static_pointer_cast<open_directory>(found.parent()->user);
  auto made = std::make_unique<open_directory>(of, std::move(above), found.is_root() ? "" : found.name());
  if (of.what.scope != tree_scope::content) {
    const auto status = co_await asyncfs::as_result(handle.status());
    if (!status) {
      fail(of, "examine", found.path(), status.error());
      co_return false;
    }
    made->status = *status;
  }
  found.user = finished.watch(std::move(made));
  co_return true;
}

// Adds entries to the nodes of their directories.
class tree_worker {
 public:
  tree_worker(tree_hashing& all, std::shared_ptr<loop_share> share) : all_(all), digester_(std::move(share)) {}

  asyncfs::task<std::string> visit(asyncfs::walk_entry& entry) {
    argument& of = all_.arguments[entry.root()];
    if (entry.error)
      all_.fail(of, entry.operation, entry.path(), entry.error);
    else if (entry.type() == DT_REG)
      co_await add_file(entry, of);
    else
      co_await add_other(entry, of);
    all_.finished.digest_all(hasher_);
    co_return std::string();
  }

 private:
  static shared_node& node_of(const asyncfs::walk_entry& entry, argument& of) {
    return entry.is_root() ? of.top : static_cast<open_directory*>(entry.parent().user.get())->entries;
  }
  static std::string_view name_of(const asyncfs::walk_entry& entry) {
    return entry.is_root() ? std::string_view() : entry.name();
  }

  asyncfs::task<void> add_file(const asyncfs::walk_entry& entry, argument& of) {
    using kind = file_digester::outcome::kind;
    const auto begun = stability::begin();
    const int follow = entry.followed() ? 0 : O_NOFOLLOW;
    auto opened = co_await asyncfs::as_result(entry.at().open(entry.name(), O_RDONLY | O_NONBLOCK | O_NOCTTY | follow));
    if (!opened) {
      all_.fail(of, "open", entry.path(), opened.error());
      co_return;
    }
    source from(*std::move(opened));
    const auto outcome = co_await digester_.digest(from.file(), begun, of.what.which);
    co_await from.close();
    if (outcome.what == kind::unreadable) {
      all_.fail(of, "read", entry.path(), outcome.error);
    } else if (outcome.what == kind::changed || !outcome.status.is_regular()) {
      all_.fail_as_changed(of, entry.path());
    } else {
      shared_node& into = node_of(entry, of);
      const std::lock_guard lock(into.mutex);
      into.node.add_file(name_of(entry), outcome.status, outcome.size, outcome.values);
    }
  }

  asyncfs::task<void> add_other(const asyncfs::walk_entry& entry, argument& of) {
    const auto status = co_await asyncfs::as_result(status_of(entry));
    if (!status) {
      of.missing = entry.is_root() && status.error() == std::errc::no_such_file_or_directory;
      if (!of.missing) all_.fail(of, "examine", entry.path(), status.error());
      co_return;
    }
    // Another type than a moment ago, or one that could not be asked for then.
    if (entry.type() != IFTODT(status->mode)) {
      all_.fail_as_changed(of, entry.path());
      co_return;
    }
    std::string target;
    if (status->is_link()) {
      auto read = co_await asyncfs::as_result(entry.at().read_link(entry.name()));
      if (!read) {
        all_.fail(of, "read link", entry.path(), read.error());
        co_return;
      }
      target = *std::move(read);
    }
    shared_node& into = node_of(entry, of);
    const std::lock_guard lock(into.mutex);
    if (status->is_link())
      into.node.add_link(name_of(entry), *status, target);
    else
      into.node.add_special(name_of(entry), *status);
  }

  tree_hashing& all_;
  file_digester digester_;
  tree_hasher hasher_;
};

tree_result result_of(tree_hashing& all, argument& of, tree_hasher& hasher) {
  if (of.failed || of.missing) return {.missing = !of.failed};
  if (of.top.node.size() != 1) {
    all.say.failure(fmt::format("{} is left out by what was said of names or file systems; it has no digest",
                                shell_quoted(of.what.path)));
    return {};
  }
  return {.values = hasher.digests_of(of.top.node)};
}

asyncfs::task<void> write(report& out, std::string text) {
  co_await out.deliver(0, text);
  co_await out.finish();
}

void append_tree_object(std::string& lines, const tree_request& asked, const tree_result& found) {
  json_line(lines)
      .text("type", "tree")
      .bytes("path", asked.path)
      .text("scope", tree_scope_names[static_cast<std::size_t>(asked.scope)])
      .raw("digests", json_digests(asked.which, found.values))
      .end();
}

std::vector<tree_request> requests_of(const hash_command& command, messages& say) {
  const std::vector<algorithm> which =
      command.which.empty() ? std::vector<algorithm>{algorithm::sha256} : command.which;
  std::vector<std::string> paths = command.paths;
  for (std::string& path : read_paths(command.tree, say)) paths.push_back(std::move(path));
  if (paths.empty() && !command.tree.more_paths) paths.emplace_back(".");
  std::vector<tree_request> requests;
  for (const std::string& path : paths) {
    if (path == "-")
      say.failure("standard input is no tree; name a file or directory");
    else
      requests.push_back({path, *command.tree_digest, which});
  }
  return requests;
}

}  // namespace

std::vector<tree_result> hash_trees(const hash_command& command, std::span<const tree_request> requests, messages& say,
                                    tree_summary& part_of) {
  tree_hashing all(requests, say);
  tree_options how = command.tree;
  how.more_paths.reset();  // the requests are all
  how.shard = {};
  report nothing(STDOUT_FILENO, report::order::as_it_comes);
  tree_work work;
  for (const tree_request& one : requests) work.roots.push_back({.path = one.path});
  work.walk.follow = command.follow;
  work.walk.enter = [&all](asyncfs::walk_directory& found, const asyncfs::directory& handle) {
    return all.enter(found, handle);
  };
  work.part_of = &part_of;
  work.after_interruption = "no digest of a tree is given";
  work.make_crew = digesting_crew(
      [&all](const std::shared_ptr<loop_share>& share) { return std::make_shared<tree_worker>(all, share); });
  run_tree(how, std::move(work), nothing, say);
  tree_hasher hasher;
  all.finished.digest_all(hasher);  // those that were open to the end
  std::vector<tree_result> results;
  for (argument& one : all.arguments) results.push_back(result_of(all, one, hasher));
  return results;
}

int print_trees(const hash_command& command, messages& say) {
  const std::vector<tree_request> requests = requests_of(command, say);
  tree_summary sum;
  const std::vector<tree_result> results = hash_trees(command, requests, say, sum);
  std::string lines;
  const bool to_terminal = ::isatty(STDOUT_FILENO) == 1;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const tree_request& asked = requests[i];
    if (results[i].missing)
      say.failure(fmt::format("cannot examine {}", shell_quoted(asked.path)),
                  std::make_error_code(std::errc::no_such_file_or_directory));
    if (command.tree.json && !results[i].values.empty()) append_tree_object(lines, asked, results[i]);
    // On a terminal a name must not do anything.
    const std::string shown = to_terminal ? printable(asked.path) : asked.path;
    const char end = command.zero ? '\0' : '\n';
    for (std::size_t j = 0; j < results[i].values.size() && !command.tree.json; ++j) {
      append_tree_line(lines, shown != asked.path ? '\0' : end, {asked.scope, asked.which[j]}, results[i].values[j],
                       shown);
      lines.back() = end;
    }
  }
  if (command.tree.json) lines += json_summary(command.tree, sum, say.any_failure());
  report out(STDOUT_FILENO, report::order::as_it_comes);
  run_ahead(command.tree, write(out, std::move(lines)));
  if (out.error() == std::errc::broken_pipe) die_of(SIGPIPE);
  if (out.error()) say.failure("cannot write to standard output", out.error());
  tell_statistics(command.tree, sum, say);
  return say.any_failure() ? 1 : 0;
}

}  // namespace tool
