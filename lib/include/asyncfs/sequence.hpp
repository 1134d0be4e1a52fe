// sequence<T>: a coroutine that gives many values, each when asked for; between them it may await anything.
//
//   asyncfs::sequence<std::string> lines(const asyncfs::file& in) {
//     ... co_yield line; ...
//   }
//   auto all = lines(in);
//   while (auto line = co_await all.next()) use(*line);
//
// It runs only while somebody awaits `next`, on that task's loop and in its cancel scope; one task at a time. What it
// throws, `next` throws; after that, and after its end, `next` gives nothing. Destroying it between two values destroys
// its locals, so a consumer may stop anywhere. Whatever has `next()` giving an optional (channel, listener, interval)
// is a sequence too, for `for_each_concurrent`.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include <asyncfs/awaitable.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

// `co_await source.next()` gives a std::optional: a value, or nothing at the end.
template <class S>
concept asynchronous_sequence =
    requires(S& source) { static_cast<bool>(source.next().operator co_await().await_resume()); };

template <class T>
class [[nodiscard]] sequence {
 public:
  using value_type = T;

  class promise_type final : public detail::promise_base {
   public:
    sequence get_return_object() noexcept { return sequence(std::coroutine_handle<promise_type>::from_promise(*this)); }
    // The value leaves through the awaiter: the coroutine stands still until it is asked for the next.
    template <std::convertible_to<T> U>
    hand_over yield_value(U&& value) {
      value_.emplace(std::forward<U>(value));
      return {};
    }
    void return_void() const noexcept {}
    std::optional<T> take() {
      this->rethrow();
      return std::exchange(value_, std::nullopt);
    }

   private:
    std::optional<T> value_;
  };

  sequence() noexcept = default;
  explicit sequence(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  sequence(sequence&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  sequence& operator=(sequence&& other) noexcept {
    if (this != &other) {
      if (frame_) frame_.destroy();
      frame_ = std::exchange(other.frame_, nullptr);
    }
    return *this;
  }
  ~sequence() {
    if (frame_) frame_.destroy();
  }

  class next_awaiter {
   public:
    explicit next_awaiter(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
    [[nodiscard]] bool await_ready() const noexcept { return !frame_; }
    template <detail::awaiting_promise P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> waiter,
                                          std::source_location at = std::source_location::current()) noexcept {
      frame_.promise().site = at;
      frame_.promise().run_in(waiter.promise().home(), waiter.promise().scope());
      frame_.promise().continue_with(waiter);
      if (!frame_.done()) [[likely]]
        return frame_;
      if (waiter.promise().home().takes_turn(frame_.promise())) return std::noop_coroutine();
      return waiter;
    }
    std::optional<T> await_resume() { return frame_ ? frame_.promise().take() : std::nullopt; }

   private:
    std::coroutine_handle<promise_type> frame_;
  };
  struct [[nodiscard]] next_operation {
    std::coroutine_handle<promise_type> frame;
    next_awaiter operator co_await() const noexcept { return next_awaiter(frame); }
  };
  // The next value, or nothing at the end. The sequence must outlive the await.
  next_operation next() noexcept { return {frame_}; }

 private:
  std::coroutine_handle<promise_type> frame_;
};

}  // namespace asyncfs
