// The rings that a floor program pushes the files of its tree through.
//
// R threads, each with one ring (single issuer, deferred task work) and `depth` slots. A slot is one file. At most
// `batch` files start per io_uring_enter: cached files finish within the enter that submits them, so few buffers are in
// use and they stay in the cache; uncached files stay in flight and pile up to `depth`.
#pragma once
#include <fcntl.h>
#include <liburing.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "floor_tree.hpp"

namespace floors {

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
