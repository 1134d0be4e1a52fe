// A task that waits for something which another task does, on this loop or another: what events, semaphores and
// channels are made of.
//
// A waiting room is a lock and a list of those who wait. Whoever has news takes waiters out of the list and grants them
// what they wait for, with the lock held; then, without it, wakes each. A waiter whose scope is cancelled withdraws,
// unless it was granted something first: then it gets that. Nothing here allocates.
#pragma once

#include <coroutine>
#include <mutex>

#include <asyncfs/short_lock.hpp>
#include <asyncfs/task.hpp>

namespace [[gnu::visibility("default")]] asyncfs {
namespace detail {

struct parked_hook : list_hook {
  parked_hook() noexcept : list_hook{} {}
};

class parked : public pending, public parked_hook, private message {
 public:
  parked(const char* what, short_lock& lock) noexcept : pending(opcode::futex_wait, false), what_(what), lock_(lock) {}

  // With the lock held: it leaves the list for good, with what it waited for.
  void grant() noexcept {
    granted_ = true;
    unlink_parked();
  }
  // After that, without the lock, any thread.
  void wake() noexcept {
    if (loop::current() == &home()) return home().complete(*this, 0);
    home().send(*this);
  }

 protected:
  ~parked() = default;
  // With the lock held. False: the scope is cancelled already, and nothing waits.
  bool wait_in(list<parked, parked_hook>& room, loop& home, cancel_scope& scope) noexcept {
    if (scope.cancelled()) return false;
    room.push_back(*this);
    home.park(*this, scope);
    return true;
  }
  [[nodiscard]] bool granted() const noexcept { return granted_; }

  void prepare(request&) final {}
  [[nodiscard]] bool withdraw() noexcept final {
    const std::lock_guard hold(lock_);
    if (granted_) return false;
    unlink_parked();
    return true;
  }
  [[nodiscard]] std::string_view name() const noexcept final { return what_; }

 private:
  void unlink_parked() noexcept { static_cast<parked_hook&>(*this).unlink(); }
  void deliver() final { home().complete(*this, 0); }
  void discard() noexcept final {}

  const char* what_;
  short_lock& lock_;
  bool granted_ = false;
};

using waiting_room = list<parked, parked_hook>;

// "asyncfs: a channel was destroyed while tasks wait for it", and no more.
[[noreturn]] void destroyed_with_waiters(const char* what) noexcept;

// Of something that users make and must keep for as long as tasks wait for it.
class lasting_room : public waiting_room {
 public:
  explicit lasting_room(const char* of) noexcept : of_(of) {}
  ~lasting_room() {
    if (!empty()) [[unlikely]]
      destroyed_with_waiters(of_);
  }

 private:
  const char* of_;
};

// A parked coroutine. `Derived` offers `bool take()`: with the lock held, gets what it waits for if that is there.
template <class Derived>
class parked_awaiter : public parked {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <awaiting_promise P>
  bool await_suspend(std::coroutine_handle<P> waiter, std::source_location at = std::source_location::current()) {
    this->site = at;
    waiter_ = waiter;
    loop& home = waiter.promise().home();
    cancel_scope& scope = waiter.promise().scope();
    bool waits = false;
    {
      const std::lock_guard hold(lock());
      taken_ = !scope.cancelled() && self().take();
      waits = !taken_ && wait_in(self().room(), home, scope);
    }
    if (waits) return true;
    self().settle();
    return home.takes_turn(*this);
  }
  void run() final {
    finish();
    waiter_.resume();
  }

 protected:
  parked_awaiter(const char* what, short_lock& lock) noexcept : parked(what, lock), lock_(lock) {}
  ~parked_awaiter() = default;
  // What there is to do without the lock once something was taken; for those that need it.
  void settle() noexcept {}
  // To be called first in `await_resume`.
  void throw_if_cancelled(const char* operation) const {
    if (!taken_ && !granted()) throw_failure(failure(ECANCELED).error(), operation);
  }
  [[nodiscard]] short_lock& lock() const noexcept { return lock_; }

 private:
  Derived& self() noexcept { return static_cast<Derived&>(*this); }
  short_lock& lock_;
  std::coroutine_handle<> waiter_;
  bool taken_ = false;
};

}  // namespace detail
}  // namespace asyncfs
