#include "engine/worker_pool.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <thread>

namespace asyncfs::detail {

namespace {
constexpr std::size_t most_blocking_threads = 64;  // enough to keep a disk's queue full, few enough to stay small
constexpr auto idle_before_ending = std::chrono::seconds(5);
}  // namespace

// Never destroyed: a worker may still be in a system call when the process runs its static destructors.
worker_pool& worker_pool::blocking() {
  static auto* const pool = new worker_pool(most_blocking_threads);
  return *pool;
}

worker_pool& worker_pool::computing() {
  static auto* const pool = new worker_pool(std::max(1u, std::thread::hardware_concurrency()));
  return *pool;
}

void worker_pool::submit(work_item& item) noexcept {
  bool start = false;
  {
    const std::lock_guard lock(mutex_);
    waiting_.push(item);
    ++queued_;
    if (idle_ < queued_ && threads_ < most_threads_) {
      start = true;
      ++threads_;
    }
  }
  if (!start || !start_thread()) news_.notify_one();
}

// Counted already. False: the system has no thread to give, or no memory for one.
bool worker_pool::start_thread() noexcept {
  // Signals are for the threads that asked for them, so workers start with all of them blocked.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = true;
  try {
    std::thread([this] { work(); }).detach();
  } catch (const std::exception&) {
    started = false;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!started) work_instead();
  return started;
}

// Without any thread what is queued would wait for ever, so this thread runs it; with some, they will come to it.
// The mutex is free while an item runs, since that may submit another.
void worker_pool::work_instead() noexcept {
  std::unique_lock lock(mutex_);
  --threads_;
  while (threads_ == 0) {
    work_item* left = waiting_.pop();
    if (left == nullptr) return;
    --queued_;
    lock.unlock();
    left->run();
    lock.lock();
  }
}

void worker_pool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (work_item* item = waiting_.pop()) {
      --queued_;
      lock.unlock();
      item->run();
      lock.lock();
      continue;
    }
    ++idle_;
    const bool news = news_.wait_for(lock, idle_before_ending, [this] { return !waiting_.empty(); });
    --idle_;
    if (!news) {
      --threads_;
      return;
    }
  }
}

}  // namespace asyncfs::detail
