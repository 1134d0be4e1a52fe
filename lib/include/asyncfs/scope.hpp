// scope: tasks that run beside the one that began them, and that end before it goes on.
//
//   co_await asyncfs::in_scope([&](asyncfs::scope& connections) -> asyncfs::task<void> {
//     while (auto peer = co_await incoming->next()) connections.spawn(serve(*std::move(peer)));
//   });
//
// `in_scope` runs its function inside a new scope, joins whatever it spawned, also when the function throws, and then
// throws the first error of all. A scope can also be made and joined by hand; it must then be joined on every way out.
//
// What is spawned begins from the loop's ready queue, and frees its memory as it ends, so a scope may spawn for ever.
// The first exception that leaves a task asks all the others to cancel; `join` throws it when the last has ended.
// With `on_error` errors go to one place instead and the others go on. Once the scope itself was told to cancel, tasks
// that end with std::errc::operation_canceled are no errors. Cancelling the task that owns the scope cancels all in it.
//
// Loop thread only. Must be joined before it is destroyed; doing otherwise while tasks run aborts the program.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <functional>
#include <stdexcept>
#include <utility>

#include <asyncfs/task.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

class scope {
 public:
  using error_handler = std::function<void(std::exception_ptr)>;

  explicit scope(const task_context& at) noexcept : home_(at.home), cancelling_(&at.scope) {}
  // Errors of tasks go to `on_error`, on the loop's thread, as each task ends; an exception that it lets out counts as
  // the scope's error.
  scope(const task_context& at, error_handler on_error) noexcept
      : home_(at.home), cancelling_(&at.scope), on_error_(std::move(on_error)) {}
  scope(const scope&) = delete;
  scope& operator=(const scope&) = delete;
  ~scope() {
    if (running_ != 0) [[unlikely]]
      destroyed_while_running();
  }

  // Throws std::bad_alloc, and then the task has not begun.
  void spawn(task<void> work, std::source_location site = std::source_location::current()) {
    auto* one = new child(*this, std::move(work));
    one->site = site;
    home_.make_ready(*one);
    ++running_;
  }
  void cancel() noexcept {
    quiet_ = true;
    cancelling_.cancel();
  }
  [[nodiscard]] bool cancelled() const noexcept { return cancelling_.cancelled(); }
  [[nodiscard]] std::size_t running() const noexcept { return running_; }
  // For operations and tasks that are begun in this scope by other means (task::in).
  [[nodiscard]] cancel_scope& cancelling() noexcept { return cancelling_; }
  // Whether this is how something ends because `cancel` was called.
  [[nodiscard]] bool ended_as_told(const std::exception_ptr& error) const noexcept;
  // Makes this the scope's error, if it is the first.
  void fail(std::exception_ptr error) noexcept;

  class join_awaiter;
  // Waits until every task has ended; throws the first exception. One task at a time may wait: std::logic_error for another.
  [[nodiscard]] join_awaiter join() noexcept;

 private:
  // A task on its own: it owns the frame, and itself.
  class child final : public detail::ready_node, public detail::task_end, public detail::pooled {
   public:
    child(scope& owner, task<void> work) noexcept : owner_(owner), work_(std::move(work)) {}
    void run() override { work_.begin(owner_.home_, owner_.cancelling_, *this, site); }

   private:
    void ended() noexcept override {
      scope& owner = owner_;
      std::exception_ptr error = work_.promise().error();
      delete this;
      owner.ended(std::move(error));
    }
    scope& owner_;
    task<void> work_;
  };

  void ended(std::exception_ptr error) noexcept {
    if (error) take_in(std::move(error));
    if (--running_ == 0 && joiner_ != nullptr) home_.make_ready(*joiner_);
  }
  void take_in(std::exception_ptr error) noexcept;
  [[noreturn]] static void destroyed_while_running() noexcept;

  loop& home_;
  cancel_scope cancelling_;
  error_handler on_error_;
  std::size_t running_ = 0;
  bool quiet_ = false;  // told to cancel: tasks that end so are no errors
  std::exception_ptr first_error_;
  detail::ready_node* joiner_ = nullptr;
};

class scope::join_awaiter final : public detail::ready_node {
 public:
  explicit join_awaiter(scope& joined) noexcept : joined_(joined) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter, std::source_location at = std::source_location::current()) {
    if (joined_.joiner_ != nullptr) [[unlikely]]
      throw std::logic_error("asyncfs::scope::join: another task waits for this scope already");
    this->site = at;
    waiter_ = waiter;
    if (joined_.running_ == 0 && !joined_.home_.takes_turn(*this)) return false;
    joined_.joiner_ = this;
    return true;
  }
  void await_resume() {
    joined_.joiner_ = nullptr;
    if (joined_.first_error_) std::rethrow_exception(std::exchange(joined_.first_error_, nullptr));
  }
  // What was spawned since the last task ended is waited for too. It is behind this in the ready queue, so it has not
  // begun, and its end queues this again.
  void run() override {
    if (joined_.running_ == 0) waiter_.resume();
  }

 private:
  scope& joined_;
  std::coroutine_handle<> waiter_;
};

inline scope::join_awaiter scope::join() noexcept { return join_awaiter(*this); }

namespace detail {

template <class F, class R>
task<R> body_in_scope(F body, scope::error_handler on_error) {
  const task_context at = co_await this_task;
  scope inner(at, std::move(on_error));
  task<R> work = body(inner);
  std::optional<std::conditional_t<std::is_void_v<R>, bool, R>> value;
  try {
    if constexpr (std::is_void_v<R>)
      co_await for_caller(std::move(work).in(inner.cancelling()));
    else
      value.emplace(co_await for_caller(std::move(work).in(inner.cancelling())));
  } catch (...) {
    if (!std::is_void_v<R> || !inner.ended_as_told(std::current_exception())) inner.fail(std::current_exception());
  }
  co_await for_caller(inner.join());
  if constexpr (!std::is_void_v<R>) co_return *std::move(value);
}

}  // namespace detail

// Runs body(scope&), which returns a task, inside a new scope, and joins it; gives the body's value. An exception of
// the body cancels what it spawned, as an exception of a spawned task cancels the body; the first of all is thrown.
template <class F, class R = typename std::invoke_result_t<F&, scope&>::value_type>
task<R> in_scope(F body, scope::error_handler on_error = {}) {
  return detail::body_in_scope<F, R>(std::move(body), std::move(on_error));
}

}  // namespace asyncfs
