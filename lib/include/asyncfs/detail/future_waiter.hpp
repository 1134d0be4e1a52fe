// A coroutine that waits for the end of work. Cancelling asks the work to end, and the wait goes on until it has: on the
// work's own loop the work's scope becomes part of the waiter's, on another the waiter is parked.
#pragma once

#include <coroutine>

#include <asyncfs/task.hpp>

namespace [[gnu::visibility("default")]] asyncfs {
namespace detail {

class future_waiter : public pending, private message {
 public:
  // Any thread, once. It may run, and be gone, before this returns.
  void wake() noexcept {
    if (loop::current() == home_)
      deliver();
    else
      home_->send(*this);
  }

 protected:
  future_waiter() noexcept : pending(opcode::futex_wait, false) {}
  ~future_waiter() = default;
  // Before any other thread knows of it.
  void suspend(loop& home, std::coroutine_handle<> waiter, const std::source_location& at) noexcept {
    site = at;
    home_ = &home;
    waiter_ = waiter;
  }

 private:
  void prepare(request&) final {}
  [[nodiscard]] std::string_view name() const noexcept final { return "future"; }
  void run() final {
    finish();
    waiter_.resume();
  }
  void deliver() final {
    if (now() == state::parked)
      home_->complete(*this, 0);
    else
      home_->make_ready(*this);
  }
  void discard() noexcept final {}

  loop* home_ = nullptr;
  std::coroutine_handle<> waiter_;
};

}  // namespace detail
}  // namespace asyncfs
