// task<T>: a lazy coroutine. It begins when awaited, on the awaiting task's loop and in its cancel scope, owns its
// frame, and gives its value or exception to whoever awaits it, once.
//
// Loop thread only. A frame must not be destroyed while one of its operations is in flight; doing so aborts.
// Parameters live in the frame, so until the task itself is destroyed and not only until it has ended: what must go at
// its end (a pipe's writer, whose reader waits for that) is moved into a local first.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <source_location>
#include <utility>

#include <asyncfs/detail/for_caller.hpp>
#include <asyncfs/operation.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

template <class T = void>
class task;

namespace detail {

// A task that is empty, or was awaited before.
[[noreturn]] void nothing_to_await(const std::source_location& at) noexcept;

// What runs when a task has ended that no coroutine awaits. It may destroy the task.
class task_end {
 public:
  virtual void ended() noexcept = 0;

 protected:
  ~task_end() = default;
};

class promise_base : public ready_node, public pooled {
 public:
  [[nodiscard]] loop& home() const noexcept { return *home_; }
  [[nodiscard]] cancel_scope& scope() const noexcept { return *scope_; }
  void run_in(loop& home, cancel_scope& scope) noexcept {
    home_ = &home;
    scope_ = &scope;
  }
  void continue_with(std::coroutine_handle<> waiter) noexcept { waiter_ = waiter; }
  void continue_with(task_end& end) noexcept { end_ = &end; }
  [[nodiscard]] bool failed() const noexcept { return error_ != nullptr; }
  [[nodiscard]] const std::exception_ptr& error() const noexcept { return error_; }
  void unhandled_exception() noexcept { error_ = std::current_exception(); }

  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  // Hands over to the waiter; now and then by way of the ready queue, which keeps the stack flat.
  struct hand_over {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> done) const noexcept {
      promise_base& promise = done.promise();
      if (promise.home_->may_resume_inline()) [[likely]] {
        if (promise.end_ == nullptr) [[likely]] {
          promise.home_->goes_on_from(promise.site);
          return promise.waiter_;
        }
        promise.end_->ended();
      } else {
        promise.home_->make_ready(promise);
      }
      return std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };
  [[nodiscard]] hand_over final_suspend() const noexcept { return {}; }

  void run() override {
    if (end_ == nullptr) return waiter_.resume();
    end_->ended();
  }

 protected:
  ~promise_base() = default;
  void rethrow() {
    if (error_) [[unlikely]]
      std::rethrow_exception(std::move(error_));
  }

 private:
  // In this order: GCC would load adjacent pointers as one vector and take it apart again, at every await.
  loop* home_ = nullptr;
  std::coroutine_handle<> waiter_ = std::noop_coroutine();
  cancel_scope* scope_ = nullptr;
  std::exception_ptr error_;
  task_end* end_ = nullptr;
};

template <class T>
class promise final : public promise_base {
 public:
  task<T> get_return_object() noexcept;
  template <std::convertible_to<T> U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T take() {
    rethrow();
    return *std::move(value_);
  }

 private:
  std::optional<T> value_;
};

template <>
class promise<void> final : public promise_base {
 public:
  task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() { rethrow(); }
};

}  // namespace detail

template <class T>
class [[nodiscard("a task does nothing until it is awaited or spawned")]] task {
 public:
  using promise_type = detail::promise<T>;
  using value_type = T;

  task() noexcept = default;
  explicit task(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  task(task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  task& operator=(task&& other) noexcept {
    if (this != &other) {
      if (frame_) frame_.destroy();
      frame_ = std::exchange(other.frame_, nullptr);
    }
    return *this;
  }
  ~task() {
    if (frame_) frame_.destroy();
  }

  class awaiter {
   public:
    explicit awaiter(std::coroutine_handle<promise_type> frame, cancel_scope* scope = nullptr) noexcept
        : frame_(frame), scope_(scope) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> waiter,
                                          std::source_location at = std::source_location::current()) noexcept {
      static_assert(detail::awaiting_promise<P>, "tasks are awaited in a coroutine that returns asyncfs::task");
      if (!frame_ || frame_.done()) [[unlikely]]
        detail::nothing_to_await(at);
      frame_.promise().site = at;
      frame_.promise().run_in(waiter.promise().home(), scope_ != nullptr ? *scope_ : waiter.promise().scope());
      frame_.promise().continue_with(waiter);
      return frame_;
    }
    T await_resume() { return frame_.promise().take(); }

   private:
    std::coroutine_handle<promise_type> frame_;
    cancel_scope* scope_;
  };
  auto operator co_await() && noexcept { return awaiter(frame_); }

  // ---- for what runs tasks without awaiting them (run, spawn, when_all)

  // Begins the task; `end` is told when it has ended, after which `take` gives the outcome. Allocates nothing. `site`:
  // the user's line that it runs for.
  void begin(loop& home, cancel_scope& scope, detail::task_end& end,
             const std::source_location& site = std::source_location::current()) {
    if (!frame_ || frame_.done()) [[unlikely]]
      detail::nothing_to_await(site);
    frame_.promise().site = site;
    frame_.promise().run_in(home, scope);
    frame_.promise().continue_with(end);
    frame_.resume();
  }
  // Awaits the task in a cancel scope other than the awaiting task's; it must outlive the await.
  [[nodiscard]] auto in(cancel_scope& scope) && noexcept { return awaiter(frame_, &scope); }
  T take() { return frame_.promise().take(); }
  [[nodiscard]] detail::promise_base& promise() const noexcept { return frame_.promise(); }

 private:
  std::coroutine_handle<promise_type> frame_;
};

namespace detail {

template <class T>
task<T> promise<T>::get_return_object() noexcept {
  return task<T>(std::coroutine_handle<promise>::from_promise(*this));
}
inline task<void> promise<void>::get_return_object() noexcept {
  return task<void>(std::coroutine_handle<promise>::from_promise(*this));
}
}  // namespace detail

// Where a task runs, what cancels it, and the line that awaits, spawned or ran it.
struct task_context {
  loop& home;
  cancel_scope& scope;
  std::source_location site{};
};

// `const asyncfs::task_context at = co_await asyncfs::this_task;` Does not suspend.
struct context_query {
  struct awaiter {
    loop* home = nullptr;
    cancel_scope* scope = nullptr;
    std::source_location site{};
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> task) noexcept {
      home = &task.promise().home();
      scope = &task.promise().scope();
      site = task.promise().site;
      return false;
    }
    task_context await_resume() const noexcept { return {*home, *scope, site}; }
  };
  awaiter operator co_await() const noexcept { return {}; }
};
inline constexpr context_query this_task{};

}  // namespace asyncfs
