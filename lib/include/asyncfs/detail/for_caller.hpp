// Awaiting on behalf of whoever awaits.
//
// A coroutine of the library that awaits something for its user is no line of the user's: what goes on afterwards, and
// what is started, is told by the line where the user awaits, spawns or runs that coroutine.
#pragma once

#include <coroutine>
#include <source_location>
#include <type_traits>
#include <utility>

namespace [[gnu::visibility("default")]] asyncfs {
namespace detail {

template <class A>
decltype(auto) awaiter_of(A&& what) {
  if constexpr (requires { std::forward<A>(what).operator co_await(); })
    return std::forward<A>(what).operator co_await();
  else
    return static_cast<std::remove_reference_t<A>&>(what);
}

template <class A>
class [[nodiscard]] caller_awaiter {
 public:
  explicit caller_awaiter(A&& what) : inner_(awaiter_of(std::forward<A>(what))) {}
  [[nodiscard]] bool await_ready() { return inner_.await_ready(); }
  template <class P>
  decltype(auto) await_suspend(std::coroutine_handle<P> waiter) {
    const std::source_location& site = waiter.promise().site;
    if constexpr (requires { inner_.await_suspend(waiter, site); })
      return inner_.await_suspend(waiter, site);
    else
      return inner_.await_suspend(waiter);
  }
  decltype(auto) await_resume() { return inner_.await_resume(); }

 private:
  decltype(awaiter_of(std::declval<A>())) inner_;  // in place: awaiters do not move
};

// `co_await for_caller(what)` is `co_await what`, told by the awaiting coroutine's own site. `what` lives until the
// await is over, as it does without.
template <class A>
caller_awaiter<A> for_caller(A&& what) {
  return caller_awaiter<A>(std::forward<A>(what));
}

}  // namespace detail
}  // namespace asyncfs
