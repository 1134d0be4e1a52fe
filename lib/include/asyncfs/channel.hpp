// channel<T>: values from tasks to tasks, in order, through a bounded queue; within a loop and across loops.
//
//   asyncfs::channel<job> jobs(64);
//   co_await jobs.send(std::move(one));                       // waits while 64 are queued
//   while (auto next = co_await jobs.receive()) run(*next);   // nothing once closed and empty
//   jobs.close();
//
// A capacity of 0 hands each value over in person. Any number of senders and receivers, first come, first served.
// Thread-safe; must outlive those who wait. Memory for the queue is taken once, at the beginning.
// A wait whose scope is cancelled ends with std::errc::operation_canceled: a value not yet queued is then destroyed, and
// no value is lost in a receiver: what was given to it first is what it returns. Sending into a closed channel fails
// with std::errc::broken_pipe.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <asyncfs/detail/parked.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

template <class T>
class channel {
  static_assert(std::is_nothrow_move_constructible_v<T>, "a value must not be lost by throwing on its way");

 public:
  using value_type = T;

  // Throws std::bad_alloc.
  explicit channel(std::size_t capacity) : capacity_(capacity), queue_(new std::optional<T>[capacity]) {}
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;

  class send_awaiter;
  class receive_awaiter;
  struct [[nodiscard]] send_operation {
    channel& into;
    T value;
    send_awaiter operator co_await() && noexcept { return send_awaiter(into, std::move(value)); }
  };
  struct [[nodiscard]] receive_operation {
    channel& from;
    receive_awaiter operator co_await() const noexcept { return receive_awaiter(from); }
  };
  send_operation send(T value) { return {*this, std::move(value)}; }
  // std::optional<T>: nothing once the channel is closed and empty.
  receive_operation receive() noexcept { return {*this}; }
  // The same, for what takes any asynchronous sequence.
  receive_operation next() noexcept { return {*this}; }

  // Any thread. False, with `value` untouched, when it would have to wait, or the channel is closed.
  bool try_send(T& value) {
    detail::parked* woken = nullptr;
    {
      const std::lock_guard hold(lock_);
      if (closed_ || !put(value, woken)) return false;
    }
    if (woken != nullptr) woken->wake();
    return true;
  }
  std::optional<T> try_receive() {
    std::optional<T> value;
    detail::parked* woken = nullptr;
    {
      const std::lock_guard hold(lock_);
      get(value, woken);
    }
    if (woken != nullptr) woken->wake();
    return value;
  }
  // Any thread, any number of times. Nothing is taken in any more; what is queued can still be received. Senders that
  // wait end with broken_pipe.
  void close() {
    detail::waiting_room woken;
    {
      const std::lock_guard hold(lock_);
      closed_ = true;
      for (detail::waiting_room* room : {&receivers_, &senders_})
        while (detail::parked* one = room->front()) {
          one->grant();
          woken.push_back(*one);
        }
    }
    while (detail::parked* one = woken.pop_front()) one->wake();
  }
  [[nodiscard]] bool closed() const {
    const std::lock_guard hold(lock_);
    return closed_;
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard hold(lock_);
    return count_;
  }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

 private:
  // With the lock held. Invariants: receivers wait only while nothing is queued and nobody waits to send; senders wait
  // only while the queue is full.
  bool put(T& value, detail::parked*& woken) noexcept {
    if (detail::parked* waiting = receivers_.front()) {
      static_cast<receive_awaiter*>(waiting)->value_.emplace(std::move(value));
      waiting->grant();
      woken = waiting;
      return true;
    }
    if (count_ == capacity_) return false;
    queue_[(first_ + count_++) % capacity_].emplace(std::move(value));
    return true;
  }
  // False: nothing there. The sender that waited longest moves up.
  bool get(std::optional<T>& into, detail::parked*& woken) noexcept {
    auto* const waiting = static_cast<send_awaiter*>(senders_.front());
    if (count_ > 0) {
      into = std::exchange(queue_[first_], std::nullopt);
      first_ = (first_ + 1) % capacity_;
      --count_;
      if (waiting != nullptr) queue_[(first_ + count_++) % capacity_].emplace(std::move(waiting->value_));
    } else if (waiting != nullptr) {
      into.emplace(std::move(waiting->value_));
    } else {
      return false;
    }
    if (waiting != nullptr) {
      waiting->sent_ = true;
      waiting->grant();
      woken = waiting;
    }
    return true;
  }

  const std::size_t capacity_;
  const std::unique_ptr<std::optional<T>[]> queue_;
  mutable short_lock lock_;
  std::size_t first_ = 0, count_ = 0;
  bool closed_ = false;
  detail::lasting_room receivers_{"a channel"}, senders_{"a channel"};
};

template <class T>
class channel<T>::send_awaiter final : public detail::parked_awaiter<send_awaiter> {
 public:
  send_awaiter(channel& into, T value) noexcept
      : detail::parked_awaiter<send_awaiter>("channel.send", into.lock_), into_(into), value_(std::move(value)) {}
  void await_resume() const {
    this->throw_if_cancelled("channel.send");
    if (!sent_) detail::throw_failure(failure(EPIPE).error(), "channel.send");
  }

 private:
  friend channel;
  friend detail::parked_awaiter<send_awaiter>;
  bool take() noexcept {
    if (into_.closed_) return true;
    sent_ = into_.put(value_, woken_);
    return sent_;
  }
  void settle() noexcept {
    if (woken_ != nullptr) woken_->wake();
  }
  detail::waiting_room& room() const noexcept { return into_.senders_; }
  channel& into_;
  T value_;
  detail::parked* woken_ = nullptr;
  bool sent_ = false;
};

template <class T>
class channel<T>::receive_awaiter final : public detail::parked_awaiter<receive_awaiter> {
 public:
  explicit receive_awaiter(channel& from) noexcept
      : detail::parked_awaiter<receive_awaiter>("channel.receive", from.lock_), from_(from) {}
  std::optional<T> await_resume() {
    this->throw_if_cancelled("channel.receive");
    return std::move(value_);
  }

 private:
  friend channel;
  friend detail::parked_awaiter<receive_awaiter>;
  bool take() noexcept { return from_.get(value_, woken_) || from_.closed_; }
  void settle() noexcept {
    if (woken_ != nullptr) woken_->wake();
  }
  detail::waiting_room& room() const noexcept { return from_.receivers_; }
  channel& from_;
  std::optional<T> value_;
  detail::parked* woken_ = nullptr;
};

}  // namespace asyncfs
