// One function over many items, a bounded number at a time.
//
// The error rule is when_all's: the first exception asks the others to cancel and begins no new item; all are awaited;
// then it is thrown. Loop thread only; cancelling the awaiting task cancels all of them and begins no new item. Items
// that were not begun make it end with std::errc::operation_canceled: it returns only when all were done.
#pragma once

#include <algorithm>
#include <cerrno>
#include <concepts>
#include <exception>
#include <list>
#include <ranges>
#include <utility>

#include <asyncfs/detail/joint.hpp>
#include <asyncfs/scope.hpp>
#include <asyncfs/semaphore.hpp>
#include <asyncfs/sequence.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

namespace detail {

template <class View, class State>
task<void> take_turns(State& state) {
  while (state.next != state.end && !state.all.stopping()) {
    if constexpr (std::ranges::forward_range<View>) {
      auto&& item = *state.next;
      ++state.next;
      co_await for_caller(state.fn(std::forward<decltype(item)>(item)));
    } else {  // what it refers to is gone once the iterator moves on
      std::ranges::range_value_t<View> item(*state.next);
      ++state.next;
      co_await for_caller(state.fn(std::move(item)));
    }
  }
}

struct runner {
  task<void> work;
  joint::child as{};
};

template <std::ranges::view View, class F>
task<void> for_each_in(View range, std::size_t limit, F fn) {
  struct state_type {
    std::ranges::iterator_t<View> next;
    std::ranges::sentinel_t<View> end;
    F& fn;
    joint& all;
  };
  const task_context at = co_await this_task;
  joint all(at, joint::stops_at::failure);
  state_type state{std::ranges::begin(range), std::ranges::end(range), fn, all};
  std::list<runner> runners;  // they stay where they are as more come
  std::exception_ptr broken;  // no memory for another, or the range threw: those that run are awaited first
  try {
    for (std::size_t i = 0; i < std::max<std::size_t>(limit, 1) && state.next != state.end && !all.stopping(); ++i) {
      runner& next = runners.emplace_back(runner{take_turns<View>(state)});
      all.begin(next.work, next.as);
    }
  } catch (...) {
    broken = std::current_exception();
    all.stop();
  }
  co_await for_caller(all);
  if (broken) std::rethrow_exception(broken);
  if (all.decisive() != joint::none)
    std::next(runners.begin(), static_cast<std::ptrdiff_t>(all.decisive()))->work.take();
  if (state.next != state.end) throw_failure(failure(ECANCELED).error(), "for_each_concurrent");
}

}  // namespace detail

// Calls fn(item), which returns task<void>, for every item of the range, with at most `limit` of them running. After a
// failure no new item is begun. A temporary range is kept until the end; a named one must live until then, and is read
// on the loop's thread only. A limit of 0 is taken as 1.
template <std::ranges::input_range R, class F>
  requires std::ranges::viewable_range<R>
task<void> for_each_concurrent(R&& range, std::size_t limit, F fn) {
  return detail::for_each_in(std::views::all(std::forward<R>(range)), limit, std::move(fn));
}

namespace detail {

template <class F, class T>
task<void> use_item(F& fn, T item, semaphore::permit) {
  co_await for_caller(fn(std::move(item)));
}

template <class S, class F>
task<void> take_each(S& source, F& fn, semaphore& room, scope& running) {
  const task_context at = co_await this_task;
  for (;;) {
    semaphore::permit permit = co_await for_caller(room.acquire());
    auto item = co_await for_caller(source.next());
    if (!item) {
      // To some sequences being cancelled is an end like any other.
      if (running.cancelled()) throw_failure(failure(ECANCELED).error(), "for_each_concurrent");
      co_return;
    }
    running.spawn(use_item(fn, *std::move(item), std::move(permit)), at.site);
  }
}

}  // namespace detail

// The same for an asynchronous sequence, which must live until the end. It is asked for the next item only when one of
// the `limit` is free.
template <asynchronous_sequence S, class F>
  requires(!std::ranges::range<S>)
task<void> for_each_concurrent(S& source, std::size_t limit, F fn) {
  semaphore room(std::max<std::size_t>(limit, 1));
  const auto body = [&](scope& running) { return detail::take_each(source, fn, room, running); };
  co_await detail::for_caller(in_scope(body));
}

}  // namespace asyncfs
