// Shared by the floor programs: walks a tree and pushes its files through bare io_uring rings.
//
// A floor program bounds what asyncfs can reach: the same system calls that the promises require, nothing else. So
// there is no library here, no fallback and no recovery: a surprise in the setup ends the program, a failing file is
// named on standard error and makes the exit status 1.
//
//   walkers: N threads, or the ring threads themselves when N is 0. A LIFO stack of pending directories keeps few of
//            them open; each is opened by (parent descriptor, name), read with getdents64, and its files go into a queue as
//            batches of (shared directory, names).
//   rings:   R threads, each with one ring (single issuer, deferred task work) and `depth` slots. A slot is one file.
//            At most `batch` files start per io_uring_enter: cached files finish within the enter that submits them,
//            so few buffers are in use and they stay in the cache; uncached files stay in flight and pile up to `depth`.
#pragma once
#include <dirent.h>
#include <fcntl.h>
#include <liburing.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace floors {

// ---------------------------------------------------------------------------------------------- errors and flags

inline std::atomic<unsigned> failures{0};

[[noreturn]] inline void die(const char* what, int error) {
  std::fprintf(stderr, "%s: %s\n", what, std::strerror(error));
  std::exit(2);
}

// `--name value` and `--name=value`; everything else is positional.
class Flags {
 public:
  Flags(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
      std::string_view arg = argv[i];
      if (!arg.starts_with("--")) {
        positional.emplace_back(arg);
        continue;
      }
      arg.remove_prefix(2);
      if (auto equals = arg.find('='); equals != arg.npos)
        values_[std::string(arg.substr(0, equals))] = arg.substr(equals + 1);
      else if (i + 1 < argc)
        values_[std::string(arg)] = argv[++i];
    }
  }
  std::string text(const char* name, const char* otherwise) const {
    auto it = values_.find(name);
    return it == values_.end() ? otherwise : it->second;
  }
  unsigned number(const char* name, unsigned otherwise) const {
    auto it = values_.find(name);
    return it == values_.end() ? otherwise : static_cast<unsigned>(std::stoul(it->second));
  }
  std::vector<std::string> positional;

 private:
  std::map<std::string, std::string> values_;
};

struct Options {
  unsigned rings, depth, batch, walkers, buffer, wait, names, wq_workers;
  bool register_ring, fixed_buffers, defer, stats, async_open, touch;
  std::string sort;
  explicit Options(const Flags& f)
      : rings(f.number("rings", 2)),
        depth(f.number("depth", 64)),           // files in flight in one ring
        batch(f.number("batch", 16)),           // files started per enter
        walkers(f.number("walkers", 0)),        // 0: the ring threads walk
        buffer(f.number("buffer", 64 << 10)),   // bytes of one read
        wait(f.number("wait", 1)),              // completions to wait for, at most
        names(f.number("names", 64)),           // names in one queued batch
        wq_workers(f.number("wq-workers", 0)),  // bounded io-wq threads a ring; 0: the kernel's default
        register_ring(f.number("register-ring", 1)),
        fixed_buffers(f.number("fixed-buffers", 0)),
        defer(f.number("defer", 1)),
        stats(f.number("stats", 0)),
        async_open(f.number("async-open", 0)),  // opens go to io-wq at once
        touch(f.number("touch", 0)),            // the walker looks each file up first, so that opening it needs no disk
        sort(f.text("order", "")) {  // a directory's files: by "inodes", by "names", else as the directory has them
    if (!sort.empty() && sort != "inodes" && sort != "names") die("--order: inodes or names", EINVAL);
  }
};

// ---------------------------------------------------------------------------------------------- the tree

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

// ---------------------------------------------------------------------------------------------- the rings

// One file on its way. Programs derive their own from it.
struct Slot {
  Batch* batch = nullptr;
  const char* name = nullptr;
  int fd = -1;             // -1 while it is being opened
  unsigned index = 0;      // of its buffer
  std::uint64_t done = 0;  // bytes read so far
  char* buffer = nullptr;
  const Dir& dir() const { return *batch->dir; }
};

