// The tree that a floor program walks.
//
// Walkers: N threads, or the ring threads themselves when N is 0. A LIFO stack of pending directories keeps few of them
// open; each is opened by (parent descriptor, name), read with getdents64, and its files go into a queue as batches of
// (shared directory, names).
#pragma once
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "floor_options.hpp"

namespace floors {

struct Dir;

// What a program does besides reading regular files. `enter` may refuse a directory; `leave` runs when all that
// is below it is done; both may run on any thread.
struct Hooks {
  virtual ~Hooks() = default;
  virtual bool enter(Dir&) { return true; }
  virtual void leave(Dir&) {}
  virtual void other(Dir&, const char* /*name*/, unsigned char /*type*/) {}
};

// One open directory. Everything below it holds a reference, so the last child to finish closes it.
struct Dir {
  Hooks* hooks = nullptr;
  std::shared_ptr<Dir> parent;
  std::string name;  // one component
  std::string path;  // for messages and output only, ends in '/'
  int fd = -1;
  int out = -1;  // the copy's directory
  bool entered = false;
  bool gives_group = false;  // the copy's directory decides the group of what is created in it
  struct stat status;        // set by the copy

  Dir() = default;
  Dir(const Dir&) = delete;
  Dir& operator=(const Dir&) = delete;
  ~Dir() {
    if (entered) hooks->leave(*this);
    if (fd >= 0) close(fd);
    if (out >= 0) close(out);
  }
};

inline void fail(const char* what, const Dir* dir, const char* name, int error) {
  ++failures;
  std::fprintf(stderr, "%s %s%s: %s\n", what, dir ? dir->path.c_str() : "", name, std::strerror(error));
}

// Some regular files of one directory. Belongs to one ring thread once popped, so its count needs no atomic.
struct Batch {
  std::shared_ptr<Dir> dir;
  std::string names;     // NUL-terminated, one after the other
  std::size_t next = 0;  // offset of the first name not started
  unsigned total = 0;    // names in the batch
  unsigned finished = 0;
};

class Tree {
 public:
  Tree(const Options& options, Hooks& hooks) : options_(options), hooks_(hooks) {}

  void add_root(const std::string& path) {
    auto dir = std::make_shared<Dir>();
    dir->hooks = &hooks_;
    dir->name = path;
    dir->path = path.ends_with('/') ? path : path + '/';
    ++unfinished_;
    pending_.push_back(std::move(dir));
  }

  // Reads one pending directory; false when none is pending at the moment.
  bool walk_one() {
    std::shared_ptr<Dir> dir;
    {
      std::lock_guard lock(mutex_);
      if (pending_.empty()) return false;
      dir = std::move(pending_.back());
      pending_.pop_back();
    }
    read_directory(dir);
    dir.reset();
    std::lock_guard lock(mutex_);
    if (--unfinished_ == 0) {
      changed_.notify_all();
      room_.notify_all();
    }
    return true;
  }

  // A walker thread's whole life.
  void walk() {
    for (;;) {
      if (walk_one()) continue;
      std::unique_lock lock(mutex_);
      if (unfinished_ == 0) return;
      if (pending_.empty()) room_.wait(lock, [&] { return !pending_.empty() || unfinished_ == 0; });
    }
  }

