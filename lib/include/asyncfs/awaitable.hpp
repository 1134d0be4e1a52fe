// What can be awaited in a task: tasks, operations, futures, waits on events, channels and time.
//
// Whatever takes an awaitable by value (when_all, race, with_timeout, spawn ...) begins it itself; until then it does
// nothing.
#pragma once

#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

#include <asyncfs/task.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

template <class A>
concept awaitable = requires(A&& what) { std::move(what).operator co_await().await_resume(); };

// The type of `co_await std::move(what)`.
template <awaitable A>
using awaited_t = decltype(std::declval<A>().operator co_await().await_resume());

// A task that awaits `what`; of a task, that task.
template <awaitable A>
task<awaited_t<A>> as_task(A what) {
  co_return co_await detail::for_caller(std::move(what));
}
template <class T>
task<T> as_task(task<T> what) noexcept {
  return what;
}

// The same of anything else that can be awaited: the code of the std::system_error that it throws becomes the result's
// error; any other exception passes through.
template <awaitable A>
task<result<awaited_t<A>>> as_result(A what) {
  try {
    if constexpr (std::is_void_v<awaited_t<A>>) {
      co_await detail::for_caller(std::move(what));
      co_return result<void>();
    } else {
      co_return co_await detail::for_caller(std::move(what));
    }
  } catch (const std::system_error& error) {
    co_return failure(error.code());
  }
}

namespace detail {

// What void becomes where a value must be kept.
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

}  // namespace asyncfs
