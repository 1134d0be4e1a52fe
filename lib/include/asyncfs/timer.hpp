// Waiting for time to pass. One timer in the loop's own queue; no system call of its own.
//
// Loop thread only. Cancelling the scope ends the wait early with std::errc::operation_canceled.
#pragma once

#include <cerrno>

#include <asyncfs/task.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

namespace detail {

class sleep_awaiter final : public pending {
 public:
  explicit sleep_awaiter(steady_time::duration delay) noexcept : pending(opcode::timeout, false), delay_(delay) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class P>
  void await_suspend(std::coroutine_handle<P> waiter) {
    static_assert(awaiting_promise<P>, "sleep_for is awaited in a coroutine that returns asyncfs::task");
    waiter_ = waiter;
    loop& home = waiter.promise().home();
    const steady_time now = home.now();
    const bool for_ever = delay_ > steady_time::max() - now;
    home.start_timer(*this, waiter.promise().scope(), for_ever ? steady_time::max() : now + delay_);
  }
  void await_resume() const {
    if (outcome().value < 0) throw_failure(failure(-outcome().value).error(), "sleep");
  }
  void prepare(request&) override {}
  void run() override {
    finish();
    waiter_.resume();
  }

 private:
  steady_time::duration delay_;
  std::coroutine_handle<> waiter_;
};

}  // namespace detail

// `co_await sleep_for(10ms);`
[[nodiscard]] inline detail::sleep_awaiter sleep_for(steady_time::duration delay) noexcept {
  return detail::sleep_awaiter(delay);
}

}  // namespace asyncfs
