// A loop whose clock stands still until it sleeps, so that times in tests are exact and pass at once.
#pragma once

#include <asyncfs/asyncfs.hpp>

#include "fake_engine.hpp"

namespace tests {

struct still_clock {
  fake_engine* engine = new fake_engine(0);
  asyncfs::loop home{std::unique_ptr<asyncfs::engine>(engine)};

  template <class T>
  T run(asyncfs::task<T> work) {
    return asyncfs::run(home, std::move(work));
  }
  [[nodiscard]] asyncfs::steady_time::duration elapsed() const { return engine->clock.time_since_epoch(); }
};

// The value after a while.
template <class T>
asyncfs::task<T> later(asyncfs::steady_time::duration delay, T value) {
  co_await asyncfs::sleep_for(delay);
  co_return value;
}
// The failure after a while.
inline asyncfs::task<int> fail_later(asyncfs::steady_time::duration delay, const char* words) {
  co_await asyncfs::sleep_for(delay);
  throw std::runtime_error(words);
}
// Sleeps for ever, and counts that it was cancelled.
inline asyncfs::task<int> sleep_until_cancelled(int& cancelled) {
  try {
    co_await asyncfs::sleep_for(std::chrono::hours(1000));
  } catch (const std::system_error& e) {
    cancelled += asyncfs::is_cancelled(e.code());
    throw;
  }
  co_return 0;
}

// The error code that awaiting `what` throws; none when it throws nothing.
template <asyncfs::awaitable A>
asyncfs::task<std::error_code> code_of(A what) {
  try {
    static_cast<void>(co_await std::move(what));
  } catch (const std::system_error& e) {
    co_return e.code();
  }
  co_return std::error_code();
}

}  // namespace tests