  // The next files: from the queue, or by walking here. Null when there is nothing and `block` is false, or at the end.
  std::unique_ptr<Batch> pop(bool block) {
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        const bool may_walk = options_.walkers == 0;
        if (block)
          changed_.wait(lock, [&] { return !queue_.empty() || unfinished_ == 0 || (may_walk && !pending_.empty()); });
        if (!queue_.empty()) {
          auto batch = std::move(queue_.front());
          queue_.pop_front();
          queued_ -= batch->total;
          if (waiting_for_room_ && queued_ < max_queued / 2) room_.notify_all();
          return batch;
        }
        if (pending_.empty() && (unfinished_ == 0 || !block)) return nullptr;
        if (!may_walk) {
          if (!block) return nullptr;
          continue;
        }
      }
      walk_one();
    }
  }

 private:
  static constexpr std::size_t max_queued = 16384;  // names, so that memory stays flat on any tree

  void read_directory(const std::shared_ptr<Dir>& dir) {
    const int at = dir->parent ? dir->parent->fd : AT_FDCWD;
    // Below the root each step is one component and no link is followed.
    const int nofollow = dir->parent ? O_NOFOLLOW : 0;
    dir->fd = openat(at, dir->name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK | nofollow);
    if (dir->fd < 0) return fail("open", dir->parent.get(), dir->name.c_str(), errno);
    if (!hooks_.enter(*dir)) return;
    dir->entered = true;

    struct Entry {  // struct linux_dirent64
      std::uint64_t inode;
      std::int64_t offset;
      unsigned short length;
      unsigned char type;
      char name[];
    };
    thread_local std::vector<char> buffer(32 << 10);
    std::vector<std::shared_ptr<Dir>> found;
    std::vector<std::pair<std::uint64_t, std::string>> files;  // (inode, name), only to sort them
    auto batch = new_batch(dir);
    const auto add_file = [&](std::string_view name) {
      struct stat st;
      if (options_.touch) fstatat(dir->fd, name.data(), &st, AT_SYMLINK_NOFOLLOW);
      batch->names.append(name).push_back('\0');
      if (++batch->total == options_.names) push(std::exchange(batch, new_batch(dir)));
    };
    for (;;) {
      const long n = syscall(SYS_getdents64, dir->fd, buffer.data(), buffer.size());
      if (n < 0) fail("read directory", dir.get(), "", errno);
      if (n <= 0) break;
      for (long at = 0; at < n;) {
        const auto* entry = reinterpret_cast<const Entry*>(buffer.data() + at);
        at += entry->length;
        const std::string_view name = entry->name;
        if (name == "." || name == "..") continue;
        unsigned char type = entry->type;
        if (type == DT_UNKNOWN) {
          struct stat st;
          if (fstatat(dir->fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
            fail("stat", dir.get(), entry->name, errno);
            continue;
          }
          type = IFTODT(st.st_mode);
        }
        if (type == DT_REG) {
          if (!options_.sort.empty())
            files.emplace_back(entry->inode, name);
          else
            add_file(name);
        } else if (type == DT_DIR) {
          auto child = std::make_shared<Dir>();
          child->hooks = &hooks_;
          child->parent = dir;
          child->name = name;
          child->path.reserve(dir->path.size() + name.size() + 1);
          child->path.append(dir->path).append(name).push_back('/');
          found.push_back(std::move(child));
        } else {
          hooks_.other(*dir, entry->name, type);
        }
      }
    }
    if (!options_.sort.empty()) {
      const bool by_name = options_.sort == "names";
      std::sort(files.begin(), files.end(),
                [&](const auto& a, const auto& b) { return by_name ? a.second < b.second : a.first < b.first; });
      for (const auto& [inode, name] : files) add_file(name);
    }
    if (!found.empty()) {
      std::lock_guard lock(mutex_);
      unfinished_ += found.size();
      for (auto it = found.rbegin(); it != found.rend(); ++it) pending_.push_back(std::move(*it));
      if (options_.walkers)
        room_.notify_all();
      else
        changed_.notify_all();
    }
    if (batch->total) push(std::move(batch));
  }

  static std::unique_ptr<Batch> new_batch(const std::shared_ptr<Dir>& dir) {
    auto batch = std::make_unique<Batch>();
    batch->dir = dir;
    return batch;
  }

  void push(std::unique_ptr<Batch> batch) {
    std::unique_lock lock(mutex_);
    if (options_.walkers && queued_ >= max_queued) {
      ++waiting_for_room_;
      room_.wait(lock, [&] { return queued_ < max_queued; });
      --waiting_for_room_;
    }
    queued_ += batch->total;
    queue_.push_back(std::move(batch));
    changed_.notify_one();
  }

  const Options& options_;
  Hooks& hooks_;
  std::mutex mutex_;
  std::condition_variable changed_;            // rings wait: batches (or directories) came, or the walk ended
  std::condition_variable room_;               // walkers wait: directories came, or the queue has room again
  std::vector<std::shared_ptr<Dir>> pending_;  // LIFO: depth first keeps few directories open
  std::deque<std::unique_ptr<Batch>> queue_;
  std::size_t queued_ = 0;      // names in queue_
  std::size_t unfinished_ = 0;  // directories pending or being read
  unsigned waiting_for_room_ = 0;
};

}  // namespace floors
