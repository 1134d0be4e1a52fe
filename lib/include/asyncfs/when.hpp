// Several at once, on one loop: all of them, each on its own, the first to succeed, the first to end.
//
//   auto [head, tail] = co_await when_all(file.read_at(a, 0), file.read_at(b, 4096));
//   auto each         = co_await when_all_settled(connect(one), connect(two));      // never throws what they throw
//   auto answer       = co_await when_any(std::move(mirrors));                      // {index, value} of the first success
//   auto first        = co_await race(ask(server), sleep_for(1s));                  // variant: whichever ended first
//
// They take anything that can be awaited, or a vector of tasks of one type. Whatever the outcome, they return when the
// last has ended: those that are not needed any more are asked to cancel and then awaited, and values they give all the
// same are destroyed (a descriptor is closed). Cancelling the awaiting task cancels all of them.
// Nesting them takes stack, since each begins what it was given from within: a hundred thousand levels fit into 8 MiB
// when optimised, fewer when not. A recursion without a bound does its work in a scope instead.
// Loop thread only. Errors: the first exception for when_all; for when_any, when all failed, `all_failed`, or when some
// were cancelled with the awaiting task, std::errc::operation_canceled.
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <expected>
#include <stdexcept>
#include <tuple>
#include <variant>
#include <vector>

#include <asyncfs/detail/joint.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

// How one of several ended: its value, or what it threw.
template <class T>
using settled = std::expected<T, std::exception_ptr>;

template <class T>
struct first_success {
  std::size_t index;  // which it was
  T value;
};
template <>
struct first_success<void> {
  std::size_t index;
};

// Thrown by when_any when none succeeded; the reasons in the order of the tasks.
class all_failed : public std::runtime_error {
 public:
  explicit all_failed(std::vector<std::exception_ptr> reasons)
      : std::runtime_error("when_any: none of " + std::to_string(reasons.size()) + " succeeded"),
        reasons_(std::move(reasons)) {}
  [[nodiscard]] const std::vector<std::exception_ptr>& reasons() const noexcept { return reasons_; }

 private:
  std::vector<std::exception_ptr> reasons_;
};

namespace detail {

// None succeeded. Where the awaiting task was cancelled, and not only failure came first, it ends as cancelled tasks do.
[[noreturn]] inline void throw_all_failed(std::vector<std::exception_ptr> reasons, const cancel_scope& scope) {
  if (scope.cancelled() && std::ranges::any_of(reasons, is_cancellation))
    throw_failure(failure(ECANCELED).error(), "when_any");
  throw all_failed(std::move(reasons));
}

template <class T>
settled<T> settle(task<T>& done) {
  try {
    if constexpr (std::is_void_v<T>) {
      done.take();
      return {};
    } else {
      return done.take();
    }
  } catch (...) {
    return std::unexpected(std::current_exception());
  }
}

// Begins all of a vector's tasks and waits for the last.
template <class T>
task<std::size_t> run_beside(std::vector<task<T>>& tasks, joint::stops_at when) {
  const task_context at = co_await this_task;
  std::vector<joint::child> children(tasks.size());
  joint all(at, when);
  for (std::size_t i = 0; i < tasks.size(); ++i) all.begin(tasks[i], children[i]);
  co_await for_caller(all);
  co_return all.decisive();
}

template <class... T>
task<std::size_t> run_beside(std::tuple<task<T>...>& tasks, joint::stops_at when) {
  const task_context at = co_await this_task;
  std::array<joint::child, sizeof...(T)> children;
  joint all(at, when);
  std::size_t next = 0;
  std::apply([&](task<T>&... one) { (all.begin(one, children[next++]), ...); }, tasks);
  co_await for_caller(all);
  co_return all.decisive();
}

// Calls fn(task, its index as a constant) for the task at `index`.
template <class F, class... T>
void at_index(std::tuple<task<T>...>& tasks, std::size_t index, F&& fn) {
  const auto look = [&]<std::size_t... I>(std::index_sequence<I...>) {
    ((I == index ? fn(std::get<I>(tasks), std::integral_constant<std::size_t, I>()) : void()), ...);
  };
  look(std::index_sequence_for<T...>());
}

template <class... T>
task<std::tuple<storable<T>...>> all_of(std::tuple<task<T>...> tasks) {
  const std::size_t failed = co_await for_caller(run_beside(tasks, joint::stops_at::failure));
  if (failed != joint::none) at_index(tasks, failed, [](auto& one, auto) { one.take(); });
  // Element by element, in order: what was moved out is not lost when a later move throws.
  co_return std::apply([](task<T>&... one) { return std::tuple<storable<T>...>{take_from(one)...}; }, tasks);
}

template <class... T>
task<std::tuple<settled<T>...>> settled_of(std::tuple<task<T>...> tasks) {
  co_await for_caller(run_beside(tasks, joint::stops_at::nothing));
  co_return std::apply([](task<T>&... one) { return std::tuple<settled<T>...>{settle(one)...}; }, tasks);
}

template <class... T>
task<std::variant<storable<T>...>> any_of(std::tuple<task<T>...> tasks) {
  const std::size_t winner = co_await for_caller(run_beside(tasks, joint::stops_at::success));
  if (winner == joint::none) {
    std::vector<std::exception_ptr> reasons;
    std::apply([&](task<T>&... one) { (reasons.push_back(settle(one).error()), ...); }, tasks);
    const task_context at = co_await this_task;
    throw_all_failed(std::move(reasons), at.scope);
  }
  std::optional<std::variant<storable<T>...>> value;
  at_index(tasks, winner, [&](auto& one, auto i) { value.emplace(std::in_place_index<i>, take_from(one)); });
  co_return *std::move(value);
}

template <class... T>
task<std::variant<storable<T>...>> race_of(std::tuple<task<T>...> tasks) {
  const std::size_t winner = co_await for_caller(run_beside(tasks, joint::stops_at::first_end));
  std::optional<std::variant<storable<T>...>> value;
  at_index(tasks, winner, [&](auto& one, auto i) { value.emplace(std::in_place_index<i>, take_from(one)); });
  co_return *std::move(value);
}

// As a tuple of tasks; when making one of them fails, the others have not begun.
template <awaitable... A>
std::tuple<task<awaited_t<A>>...> as_tasks(A&&... what) {
  return {as_task(std::move(what))...};
}

}  // namespace detail

