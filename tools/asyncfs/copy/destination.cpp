#include "copy/destination.hpp"
#include "quoting.hpp"

#include <fmt/format.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>

namespace tool {

namespace {
constexpr std::size_t longest_name = 255;
constexpr std::uint32_t mode_bits = 07777;
}  // namespace

owner_identity owner_identity::of_process() noexcept { return {::geteuid(), ::getegid(), ::geteuid() == 0}; }

std::string private_name(std::string_view name, std::uint64_t random) {
  const std::string suffix = fmt::format(".asyncfs-{:016x}", random);
  return fmt::format(".{}{}", name.substr(0, longest_name - 1 - suffix.size()), suffix);
}

asyncfs::task<std::shared_ptr<destination>> destination_queue::enter(std::shared_ptr<destination> parent,
                                                                     std::shared_ptr<asyncfs::directory> outer,
                                                                     std::string name, std::string shown,
                                                                     asyncfs::file_status source) {
  auto made = std::make_unique<destination>();
  made->parent = std::move(parent);
  made->outer = std::move(outer);
  made->name = made->built_as = std::move(name);
  made->shown = std::move(shown);
  made->source = source;
  const asyncfs::directory& holder = made->holder();
  const bool inside_new = made->parent && made->parent->fresh;
  bool exists = false;
  if (!inside_new) {
    auto opened = co_await asyncfs::as_result(holder.open_directory(made->name.c_str(), made->parent ? O_NOFOLLOW : 0));
    exists = opened.has_value();
    if (exists) {
      made->handle = *std::move(opened);
    } else if (opened.error().value() != ENOENT) {
      say_.failure(fmt::format("cannot open the destination directory {}", shell_quoted(made->shown)), opened.error());
      co_return nullptr;
    }
  }
  if (!exists) {
    made->fresh = true;
    if (!inside_new) made->built_as = private_name(made->name, asyncfs::loop::current()->engine().random());
    const auto created = co_await asyncfs::as_result(holder.make_directory(made->built_as.c_str(), 0700));
    if (!created) {
      say_.failure(fmt::format("cannot create the directory {}", shell_quoted(made->shown)), created.error());
      co_return nullptr;
    }
    auto opened = co_await asyncfs::as_result(holder.open_directory(made->built_as.c_str()));
    if (!opened) {
      say_.failure(fmt::format("cannot open the new directory {}", shell_quoted(made->shown)), opened.error());
      co_return nullptr;
    }
    made->handle = *std::move(opened);
  }
  {
    const std::lock_guard lock(mutex_);
    ++open_;
  }
  co_return std::shared_ptr<destination>(made.release(), [this](destination* done) { put(done); });
}

void destination_queue::put(destination* done) {
  {
    const std::lock_guard lock(mutex_);
    queued_.emplace_back(done);
  }
  changed_.notify();
}

asyncfs::task<void> destination_queue::drain() {
  for (;;) {
    std::unique_ptr<destination> done;
    {
      const std::lock_guard lock(mutex_);
      if (queued_.empty()) co_return;
      done = std::move(queued_.front());
      queued_.pop_front();
    }
    co_await complete(*done);
    done.reset();  // may queue the parent
    bool last = false;
    {
      const std::lock_guard lock(mutex_);
      last = --open_ == 0;
    }
    if (last) changed_.notify();
  }
}

asyncfs::task<void> destination_queue::drain_all() {
  for (;;) {
    const auto seen = changed_.now();
    co_await drain();
    {
      const std::lock_guard lock(mutex_);
      if (open_ == 0) co_return;
    }
    co_await changed_.after(seen);
  }
}

// Owner before mode (changing the owner clears setuid), times after everything that would touch them, name last.
asyncfs::task<void> destination_queue::complete(destination& done) {
  const asyncfs::file_status& source = done.source;
  const auto told = [&](std::string_view what, const std::error_code& why) {
    say_.failure(fmt::format("cannot {} {}", what, shell_quoted(done.shown)), why);
  };
  std::uint32_t mode = source.mode & mode_bits;
  if (source.user != who_.user || source.group != who_.group || !done.fresh) {
    const auto owned = co_await asyncfs::as_result(done.handle.set_owner_of_self(source.user, source.group));
    if (!owned) {
      mode &= ~static_cast<std::uint32_t>(S_ISUID | S_ISGID);
      if (who_.is_root) told("preserve the ownership of", owned.error());
    }
  }
  const auto moded = co_await asyncfs::as_result(done.handle.set_mode_of_self(mode));
  if (!moded) told("preserve the permissions of", moded.error());
  const auto timed = co_await asyncfs::as_result(done.handle.set_times_of_self(source.accessed, source.modified));
  if (!timed) told("preserve the times of", timed.error());
  if (done.built_as != done.name) {
    const auto named = co_await asyncfs::as_result(
        done.holder().rename(done.built_as.c_str(), done.holder(), done.name.c_str(), RENAME_NOREPLACE));
    if (!named) {
      say_.failure(fmt::format("cannot give {} its name; what was copied is complete in {}", shell_quoted(done.shown),
                               shell_quoted(done.built_as)),
                   named.error());
    }
  }
}

}  // namespace tool
