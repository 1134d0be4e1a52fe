// event: tasks wait until somebody says that it has happened.
//
//   asyncfs::event ready;
//   co_await ready.wait();      // any number of tasks, of any loops
//   ready.set();                // any thread
//
// It stays set, and waits end at once, until `reset`. Thread-safe; must outlive those who wait. A wait whose scope is
// cancelled ends with std::errc::operation_canceled.
#pragma once

#include <asyncfs/detail/parked.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

class event {
 public:
  event() = default;
  event(const event&) = delete;
  event& operator=(const event&) = delete;

  // Any thread: ends every wait.
  void set() {
    detail::waiting_room woken;
    {
      const std::lock_guard hold(lock_);
      set_ = true;
      while (detail::parked* one = waiting_.front()) {
        one->grant();
        woken.push_back(*one);
      }
    }
    while (detail::parked* one = woken.pop_front()) one->wake();
  }
  void reset() {
    const std::lock_guard hold(lock_);
    set_ = false;
  }
  [[nodiscard]] bool is_set() const {
    const std::lock_guard hold(lock_);
    return set_;
  }

  class wait_awaiter final : public detail::parked_awaiter<wait_awaiter> {
   public:
    explicit wait_awaiter(event& on) noexcept : parked_awaiter("event.wait", on.lock_), on_(on) {}
    void await_resume() const { throw_if_cancelled("event.wait"); }

   private:
    friend parked_awaiter;
    bool take() const noexcept { return on_.set_; }
    detail::waiting_room& room() const noexcept { return on_.waiting_; }
    event& on_;
  };
  struct [[nodiscard]] wait_operation {
    event& on;
    wait_awaiter operator co_await() const noexcept { return wait_awaiter(on); }
  };
  wait_operation wait() noexcept { return {*this}; }

 private:
  mutable short_lock lock_;
  detail::lasting_room waiting_{"an event"};
  bool set_ = false;
};

}  // namespace asyncfs
