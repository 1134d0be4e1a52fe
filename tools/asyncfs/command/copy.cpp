// asyncfs copy: trees, with owners, modes, times and links as they were; every file whole or not there.

#include "command/copy.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <stdio.h>
#include <unistd.h>
#include <asyncfs/awaitable.hpp>
#include <asyncfs/files.hpp>

#include <cerrno>
#include <optional>

#include "cli/common_options.hpp"
#include "command/registry.hpp"
#include "copy/destination.hpp"
#include "copy/targets.hpp"
#include "pipeline/json.hpp"
#include "pipeline/stability.hpp"
#include "quoting.hpp"

namespace tool {

namespace {

constexpr std::size_t read_piece = std::size_t{64} << 10;  // a file that fits is copied by one read and one write
constexpr std::uint64_t large = std::uint64_t{1} << 20;  // from here on the kernel is asked to share or copy by itself
constexpr std::uint32_t mode_bits = 07777;

struct copy_state {
  const std::vector<copy_target>& targets;
  const owner_identity who;
  messages& say;
  destination_queue destinations;
};

// The place an entry is copied to.
struct place {
  const asyncfs::directory* holder;
  std::string name, shown;
  bool fresh;  // nothing can be there yet
};

class file_copier final : asyncfs::copy_observer {
 public:
  file_copier(copy_state& state, workplace& place)
      : state_(state),
        place_(place),
        buffer_(std::make_unique_for_overwrite<std::byte[]>(read_piece)),
        random_(asyncfs::loop::current()->engine().random()) {
    how_.observer = this;
    if (place.whole.options.bytes_a_second != 0) how_.most_at_once = job::most_at_once_when_paced;
    if (place.whole.options.direct) how_.cache = asyncfs::page_cache::spare;
  }

  asyncfs::task<std::string> visit(asyncfs::walk_entry& entry) {
    done_.reset();
    std::string line;
    if (entry.error) {
      state_.say.failure(fmt::format("cannot {} {}", entry.operation, shell_quoted(entry.path())), entry.error);
    } else {
      const place to = place_of(entry);
      switch (entry.type()) {
        case DT_REG: co_await copy_regular(entry, to); break;
        case DT_LNK: co_await copy_link(entry, to); break;
        default: co_await copy_special(entry, to); break;
      }
      if (done_ && place_.whole.options.json)
        json_line(line)
            .text("type", done_->what)
            .bytes("path", entry.path())
            .bytes("copy", to.shown)
            .number("bytes", done_->bytes)
            .end();
    }
    co_await state_.destinations.drain();
    co_return line;
  }

 private:
  place place_of(const asyncfs::walk_entry& entry) const {
    if (entry.is_root()) {
      const copy_target& target = state_.targets[entry.root()];
      return {target.parent.get(), target.name, target.shown, false};
    }
    const auto& above = *static_cast<const destination*>(entry.parent().user.get());
    return {&above.handle, entry.name(), above.shown + "/" + entry.name(), above.fresh};
  }
  void failure(std::string_view what, const std::string& name, const std::error_code& why) {
    state_.say.failure(fmt::format("cannot {} {}", what, shell_quoted(name)), why);
  }
  // Where to build what will be called to.name.
  std::string building_name(const place& to) { return to.fresh ? to.name : private_name(to.name, ++random_); }