struct Stats {
  std::uint64_t enters = 0, submitted = 0, in_flight = 0, ready = 0, all_ready = 0, most = 0;
  void add(const Stats& o) {
    enters += o.enters, submitted += o.submitted, in_flight += o.in_flight, ready += o.ready, all_ready += o.all_ready;
    if (o.most > most) most = o.most;
  }
};

// A Job has: a Slot type derived from floors::Slot, and
//   void event(Ring<Job>&, Slot&, int result)   called for each completion; asks for the next step or for finish(), now or in
//   void round_end(Ring<Job>&)                  (optional) called when the completions of one enter are through.
template <class Job>
class Ring {
 public:
  using JobSlot = typename Job::Slot;

  Ring(Tree& tree, const Options& options, Job& job)
      : tree_(tree), options_(options), job_(job), slots_(options.depth) {
    io_uring_params params{};
    params.flags = IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER;
    if (options.defer) params.flags |= IORING_SETUP_DEFER_TASKRUN;
    if (int r = io_uring_queue_init_params(4 * options.depth, &ring_, &params); r < 0) die("io_uring_setup", -r);
    if (options.register_ring) io_uring_register_ring_fd(&ring_);
    if (options.wq_workers) {
      unsigned limits[2] = {options.wq_workers, 0};
      io_uring_register_iowq_max_workers(&ring_, limits);
    }
    const std::size_t bytes = std::size_t{options.buffer} * options.depth;
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) die("mmap", errno);
    buffers_ = static_cast<char*>(memory);
    for (unsigned i = options.depth; i-- > 0;) {
      free_.push_back(&slots_[i]);
      free_buffers_.push_back(i);
    }
    if (options.fixed_buffers) {
      std::vector<iovec> vectors;
      for (unsigned i = 0; i < options.depth; ++i)
        vectors.push_back({buffers_ + std::size_t{i} * options.buffer, options.buffer});
      if (int r = io_uring_register_buffers(&ring_, vectors.data(), options.depth); r < 0) die("register buffers", -r);
    }
  }
  ~Ring() { io_uring_queue_exit(&ring_); }

  void run() {
    for (;;) {
      for (unsigned started = 0; started < options_.batch && !free_.empty() && start_next(); ++started) {
      }
      if (busy_ == 0) {
        io_uring_submit(&ring_);  // the last closes
        return;
      }
      const unsigned target = std::min(options_.wait, busy_);
      const int submitted = io_uring_submit_and_wait(&ring_, target);
      if (submitted < 0 && submitted != -EINTR) die("io_uring_enter", -submitted);

      io_uring_cqe* cqe;
      unsigned head, seen = 0;
      const unsigned flying = busy_;
      io_uring_for_each_cqe(&ring_, head, cqe) {
        ++seen;
        if (auto* slot = static_cast<JobSlot*>(io_uring_cqe_get_data(cqe)))
          completed(*slot, cqe->res);
        else
          fail("close", nullptr, "", -cqe->res);  // a close that succeeded posts nothing
      }
      io_uring_cq_advance(&ring_, seen);
      if constexpr (requires { job_.round_end(*this); }) job_.round_end(*this);
      stats.enters += 1;
      stats.submitted += submitted > 0 ? submitted : 0;
      stats.in_flight += flying;
      stats.ready += seen;
      stats.all_ready += seen >= flying;
      if (flying > stats.most) stats.most = flying;
    }
  }

  // Steps that a job asks for; each ends in Job::event.
  void read(JobSlot& slot, std::size_t offset_in_buffer = 0) {
    io_uring_sqe* sqe = get();
    const unsigned length = options_.buffer - static_cast<unsigned>(offset_in_buffer);
    if (options_.fixed_buffers)
      io_uring_prep_read_fixed(sqe, slot.fd, slot.buffer + offset_in_buffer, length, slot.done,
                               static_cast<int>(slot.index));
    else
      io_uring_prep_read(sqe, slot.fd, slot.buffer + offset_in_buffer, length, slot.done);
    io_uring_sqe_set_data(sqe, &slot);
  }
  void create(JobSlot& slot, int dir, const char* name, mode_t mode) {
    io_uring_sqe* sqe = get();
    io_uring_prep_openat(sqe, dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    io_uring_sqe_set_data(sqe, &slot);
  }
  void write(JobSlot& slot, int fd, const char* data, unsigned length, std::uint64_t offset) {
    io_uring_sqe* sqe = get();
    io_uring_prep_write(sqe, fd, data, length, offset);
    io_uring_sqe_set_data(sqe, &slot);
  }
  void rename(JobSlot& slot, int dir, const char* from, const char* to) {
    io_uring_sqe* sqe = get();
    io_uring_prep_renameat(sqe, dir, from, dir, to, 0);
    io_uring_sqe_set_data(sqe, &slot);
  }
  // Nobody waits for a close: it goes with the next enter, and only a failure posts a completion.
  void close(int fd) {
    io_uring_sqe* sqe = get();
    io_uring_prep_close(sqe, fd);
    io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
    io_uring_sqe_set_data(sqe, nullptr);
  }
  // The file is done, well or not: closes it and frees the slot.
  void finish(JobSlot& slot) {
    if (slot.fd >= 0) close(slot.fd);
    if (slot.buffer) free_buffers_.push_back(slot.index);
    if (++slot.batch->finished == slot.batch->total) delete slot.batch;
    slot = JobSlot{};
    free_.push_back(&slot);
    --busy_;
  }
  unsigned buffer_size() const { return options_.buffer; }

  Stats stats;

 private:
  io_uring_sqe* get() {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (!sqe) {
      io_uring_submit(&ring_);
      sqe = io_uring_get_sqe(&ring_);
    }
    return sqe;
  }

  bool start_next() {
    if (!current_) {
      // Blocks only when nothing is in flight: else completions come first.
      current_ = tree_.pop(busy_ == 0).release();
      if (!current_) return false;
    }
    JobSlot& slot = *free_.back();
    free_.pop_back();
    ++busy_;
    slot.batch = current_;
    slot.name = current_->names.data() + current_->next;
    current_->next += std::strlen(slot.name) + 1;
    io_uring_sqe* sqe = get();
    io_uring_prep_openat(sqe, current_->dir->fd, slot.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                         0);
    if (options_.async_open) io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
    io_uring_sqe_set_data(sqe, &slot);
    if (current_->next == current_->names.size()) current_ = nullptr;  // its last file frees it
    return true;
  }

  void completed(JobSlot& slot, int result) {
    if (slot.fd < 0) {  // opened
      if (result < 0) {
        fail("open", &slot.dir(), slot.name, -result);
        return finish(slot);
      }
      slot.fd = result;
      slot.index = free_buffers_.back();  // the one used last: warm in the cache
      free_buffers_.pop_back();
      slot.buffer = buffers_ + std::size_t{slot.index} * options_.buffer;
      return read(slot);
    }
    job_.event(*this, slot, result);
  }

  Tree& tree_;
  const Options& options_;
  Job& job_;
  io_uring ring_{};
  std::vector<JobSlot> slots_;
  std::vector<JobSlot*> free_;
  std::vector<unsigned> free_buffers_;
  char* buffers_ = nullptr;
  Batch* current_ = nullptr;  // being started
  unsigned busy_ = 0;         // slots in use
};

// Runs the walkers and one ring for each job until the tree is done.
template <class Job>
void run(Tree& tree, const Options& options, std::vector<Job>& jobs) {
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);

  std::vector<Stats> stats(jobs.size());
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < options.walkers; ++i) threads.emplace_back([&] { tree.walk(); });
    for (std::size_t i = 0; i < jobs.size(); ++i)
      threads.emplace_back([&, i] {
        Ring<Job> ring(tree, options, jobs[i]);
        ring.run();
        stats[i] = ring.stats;
      });
  }
  if (!options.stats) return;
  Stats sum;
  for (const Stats& s : stats) sum.add(s);
  const double enters = static_cast<double>(sum.enters);
  std::fprintf(
      stderr,
      "enters %.0f  submitted/enter %.1f  in flight/enter %.1f (most %llu)  completed/in flight %.3f  enters that "
      "completed all %.3f\n",
      enters, static_cast<double>(sum.submitted) / enters, static_cast<double>(sum.in_flight) / enters,
      static_cast<unsigned long long>(sum.most), static_cast<double>(sum.ready) / static_cast<double>(sum.in_flight),
      static_cast<double>(sum.all_ready) / enters);
}

}  // namespace floors
