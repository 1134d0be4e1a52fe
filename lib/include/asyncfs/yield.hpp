// Letting others go first.
//
// `co_await yield();` puts the task at the end of the loop's ready queue: what is ready runs, and when that was much,
// completions are taken in, before it goes on. Long computations in a task do this now and then, or `offload` is for
// them. Loop thread only. It never fails, and costs no system call.
#pragma once

#include <asyncfs/task.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

namespace detail {

class yield_awaiter final : public ready_node {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <awaiting_promise P>
  void await_suspend(std::coroutine_handle<P> waiter,
                     std::source_location at = std::source_location::current()) noexcept {
    this->site = at;
    waiter_ = waiter;
    waiter.promise().home().make_ready(*this);
  }
  void await_resume() const noexcept {}
  void run() override { waiter_.resume(); }

 private:
  std::coroutine_handle<> waiter_;
};

struct [[nodiscard]] yield_operation {
  yield_awaiter operator co_await() const noexcept { return {}; }
};

}  // namespace detail

[[nodiscard]] inline detail::yield_operation yield() noexcept { return {}; }

}  // namespace asyncfs
