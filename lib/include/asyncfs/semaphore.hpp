// semaphore: at most so many at a time.
//
//   asyncfs::semaphore at_most(8);
//   { auto permit = co_await at_most.acquire(); co_await fetch(url); }     // the permit goes back with its owner
//
// First come, first served, among tasks of any loops. Thread-safe; must outlive those who wait and their permits. A wait
// whose scope is cancelled ends with std::errc::operation_canceled, and takes nothing.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>

#include <asyncfs/detail/parked.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

class semaphore {
 public:
  explicit semaphore(std::size_t permits) noexcept : available_(permits) {}
  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;

  // Gives back when destroyed, on whatever thread.
  class [[nodiscard]] permit {
   public:
    permit() noexcept = default;
    explicit permit(semaphore& of) noexcept : of_(&of) {}
    permit(permit&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
    permit& operator=(permit&& other) noexcept {
      if (this != &other) {
        release();
        of_ = std::exchange(other.of_, nullptr);
      }
      return *this;
    }
    ~permit() { release(); }
    void release() noexcept {
      if (of_ != nullptr) std::exchange(of_, nullptr)->release();
    }

   private:
    semaphore* of_ = nullptr;
  };

  class acquire_awaiter final : public detail::parked_awaiter<acquire_awaiter> {
   public:
    explicit acquire_awaiter(semaphore& of) noexcept : parked_awaiter("semaphore.acquire", of.lock_), of_(of) {}
    permit await_resume() const {
      throw_if_cancelled("semaphore.acquire");
      return permit(of_);
    }

   private:
    friend parked_awaiter;
    bool take() const noexcept { return of_.take(); }
    detail::waiting_room& room() const noexcept { return of_.waiting_; }
    semaphore& of_;
  };
  struct [[nodiscard]] acquire_operation {
    semaphore& of;
    acquire_awaiter operator co_await() const noexcept { return acquire_awaiter(of); }
  };
  // `auto permit = co_await s.acquire();`
  acquire_operation acquire() noexcept { return {*this}; }

  [[nodiscard]] std::optional<permit> try_acquire() {
    const std::lock_guard hold(lock_);
    if (!take()) return std::nullopt;
    return std::optional<permit>(std::in_place, *this);
  }
  // Any thread: one more permit, for the one that has waited longest. For permits that nobody owns; others go back by
  // themselves.
  void release() {
    detail::parked* next = nullptr;
    {
      const std::lock_guard hold(lock_);
      next = waiting_.front();
      if (next != nullptr)
        next->grant();
      else
        ++available_;
    }
    if (next != nullptr) next->wake();
  }
  [[nodiscard]] std::size_t available() const {
    const std::lock_guard hold(lock_);
    return available_;
  }

 private:
  // Nobody overtakes those who wait; with permits left, nobody waits.
  bool take() noexcept {
    if (available_ == 0) return false;
    --available_;
    return true;
  }
  mutable short_lock lock_;
  detail::lasting_room waiting_{"a semaphore"};
  std::size_t available_;
};

}  // namespace asyncfs
