// scope: tasks that run beside the one that began them, and that end before it goes on.
//
//   asyncfs::scope connections(co_await asyncfs::this_task);
//   while (auto peer = co_await incoming->next()) connections.spawn(serve(*std::move(peer)));
//   co_await connections.join();
//
// What is spawned begins from the loop's ready queue, and frees its memory as it ends, so a scope may spawn for ever.
// The first exception that leaves a task asks all the others to cancel; `join` throws it when the last has ended.
// Cancelling the task that owns the scope cancels all in it.
//
// Loop thread only. Must be joined before it is destroyed; doing otherwise while tasks run aborts the program.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <utility>

#include <asyncfs/task.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

class scope {
 public:
  explicit scope(const task_context& at) noexcept : home_(at.home), cancelling_(&at.scope) {}
  scope(const scope&) = delete;
  scope& operator=(const scope&) = delete;
  ~scope() {
    if (running_ != 0) [[unlikely]]
      destroyed_while_running();
  }

  void spawn(task<void> work) {
    home_.make_ready(*new child(*this, std::move(work)));
    ++running_;
  }
  void cancel() noexcept { cancelling_.cancel(); }
  [[nodiscard]] std::size_t running() const noexcept { return running_; }

  class join_awaiter;
  // Waits until every task has ended; throws the first exception. One task at a time may wait.
  [[nodiscard]] join_awaiter join() noexcept;

 private:
  // A task on its own: it owns the frame, and itself.
  class child final : public detail::ready_node, public detail::pooled {
   public:
    child(scope& owner, task<void> work) noexcept : owner_(owner), work_(std::move(work)) {}
    void run() override {
      work_.begin(owner_.home_, owner_.cancelling_, detail::epilogue::calling([this] { end(); }).frame);
    }

   private:
    void end() {
      scope& owner = owner_;
      std::exception_ptr error;
      try {
        work_.take();
      } catch (...) {
        error = std::current_exception();
      }
      delete this;
      owner.ended(std::move(error));
    }
    scope& owner_;
    task<void> work_;
  };

  void ended(std::exception_ptr error) noexcept {
    if (error && !first_error_) {
      first_error_ = std::move(error);
      cancelling_.cancel();
    }
    if (--running_ == 0 && joiner_ != nullptr) home_.make_ready(*joiner_);
  }
  [[noreturn]] static void destroyed_while_running() noexcept;

  loop& home_;
  cancel_scope cancelling_;
  std::size_t running_ = 0;
  std::exception_ptr first_error_;
  detail::ready_node* joiner_ = nullptr;
};

class scope::join_awaiter final : public detail::ready_node {
 public:
  explicit join_awaiter(scope& joined) noexcept : joined_(joined) {}
  [[nodiscard]] bool await_ready() const noexcept { return joined_.running_ == 0; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept {
    waiter_ = waiter;
    joined_.joiner_ = this;
  }
  void await_resume() {
    joined_.joiner_ = nullptr;
    if (joined_.first_error_) std::rethrow_exception(std::exchange(joined_.first_error_, nullptr));
  }
  void run() override { waiter_.resume(); }

 private:
  scope& joined_;
  std::coroutine_handle<> waiter_;
};

inline scope::join_awaiter scope::join() noexcept { return join_awaiter(*this); }

}  // namespace asyncfs
