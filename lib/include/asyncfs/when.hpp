// Several tasks at once, on one loop: all of them, or a bounded number over a range.
//
// The error rule, everywhere here: the first exception asks the siblings to cancel; all are awaited to their end; then
// the first exception is thrown. Loop thread only; cancelling the awaiting task cancels all of them.
#pragma once

#include <algorithm>
#include <concepts>
#include <deque>
#include <iterator>
#include <ranges>
#include <tuple>
#include <variant>
#include <vector>

#include <asyncfs/task.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

namespace detail {

// Begins tasks in a cancel scope of their own, and wakes one waiter when the last has ended.
class joined final : public ready_node {
 public:
  explicit joined(const task_context& at) noexcept : home_(at.home), scope_(&at.scope) {}

  template <class T>
  void begin(task<T>& child) {
    const std::size_t index = begun_++;
    ++left_;
    child.begin(home_, scope_, epilogue::calling([this, &child, index] { ended(child.failed(), index); }).frame);
  }
  [[nodiscard]] static constexpr std::size_t none() noexcept { return static_cast<std::size_t>(-1); }
  // The task that failed first, by the order of beginning.
  [[nodiscard]] std::size_t first_failure() const noexcept { return first_failure_; }
  [[nodiscard]] bool stopping() const noexcept { return scope_.cancelled(); }

  // Awaiting this waits for all that was begun.
  [[nodiscard]] bool await_ready() const noexcept { return left_ == 0; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept { waiter_ = waiter; }
  void await_resume() const noexcept {}

 private:
  void ended(bool failed, std::size_t index) noexcept {
    if (failed && first_failure_ == none()) {
      first_failure_ = index;
      scope_.cancel();
    }
    if (--left_ == 0 && waiter_) home_.make_ready(*this);
  }
  void run() override { waiter_.resume(); }

  loop& home_;
  cancel_scope scope_;
  std::size_t begun_ = 0, left_ = 0, first_failure_ = none();
  std::coroutine_handle<> waiter_;
};

template <class T>
using storable = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class T>
storable<T> take_from(task<T>& done) {
  if constexpr (std::is_void_v<T>) {
    done.take();
    return {};
  } else {
    return done.take();
  }
}

}  // namespace detail

// All values, in the order of the arguments (std::monostate for void).
template <class... T>
task<std::tuple<detail::storable<T>...>> when_all(task<T>... tasks) {
  const task_context at = co_await this_task;
  detail::joined all(at);
  (all.begin(tasks), ...);
  co_await all;
  std::size_t index = 0;
  const auto rethrow = [&](auto& done) {
    if (index++ == all.first_failure()) done.take();
  };
  (rethrow(tasks), ...);
  co_return std::tuple<detail::storable<T>...>(detail::take_from(tasks)...);
}

template <class T>
task<std::conditional_t<std::is_void_v<T>, void, std::vector<detail::storable<T>>>> when_all(
    std::vector<task<T>> tasks) {
  const task_context at = co_await this_task;
  detail::joined all(at);
  for (task<T>& one : tasks) all.begin(one);
  co_await all;
  if (all.first_failure() != detail::joined::none()) tasks[all.first_failure()].take();
  if constexpr (!std::is_void_v<T>) {
    std::vector<T> values;
    values.reserve(tasks.size());
    for (task<T>& one : tasks) values.push_back(one.take());
    co_return values;
  } else {
    for (task<T>& one : tasks) one.take();
  }
}

namespace detail {

template <class R, class State>
task<void> take_turns(State& state) {
  while (state.next != state.end && !state.all.stopping()) {
    if constexpr (std::ranges::forward_range<R>) {
      auto&& item = *state.next;
      ++state.next;
      co_await state.fn(std::forward<decltype(item)>(item));
    } else {  // what it refers to is gone once the iterator moves on
      std::ranges::range_value_t<R> item(*state.next);
      ++state.next;
      co_await state.fn(std::move(item));
    }
  }
}

}  // namespace detail

// Calls fn(item), which returns task<void>, for every item of the range, with at most `limit` of them running. After a
// failure no new item is begun. The range must live until the end and is read on the loop's thread only. A limit of 0
// is taken as 1.
template <std::ranges::input_range R, class F>
task<void> for_each_concurrent(R&& range, std::size_t limit, F fn) {
  struct state_type {
    std::ranges::iterator_t<R> next;
    std::ranges::sentinel_t<R> end;
    F& fn;
    detail::joined& all;
  };
  const task_context at = co_await this_task;
  detail::joined all(at);
  state_type state{std::ranges::begin(range), std::ranges::end(range), fn, all};
  std::deque<task<void>> runners;  // they stay where they are as more come
  for (std::size_t i = 0; i < std::max<std::size_t>(limit, 1) && state.next != state.end && !all.stopping(); ++i) {
    runners.push_back(detail::take_turns<R>(state));
    all.begin(runners.back());
  }
  co_await all;
  if (all.first_failure() != detail::joined::none()) runners[all.first_failure()].take();
}

}  // namespace asyncfs
