// A function on a worker thread, awaited like any operation.
//
// `offload` is for computing (one thread a CPU), `offload_blocking` for calls that wait (many threads), so that
// computing never keeps disk waits from starting. `fn` runs once, on the worker, or not at all when it was cancelled
// before it began; then the awaiting task gets std::errc::operation_canceled. What fn throws is thrown to the awaiter.
// What fn refers to must live until the task has ended.
#pragma once

#include <exception>
#include <optional>
#include <type_traits>

#include <asyncfs/detail/kinds.hpp>
#include <asyncfs/task.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

namespace detail {

enum class worker_kind : std::uint32_t { blocking = 0, computing = 1 };

template <class F, class R = std::invoke_result_t<F&>>
task<R> call_on_worker(F fn, worker_kind where) {
  struct state {
    F& fn;
    std::optional<std::conditional_t<std::is_void_v<R>, bool, R>> value;
    std::exception_ptr error;
  };
  state shared{fn, {}, {}};
  const call_arguments arguments{
      .function = [](void* opaque) noexcept -> std::int32_t {
        auto& s = *static_cast<state*>(opaque);
        try {
          if constexpr (std::is_void_v<R>) {
            s.fn();
            s.value.emplace(true);
          } else {
            s.value.emplace(s.fn());
          }
        } catch (...) {
          s.error = std::current_exception();
        }
        return 0;
      },
      .argument = &shared,
  };
  co_await for_caller(plain<opcode::call, void>(
      {.address = request::pointer(&arguments), .options = static_cast<std::uint32_t>(where)}));
  if (shared.error) std::rethrow_exception(shared.error);
  if constexpr (!std::is_void_v<R>) co_return *std::move(shared.value);
}

}  // namespace detail

template <std::invocable F>
task<std::invoke_result_t<F&>> offload(F fn) {
  return detail::call_on_worker(std::move(fn), detail::worker_kind::computing);
}
template <std::invocable F>
task<std::invoke_result_t<F&>> offload_blocking(F fn) {
  return detail::call_on_worker(std::move(fn), detail::worker_kind::blocking);
}

}  // namespace asyncfs
