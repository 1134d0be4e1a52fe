// Waiting for time to pass, and not waiting longer than that. Timers are the loop's own: no system call for any.
//
//   co_await asyncfs::sleep_for(10ms);
//   co_await asyncfs::sleep_until(home.now() + 1s);
//   auto n = co_await asyncfs::with_timeout(socket.receive(buffer), 2s);    // std::errc::timed_out after 2 s
//   asyncfs::interval ticks(100ms);
//   for (;;) { co_await ticks.next(); draw(); }
//
// Loop thread only, on the loop's clock (the simulator's stands still while code runs). Timers fire in the order of
// their times, and of equal times in the order they were started; never early. Cancelling the scope ends a wait early
// with std::errc::operation_canceled.
#pragma once

#include <cerrno>
#include <chrono>
#include <optional>

#include <asyncfs/awaitable.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

namespace detail {

class sleep_awaiter final : public pending {
 public:
  explicit sleep_awaiter(steady_time until) noexcept : pending(opcode::timeout, false), until_(until) {}
  explicit sleep_awaiter(steady_time::duration delay) noexcept
      : pending(opcode::timeout, false), until_(delay), relative_(true) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class P>
  void await_suspend(std::coroutine_handle<P> waiter, std::source_location at = std::source_location::current()) {
    static_assert(awaiting_promise<P>, "time is awaited in a coroutine that returns asyncfs::task");
    this->site = at;
    waiter_ = waiter;
    loop& home = waiter.promise().home();
    home.start_timer(*this, waiter.promise().scope(),
                     relative_ ? after(home.now(), until_.time_since_epoch()) : until_);
  }
  void await_resume() const {
    if (outcome().value < 0) throw_failure(failure(-outcome().value).error(), "sleep");
  }
  void prepare(request&) override {}
  void run() override {
    finish();
    waiter_.resume();
  }

  // As late as a clock can say, if it comes to that.
  static steady_time after(steady_time now, steady_time::duration delay) noexcept {
    return delay > steady_time::max() - now ? steady_time::max() : now + delay;
  }

 private:
  steady_time until_;
  bool relative_ = false;
  std::coroutine_handle<> waiter_;
};

struct [[nodiscard("time passes when this is awaited")]] sleep_operation {
  steady_time::duration delay;
  sleep_awaiter operator co_await() const noexcept { return sleep_awaiter(delay); }
};
struct [[nodiscard("time passes when this is awaited")]] sleep_until_operation {
  steady_time until;
  sleep_awaiter operator co_await() const noexcept { return sleep_awaiter(until); }
};

// Cancels a scope when its time has come.
class deadline final : public pending {
 public:
  deadline(const task_context& at, steady_time::duration delay)
      : pending(opcode::timeout, false), home_(at.home), scope_(&at.scope) {
    site = at.site;
    home_.start_timer(*this, at.scope, sleep_awaiter::after(home_.now(), delay));
  }
  ~deadline() { home_.stop_timer(*this); }
  [[nodiscard]] cancel_scope& scope() noexcept { return scope_; }
  [[nodiscard]] bool passed() const noexcept { return passed_; }

 private:
  void prepare(request&) override {}
  void run() override {}
  // Cancelled with the task's own scope, it has nothing left to do: so is what it guards.
  void arrive(const completion& event) override {
    finish();
    if (event.value < 0) return;
    passed_ = true;
    scope_.cancel();
  }
  loop& home_;
  cancel_scope scope_;
  bool passed_ = false;
};

// Of any unit, in the clock's: what it cannot count is as much as it can.
template <class Rep, class Period>
constexpr steady_time::duration saturated(std::chrono::duration<Rep, Period> delay) noexcept {
  using wide = std::chrono::duration<long double, steady_time::period>;
  if (wide(delay) >= wide(steady_time::duration::max())) return steady_time::duration::max();
  if (wide(delay) <= wide(steady_time::duration::min())) return steady_time::duration::min();
  return std::chrono::duration_cast<steady_time::duration>(delay);
}

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <class T>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<result<T>> = true;

}  // namespace detail

// The longest duration there is stands for all that are longer.
template <class Rep, class Period>
[[nodiscard]] detail::sleep_operation sleep_for(std::chrono::duration<Rep, Period> delay) noexcept {
  return {detail::saturated(delay)};
}
// A time that has passed lets other work of the loop go first, and no more.
[[nodiscard]] inline detail::sleep_until_operation sleep_until(steady_time when) noexcept { return {when}; }

// What `what` gives, or std::errc::timed_out when it had not ended after `delay`: it is then cancelled and awaited. A
// result that comes all the same is delivered. Of as_result(...), the error is in the result.
template <awaitable A, class Rep, class Period>
task<awaited_t<A>> with_timeout(A what, std::chrono::duration<Rep, Period> delay) {
  const task_context at = co_await this_task;
  task<awaited_t<A>> work = as_task(std::move(what));
  detail::deadline limit(at, detail::saturated(delay));
  try {
    if constexpr (detail::is_optional<awaited_t<A>>) {
      // A sequence that is cancelled while it waits gives nothing, as at its end.
      auto value = co_await detail::for_caller(std::move(work).in(limit.scope()));
      if (value || !limit.passed()) co_return value;
    } else if constexpr (detail::is_result<awaited_t<A>>) {
      auto value = co_await detail::for_caller(std::move(work).in(limit.scope()));
      if (!value && limit.passed() && value.error() == std::errc::operation_canceled) co_return failure(ETIMEDOUT);
      co_return value;
    } else {
      co_return co_await detail::for_caller(std::move(work).in(limit.scope()));
    }
  } catch (const std::system_error& error) {
    if (!limit.passed() || error.code() != std::errc::operation_canceled) throw;
  }
  throw std::system_error(ETIMEDOUT, std::system_category(), "with_timeout");
}

// Ticks at a steady pace: each at a multiple of the period after the first call of `next`, however late the one before
// was taken. Ticks that were missed are counted, not made up for.
class interval {
 public:
  // Throws std::invalid_argument for a period that is not positive.
  explicit interval(steady_time::duration period);

  // Waits for the next tick; how many periods have passed since the last: 1 unless some were missed. The optional always
  // has a value, so that an interval is an asynchronous sequence that never ends.
  task<std::optional<std::uint64_t>> next();

 private:
  steady_time::duration period_;
  std::optional<steady_time> last_{};
};

}  // namespace asyncfs
