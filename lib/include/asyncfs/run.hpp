// From plain code into tasks and back: run one task to its end, or one a thread on loops of their own.
#pragma once

#include <exception>
#include <functional>
#include <mutex>
#include <source_location>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <asyncfs/task.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

// Runs the task on this thread until it has ended, cancels and drains whatever it left behind in the loop, and returns
// its value or throws its exception. An exception that escapes a callback or a post meanwhile cancels the task and all
// else, and is thrown once everything has ended. From inside the loop itself: std::logic_error.
template <class T>
T run(loop& home, task<T> work, std::source_location site = std::source_location::current()) {
  if (loop::current() == &home)
    throw std::logic_error(
        "asyncfs::run on the loop that runs this would cancel everything else in it; co_await the task");
  // Begun from inside the loop, so that the engine is bound to this thread before the first operation, and as a
  // callback like any other, so that what the task does before its first await is measured and has a line.
  struct whole_run final : detail::ready_node, detail::task_end {
    whole_run(loop& on, task<T>& of) noexcept : home(on), work(of) {}
    void run() override { work.begin(home, home.root(), *this, site); }
    void ended() noexcept override { reached = true; }
    loop& home;
    task<T>& work;
    bool reached = false;
  } whole(home, work);
  whole.site = site;
  home.make_ready(whole);
  const auto ended = [&whole] { return whole.reached; };
  std::exception_ptr escaped;
  for (bool drained = false; !drained;) {
    try {
      home.run_until(ended);
      home.drain();
      drained = true;
    } catch (...) {
      if (!escaped) escaped = std::current_exception();
      home.root().cancel();
    }
  }
  if (escaped) std::rethrow_exception(escaped);
  return work.take();
}

// The same on a loop made for it.
template <class T>
T run(task<T> work, const loop_options& options = {}, std::source_location site = std::source_location::current()) {
  loop home(options);
  return run(home, std::move(work), site);
}

// Runs `make(i)` on `count` threads, each with a loop of its own, and waits for all. The first exception of any is
// thrown after all have ended; the others go on undisturbed. The threads share nothing but what `make` captures.
template <class F>
  requires std::same_as<std::invoke_result_t<F&, std::size_t>, task<void>>
void run_on(std::size_t count, F make, const loop_options& options = {},
            std::source_location site = std::source_location::current()) {
  std::mutex mutex;
  std::exception_ptr first;
  const auto work = [&](std::size_t i) {
    try {
      run(make(i), options, site);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!first) first = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < count; ++i) threads.emplace_back(work, i);
    if (count > 0) work(0);
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace asyncfs