// All values, in the order of the arguments (std::monostate for void).
template <awaitable... A>
task<std::tuple<detail::storable<awaited_t<A>>...>> when_all(A... what) {
  return detail::all_of(detail::as_tasks(std::move(what)...));
}
template <class T>
task<std::conditional_t<std::is_void_v<T>, void, std::vector<detail::storable<T>>>> when_all(
    std::vector<task<T>> tasks) {
  const std::size_t failed = co_await detail::for_caller(detail::run_beside(tasks, detail::joint::stops_at::failure));
  if (failed != detail::joint::none) tasks[failed].take();
  if constexpr (!std::is_void_v<T>) {
    std::vector<T> values;
    values.reserve(tasks.size());
    for (task<T>& one : tasks) values.push_back(one.take());
    co_return values;
  }
}

// How each ended, in the order of the arguments. None is cancelled because of another.
template <awaitable... A>
task<std::tuple<settled<awaited_t<A>>...>> when_all_settled(A... what) {
  return detail::settled_of(detail::as_tasks(std::move(what)...));
}
template <class T>
task<std::vector<settled<T>>> when_all_settled(std::vector<task<T>> tasks) {
  co_await detail::for_caller(detail::run_beside(tasks, detail::joint::stops_at::nothing));
  std::vector<settled<T>> values;
  values.reserve(tasks.size());
  for (task<T>& one : tasks) values.push_back(detail::settle(one));
  co_return values;
}

// The first that succeeds, at its index in the variant. Failures do not count unless all fail.
template <awaitable... A>
  requires(sizeof...(A) > 0)
task<std::variant<detail::storable<awaited_t<A>>...>> when_any(A... what) {
  return detail::any_of(detail::as_tasks(std::move(what)...));
}
// Of no tasks at all, none succeeds.
template <class T>
task<first_success<T>> when_any(std::vector<task<T>> tasks) {
  const std::size_t winner = co_await detail::for_caller(detail::run_beside(tasks, detail::joint::stops_at::success));
  if (winner == detail::joint::none) {
    std::vector<std::exception_ptr> reasons;
    for (task<T>& one : tasks) reasons.push_back(detail::settle(one).error());
    const task_context at = co_await this_task;
    detail::throw_all_failed(std::move(reasons), at.scope);
  }
  if constexpr (std::is_void_v<T>) {
    co_return first_success<T>{winner};
  } else {
    first_success<T> first{winner, tasks[winner].take()};
    co_return first;
  }
}

// The first that ends: its value at its index in the variant, or what it threw.
template <awaitable... A>
  requires(sizeof...(A) > 0)
task<std::variant<detail::storable<awaited_t<A>>...>> race(A... what) {
  return detail::race_of(detail::as_tasks(std::move(what)...));
}
// Throws std::invalid_argument for no tasks: none would ever end.
template <class T>
task<first_success<T>> race(std::vector<task<T>> tasks) {
  if (tasks.empty()) throw std::invalid_argument("race: no tasks");
  const std::size_t winner = co_await detail::for_caller(detail::run_beside(tasks, detail::joint::stops_at::first_end));
  if constexpr (std::is_void_v<T>) {
    tasks[winner].take();
    co_return first_success<T>{winner};
  } else {
    first_success<T> first{winner, tasks[winner].take()};
    co_return first;
  }
}

}  // namespace asyncfs
