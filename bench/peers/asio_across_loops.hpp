// Asio's side of across_loops.cpp: an io_context on a thread of its own, and a concurrent_channel between two of them.
#pragma once

#include <asio.hpp>
#include <asio/experimental/concurrent_channel.hpp>
#include <cstddef>
#include <thread>
#include <utility>

struct with_asio {
  // The hint says that one thread runs the context; any may post to it.
  static constexpr int one_thread = 1;

  class loop {
   public:
    ~loop() {
      asio::post(context_, [this] { open_.reset(); });
    }
    template <class F>
    void post(F fn) {
      asio::post(context_, std::move(fn));
    }

   private:
    asio::io_context context_{one_thread};
    asio::executor_work_guard<asio::io_context::executor_type> open_{context_.get_executor()};
    std::jthread thread_{[this] { context_.run(); }};
  };

  template <class Next, class Take>
  static void send_across(std::size_t capacity, Next next, Take take) {
    asio::io_context here(one_thread), there(one_thread);
    channel values(here, capacity);
    asio::co_spawn(there, receive(values, take), rethrow);
    asio::co_spawn(here, send(values, next), rethrow);
    // A wait that another context will end is no work of the channel's context: both stay until the task has ended.
    const std::jthread receiver([&there] { there.run(); });
    here.run();
  }

 private:
  using channel = asio::experimental::concurrent_channel<void(asio::error_code, int)>;
  static constexpr int end_of_values = -1;

  static void rethrow(const std::exception_ptr& error) {
    if (error) std::rethrow_exception(error);
  }
  template <class Next>
  static asio::awaitable<void> send(channel& into, Next& next) {
    for (int value = 0; value != end_of_values;) {
      value = next();
      co_await into.async_send(asio::error_code(), value, asio::use_awaitable);
    }
  }
  template <class Take>
  static asio::awaitable<void> receive(channel& from, Take& take) {
    for (int value = 0; value != end_of_values;) {
      value = co_await from.async_receive(asio::use_awaitable);
      take(value);
    }
  }
};
