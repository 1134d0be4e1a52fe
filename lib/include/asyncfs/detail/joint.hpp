// Tasks that run beside each other in a cancel scope of their own, and one task that waits for the last to end.
//
// Loop thread only. Beginning allocates nothing, so once all tasks exist nothing can fail between two beginnings.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>

#include <asyncfs/awaitable.hpp>

namespace [[gnu::visibility("default")]] asyncfs {
namespace detail {

// Whether it is a std::system_error with std::errc::operation_canceled.
[[nodiscard]] bool is_cancellation(const std::exception_ptr& error) noexcept;

class joint final : public ready_node {
 public:
  // What makes the others cancel.
  enum class stops_at : std::uint8_t { failure, success, first_end, nothing };
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  joint(const task_context& at, stops_at when) noexcept
      : home_(at.home), scope_(&at.scope), for_(at.site), when_(when) {}

  // Must stay where it is until its task has ended.
  class child final : public task_end {
   public:
    void ended() noexcept override { owner_->ended(promise_->failed(), index_); }

   private:
    friend class joint;
    joint* owner_ = nullptr;
    promise_base* promise_ = nullptr;
    std::size_t index_ = 0;
  };

  template <class T>
  void begin(task<T>& work, child& as) noexcept {
    as.owner_ = this;
    as.promise_ = &work.promise();
    as.index_ = begun_++;
    ++left_;
    work.begin(home_, scope_, as, for_);
  }
  void stop() noexcept { scope_.cancel(); }
  [[nodiscard]] bool stopping() const noexcept { return scope_.cancelled(); }
  // The task that made the others cancel, by the order of beginning.
  [[nodiscard]] std::size_t decisive() const noexcept { return decisive_; }

  // Awaiting this waits for all that was begun. It is not cancelled itself: the tasks are, and end.
  struct awaiter {
    joint& all;
    [[nodiscard]] bool await_ready() const noexcept { return all.left_ == 0; }
    void await_suspend(std::coroutine_handle<> waiter,
                       std::source_location at = std::source_location::current()) const noexcept {
      all.site = at;
      all.waiter_ = waiter;
    }
    void await_resume() const noexcept {}
  };
  awaiter operator co_await() & noexcept { return {*this}; }

 private:
  void ended(bool failed, std::size_t index) noexcept {
    const bool decides = when_ == stops_at::first_end || (when_ == stops_at::failure && failed) ||
                         (when_ == stops_at::success && !failed);
    if (decides && decisive_ == none) {
      decisive_ = index;
      scope_.cancel();
    }
    if (--left_ == 0 && waiter_) home_.make_ready(*this);
  }
  void run() override { waiter_.resume(); }

  loop& home_;
  cancel_scope scope_;
  const std::source_location for_;
  const stops_at when_;
  std::size_t begun_ = 0, left_ = 0, decisive_ = none;
  std::coroutine_handle<> waiter_;
};

}  // namespace detail
}  // namespace asyncfs
