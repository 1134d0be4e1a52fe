// A suspended coroutine that any thread can make ready on its own loop, without allocating. Cancelling does not reach
// it: whoever it waits for must wake it, once.
#pragma once

#include <coroutine>

#include <asyncfs/task.hpp>

namespace [[gnu::visibility("default")]] asyncfs {
namespace detail {

class wakeable : public ready_node, private message {
 public:
  // Any thread. It may run, and be gone, before this returns.
  void wake() noexcept {
    if (loop::current() == home_)
      home_->make_ready(*this);
    else
      home_->send(*this);
  }

 protected:
  ~wakeable() = default;
  template <awaiting_promise P>
  void suspend(std::coroutine_handle<P> waiter, const std::source_location& at) noexcept {
    site = at;
    home_ = &waiter.promise().home();
    waiter_ = waiter;
  }
  // After `suspend`, when the wait is over already; as loop::takes_turn.
  [[nodiscard]] bool takes_turn() noexcept { return home_->takes_turn(*this); }

 private:
  void run() final { waiter_.resume(); }
  void deliver() final { home_->make_ready(*this); }
  void discard() noexcept final {}

  loop* home_ = nullptr;
  std::coroutine_handle<> waiter_;
};

}  // namespace detail
}  // namespace asyncfs
