// Waiting, from tasks of any loop, until something another task changed is worth another look.
//
//   for (;;) {
//     const auto seen = changed.now();          // first the count,
//     if (condition()) break;                   // then the look,
//     co_await changed.after(seen);             // then the wait: a change in between is not missed
//   }
//
// Thread-safe. A waiting task is not cancelled by its scope: whoever changes the condition must notify.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>

#include <asyncfs/detail/wakeable.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

class event_count {
 public:
  class waiter final : public detail::wakeable {
   public:
    waiter(event_count& on, std::uint64_t seen) noexcept : on_(on), seen_(seen) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <detail::awaiting_promise P>
    bool await_suspend(std::coroutine_handle<P> task, std::source_location at = std::source_location::current()) {
      suspend(task, at);
      return waits() || takes_turn();
    }
    void await_resume() const noexcept {}

   private:
    friend class event_count;
    bool waits() {
      if (on_.now() != seen_) return false;
      const std::lock_guard lock(on_.mutex_);
      if (on_.now() != seen_) return false;
      next_ = std::exchange(on_.newest_, this);
      return true;
    }
    event_count& on_;
    waiter* next_ = nullptr;
    std::uint64_t seen_;
  };

  [[nodiscard]] std::uint64_t now() const noexcept { return count_.load(std::memory_order_acquire); }
  [[nodiscard]] waiter after(std::uint64_t seen) noexcept { return {*this, seen}; }

  // Any thread: wakes all that wait. Allocates nothing.
  void notify() {
    waiter *woken = nullptr, *newest = nullptr;
    {
      const std::lock_guard lock(mutex_);
      count_.fetch_add(1, std::memory_order_release);
      newest = std::exchange(newest_, nullptr);
    }
    while (newest != nullptr) {  // those that have waited longest go first
      waiter& one = *std::exchange(newest, newest->next_);
      one.next_ = std::exchange(woken, &one);
    }
    while (woken != nullptr) {
      waiter& one = *woken;
      woken = one.next_;  // before it may run, and be gone
      one.wake();
    }
  }

 private:
  std::mutex mutex_;
  std::atomic<std::uint64_t> count_{0};
  waiter* newest_ = nullptr;
};

}  // namespace asyncfs
