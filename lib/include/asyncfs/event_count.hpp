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
#include <vector>

#include <asyncfs/task.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

class event_count {
 public:
  class waiter final : public detail::ready_node {
   public:
    waiter(event_count& on, std::uint64_t seen) noexcept : on_(on), seen_(seen) {}
    [[nodiscard]] bool await_ready() const noexcept { return on_.now() != seen_; }
    template <detail::awaiting_promise P>
    bool await_suspend(std::coroutine_handle<P> task) {
      home_ = &task.promise().home();
      task_ = task;
      const std::lock_guard lock(on_.mutex_);
      if (on_.now() != seen_) return false;
      on_.waiting_.push_back(this);
      return true;
    }
    void await_resume() const noexcept {}

   private:
    friend class event_count;
    void run() override { task_.resume(); }
    event_count& on_;
    std::uint64_t seen_;
    loop* home_ = nullptr;
    std::coroutine_handle<> task_;
  };

  [[nodiscard]] std::uint64_t now() const noexcept { return count_.load(std::memory_order_acquire); }
  [[nodiscard]] waiter after(std::uint64_t seen) noexcept { return {*this, seen}; }

  // Any thread: wakes all that wait.
  void notify() {
    std::vector<waiter*> woken;
    {
      const std::lock_guard lock(mutex_);
      count_.fetch_add(1, std::memory_order_release);
      woken.swap(waiting_);
    }
    for (waiter* one : woken) {
      loop* home = one->home_;
      if (loop::current() == home)
        home->make_ready(*one);
      else
        home->post([home, one] { home->make_ready(*one); });
    }
  }

 private:
  std::mutex mutex_;
  std::atomic<std::uint64_t> count_{0};
  std::vector<waiter*> waiting_;
};

}  // namespace asyncfs
