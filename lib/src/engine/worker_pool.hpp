// The process's worker threads: they run what would block a loop.
//
// Two pools, so that computing never keeps disk waits from starting: `blocking` grows to many threads that mostly
// sleep, `computing` has one thread a CPU. Threads start when work finds none idle, and end after idling a while.
// Any thread may submit. Pools live as long as the process; their threads touch nothing but the work they were given.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>

#include <asyncfs/detail/list.hpp>

namespace asyncfs::detail {

class work_item {
 public:
  virtual void run() noexcept = 0;
  work_item* next_in_queue = nullptr;

 protected:
  ~work_item() = default;
};

class worker_pool {
 public:
  static worker_pool& blocking();
  static worker_pool& computing();

  // The item must live until its run() has returned. Where not a single thread can be had, it runs right here.
  void submit(work_item& item) noexcept;

 private:
  explicit worker_pool(std::size_t most_threads) : most_threads_(most_threads) {}
  bool start_thread() noexcept;
  void work_instead() noexcept;
  void work();

  std::mutex mutex_;
  std::condition_variable news_;
  queue<work_item> waiting_;
  std::size_t queued_ = 0, idle_ = 0, threads_ = 0;
  const std::size_t most_threads_;
};

}  // namespace asyncfs::detail