  asyncfs::task<void> copy_regular(asyncfs::walk_entry& entry, const place& to) {
    const auto begun = stability::begin();
    auto opened =
        co_await asyncfs::as_result(entry.at().open(entry.name(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    if (!opened) {
      state_.say.failure(fmt::format("cannot open {} for reading", shell_quoted(entry.path())), opened.error());
      co_return;
    }
    asyncfs::file source = *std::move(opened);
    co_await copy_open(entry, source, begun, to);
    const auto closed = co_await asyncfs::as_result(source.close());
    static_cast<void>(closed);  // nothing was written to it, so nothing can be lost
  }

  asyncfs::task<void> copy_open(asyncfs::walk_entry& entry, const asyncfs::file& source, stability begun,
                                const place& to) {
    const auto first = co_await read_at(source, 0);
    if (!first) {
      failure("read", entry.path(), first.error());
      co_return;
    }
    const auto status = co_await asyncfs::as_result(source.status());
    if (!status) {
      failure("examine", entry.path(), status.error());
      co_return;
    }
    if (!status->is_regular()) {
      state_.say.failure(
          fmt::format("{} was replaced while copying; it is not a regular file any more", shell_quoted(entry.path())));
      co_return;
    }
    const std::string built_as = building_name(to);
    auto created =
        co_await asyncfs::as_result(to.holder->create(built_as.c_str(), O_WRONLY | O_EXCL | O_NOFOLLOW, 0600));
    if (!created) {
      failure("create", to.shown, created.error());
      co_return;
    }
    asyncfs::file target = *std::move(created);
    // Interrupted, what has been begun is removed again below.
    bool complete = co_await fill(entry, source, target, *first, *status, begun, to).in(place_.until_interrupted);
    if (complete) complete = co_await dress(target, *status, to);
    const auto closed = co_await asyncfs::as_result(target.close());
    if (complete && !closed) {
      failure("finish writing", to.shown, closed.error());
      complete = false;
    }
    if (complete && built_as != to.name) {
      const auto named = co_await asyncfs::as_result(to.holder->rename(built_as.c_str(), *to.holder, to.name.c_str()));
      if (!named) {
        failure("replace", to.shown, named.error());
        complete = false;
      }
    }
    if (complete) {
      done_ = {"file", copied_};
      co_return;
    }
    const auto removed = co_await asyncfs::as_result(to.holder->remove(built_as.c_str()));
    if (!removed) failure("remove the unfinished copy of", to.shown, removed.error());
  }

  // The content. `first` bytes are in the buffer already.
  asyncfs::task<bool> fill(const asyncfs::walk_entry& entry, const asyncfs::file& source, const asyncfs::file& target,
                           std::size_t first, const asyncfs::file_status& status, stability begun, const place& to) {
    const bool has_holes = status.blocks * 512 < status.size;
    bool changed = false;
    copied_ = 0;
    try {
      if (!has_holes && status.size < large && status.size != 0) {
        const std::uint64_t size = co_await copy_through_buffer(source, target, first);
        asyncfs::file_status after = status;
        if (first != size) after = co_await source.status();
        if (size == after.size && begun.proves_unchanged(after)) co_return true;
      }
      // Large, with holes, of a size that lies, or changed a moment ago: by the long way, between two equal statuses.
      for (int round = 0; round < 2; ++round) {
        const asyncfs::file_status before = co_await source.status();
        co_await target.truncate(0);
        copied_ = 0;
        co_await asyncfs::copy_file(source, target, how_);
        const asyncfs::file_status after = co_await source.status();
        // Files in /sys claim a size that they do not have: only a change of status tells of a change.
        changed = before.changed != after.changed || before.size != after.size;
        if (!changed) co_return true;
      }
    } catch (const std::system_error& error) {
      state_.say.failure(fmt::format("cannot copy {} to {}", shell_quoted(entry.path()), shell_quoted(to.shown)),
                         error.code());
      co_return false;
    }
    state_.say.failure(fmt::format("{} changed while copying; no copy was made, copy it again when it is at rest",
                                   shell_quoted(entry.path())));
    co_return false;
  }

  asyncfs::task<asyncfs::result<std::size_t>> read_at(const asyncfs::file& source, std::uint64_t offset) {
    const std::span<std::byte> buffer(buffer_.get(), read_piece);
    asyncfs::result<std::size_t> got = 0;
    if (how_.cache == asyncfs::page_cache::spare)
      got = co_await asyncfs::as_result(asyncfs::read_at(source, buffer, offset, how_.cache));
    else
      got = co_await asyncfs::as_result(source.read_at(buffer, offset));
    co_return got;
  }

  // The first piece is in the buffer already. Returns how many bytes there were.
  asyncfs::task<std::uint64_t> copy_through_buffer(const asyncfs::file& source, const asyncfs::file& target,
                                                   std::size_t first) {
    std::uint64_t size = 0;
    for (std::size_t got = first; got > 0;) {
      co_await asyncfs::write_all_at(target, {buffer_.get(), got}, size, how_.cache);
      size += got;
      co_await copied(got);
      if (got < read_piece) break;
      const auto next = co_await read_at(source, size);
      if (!next) throw std::system_error(next.error(), "read");
      got = *next;
    }
    co_return size;
  }

  // Owner before mode, since a change of owner clears setuid; times last, since all else touches them.
  asyncfs::task<bool> dress(const asyncfs::file& target, const asyncfs::file_status& source, const place& to) {
    std::uint32_t mode = source.mode & mode_bits;
    if (source.user != state_.who.user || source.group != state_.who.group) {
      const auto owned = co_await asyncfs::as_result(target.set_owner(source.user, source.group));
      if (!owned) {
        mode &= ~static_cast<std::uint32_t>(S_ISUID | S_ISGID);
        if (state_.who.is_root) failure("preserve the ownership of", to.shown, owned.error());
      }
    }
    const auto moded = co_await asyncfs::as_result(target.set_mode(mode));
    if (!moded) failure("preserve the permissions of", to.shown, moded.error());
    const auto timed = co_await asyncfs::as_result(target.set_times(source.accessed, source.modified));
    if (!timed) failure("preserve the times of", to.shown, timed.error());
    co_return true;
  }

  // Links and nodes are made under a private name too, dressed by name, and renamed over what may be there.
  asyncfs::task<void> copy_link(asyncfs::walk_entry& entry, const place& to) {
    const auto status = co_await asyncfs::as_result(entry.at().status(entry.name()));
    if (!status) {
      failure("examine", entry.path(), status.error());
      co_return;
    }
    const auto target = co_await asyncfs::as_result(entry.at().read_link(entry.name()));
    if (!target) {
      failure("read the symbolic link", entry.path(), target.error());
      co_return;
    }
    const std::string built_as = building_name(to);
    const auto made = co_await asyncfs::as_result(to.holder->symlink(target->c_str(), built_as.c_str()));
    if (!made) {
      failure("create the symbolic link", to.shown, made.error());
      co_return;
    }
    co_await finish_by_name(*status, built_as, to);
  }

  asyncfs::task<void> copy_special(asyncfs::walk_entry& entry, const place& to) {
    const auto status = co_await asyncfs::as_result(entry.at().status(entry.name()));
    if (!status) {
      failure("examine", entry.path(), status.error());
      co_return;
    }
    const std::string built_as = building_name(to);
    const auto made = co_await asyncfs::as_result(
        to.holder->make_node(built_as.c_str(), (status->mode & S_IFMT) | 0600, status->special_device));
    if (!made) {
      failure("create the special file", to.shown, made.error());
      co_return;
    }
    co_await finish_by_name(*status, built_as, to);
  }

  asyncfs::task<void> finish_by_name(const asyncfs::file_status& source, const std::string& built_as, const place& to) {
    std::uint32_t mode = source.mode & mode_bits;
    if (source.user != state_.who.user || source.group != state_.who.group) {
      const auto owned = co_await asyncfs::as_result(to.holder->set_owner(built_as.c_str(), source.user, source.group));
      if (!owned) mode &= ~static_cast<std::uint32_t>(S_ISUID | S_ISGID);
      if (!owned && state_.who.is_root) failure("preserve the ownership of", to.shown, owned.error());
    }
    if (!source.is_link()) {
      const auto moded = co_await asyncfs::as_result(to.holder->set_mode(built_as.c_str(), mode));
      if (!moded) failure("preserve the permissions of", to.shown, moded.error());
    }
    const auto timed =
        co_await asyncfs::as_result(to.holder->set_times(built_as.c_str(), source.accessed, source.modified));
    if (!timed) failure("preserve the times of", to.shown, timed.error());
    const finished done{source.is_link() ? "link" : "special", 0};
    done_ = done;
    if (built_as == to.name) co_return;
    const auto named = co_await asyncfs::as_result(to.holder->rename(built_as.c_str(), *to.holder, to.name.c_str()));
    if (named) co_return;
    done_.reset();
    failure("replace", to.shown, named.error());
    const auto removed = co_await asyncfs::as_result(to.holder->remove(built_as.c_str()));
    if (!removed) failure("remove the unfinished copy of", to.shown, removed.error());
  }

  asyncfs::task<void> copied(std::uint64_t bytes) override {
    copied_ += bytes;
    if (place_.whole.moved(bytes)) co_await place_.whole.pace(bytes);
  }

  copy_state& state_;
  workplace& place_;
  asyncfs::copy_options how_;
  struct finished {
    std::string_view what;
    std::uint64_t bytes;
  };
  std::optional<finished> done_;  // what became of the entry; nothing if it failed
  std::uint64_t copied_ = 0;      // bytes of its content, but for holes
  std::unique_ptr<std::byte[]> buffer_;
  std::uint64_t random_;
};

asyncfs::task<bool> enter(copy_state& state, asyncfs::walk_directory& source, const asyncfs::directory& handle) {
  const auto status = co_await asyncfs::as_result(handle.status());
  if (!status) {
    state.say.failure(fmt::format("cannot examine {}", shell_quoted(source.path())), status.error());
    co_return false;
  }
  std::shared_ptr<destination> made;
  if (source.is_root()) {
    const copy_target& target = state.targets[source.root()];
    made = co_await state.destinations.enter(nullptr, target.parent, target.name, target.shown, *status);
  } else {
    const auto above = std::static_pointer_cast<destination>(source.parent()->user);
    std::string shown = above->shown + "/" + source.name();
    made = co_await state.destinations.enter(above, nullptr, source.name(), std::move(shown), *status);
  }
  source.user = made;
  co_return made != nullptr;
}

}  // namespace

command_line copy_command_line() {
  const auto parsed = std::make_shared<copy_command>();
  command_line made{.name = "copy",
                    .summary = "Copy files and trees with their owners, modes, times and links",
                    .takes = {.synopsis = "SOURCE... DESTINATION",
                              .help = "What to copy, and where to; a directory that exists takes the sources in",
                              .least = 1}};
  add_common_options(made, parsed->tree);
  made.take_operands = [parsed](std::vector<std::string> paths) {
    if (paths.size() < 2 && !parsed->tree.more_paths)
      throw wrong_usage(fmt::format("the destination is missing behind {}", shell_quoted(paths.front())));
    parsed->paths = std::move(paths);
  };
  made.run = [parsed](messages& say) { return run(*parsed, say); };
  return made;
}

int run(const copy_command& command, messages& say) {
  // Where all go depends on how many there are.
  std::vector<std::string> paths = read_paths(command.tree, say);
  if (say.any_failure()) return 1;
  paths.insert(paths.begin(), command.paths.begin(), command.paths.end() - 1);
  paths.push_back(command.paths.back());
  tree_options options = command.tree;
  options.more_paths.reset();
  const std::vector<copy_target> targets = run_ahead(options, choose_targets(paths, say));
  if (targets.empty()) return 1;
  const owner_identity who = owner_identity::of_process();
  copy_state state{targets, who, say, destination_queue(who, say)};
  report out(STDOUT_FILENO, report::order::as_it_comes);
  tree_work work;
  for (const copy_target& target : targets)
    work.roots.push_back({.path = target.source, .follow = target.source.back() == '/'});
  work.walk.enter = [&state](asyncfs::walk_directory& source, const asyncfs::directory& handle) {
    return enter(state, source, handle);
  };
  work.make_crew = [&state](workplace& place) -> visitor_maker {
    return [&state, &place]() -> visitor {
      auto copier = std::make_shared<file_copier>(state, place);
      return [copier](asyncfs::walk_entry& entry) { return copier->visit(entry); };
    };
  };
  work.afterwards = [&state] { return state.destinations.drain_all(); };
  work.may_be_cut_short = false;
  work.prints_results = false;
  work.after_interruption =
      "every file that has its name at the destination is whole; what is missing there was not copied";
  // Creating, writing into the page cache and setting attributes are quick, and the kernel's ring would hand each of
  // them to a worker thread; measured, doing them here costs no more and keeps the workers out.
  using enum asyncfs::opcode;
  work.in_place = {create,    write,      fchmod,   fchmodat, fchownat, utimensat, mkdirat,
                   symlinkat, readlinkat, renameat, statx,    mknodat,  unlinkat,  ftruncate};
  run_tree(options, std::move(work), out, say);
  // Who does not read on need not hear of it: the copies are what counts.
  if (out.error() && out.error() != std::errc::broken_pipe) say.failure("cannot write to standard output", out.error());
  return say.any_failure() ? 1 : 0;
}

}  // namespace tool
