// Timers on a clock that stands still until the loop sleeps: order and lengths are exact.
#include <asyncfs/asyncfs.hpp>

#include "../catch.hpp"
#include "../support/fake_engine.hpp"

using asyncfs::task;
using namespace std::chrono_literals;

namespace {

struct fixture {
  fixture() : home(std::unique_ptr<asyncfs::engine>(engine)) {}
  tests::fake_engine* engine = new tests::fake_engine;
  asyncfs::loop home;
};

task<void> note_after(asyncfs::steady_time::duration delay, int name, std::vector<int>& order) {
  co_await asyncfs::sleep_for(delay);
  order.push_back(name);
}

}  // namespace

TEST_CASE("timers fire in the order of their deadlines") {
  fixture f;
  std::vector<int> order;
  std::vector<task<void>> all;
  for (const int ms : {50, 10, 40, 20, 30, 60, 5, 55, 25, 45, 15, 35}) all.push_back(note_after(ms * 1ms, ms, order));
  asyncfs::run(f.home, asyncfs::when_all(std::move(all)));
  CHECK(std::ranges::is_sorted(order));
  CHECK(order.size() == 12);
  CHECK(f.engine->clock == asyncfs::steady_time(60ms));
}

TEST_CASE("a thousand timers in any order fire in the order of their deadlines") {
  fixture f;
  std::vector<int> order;
  std::vector<task<void>> all;
  std::uint32_t state = 12345;
  for (int i = 0; i < 1000; ++i) {
    state = state * 1664525 + 1013904223;
    const int delay = static_cast<int>(state >> 12 & 0xfff);
    all.push_back(note_after(delay * 1us, delay, order));
  }
  asyncfs::run(f.home, asyncfs::when_all(std::move(all)));
  CHECK(order.size() == 1000);
  CHECK(std::ranges::is_sorted(order));
}

TEST_CASE("sleeping for no time or less goes on at once, by way of the loop") {
  fixture f;
  asyncfs::run(f.home, []() -> task<void> {
    co_await asyncfs::sleep_for(0ms);
    co_await asyncfs::sleep_for(-5ms);
  }());
  CHECK(f.engine->clock == asyncfs::steady_time());
}

TEST_CASE("sleeping for the longest time there is does not wrap around") {
  fixture f;
  f.engine->clock = asyncfs::steady_time(1h);
  std::vector<int> order;
  asyncfs::run(f.home, [](fixture& at, std::vector<int>& o) -> task<void> {
    asyncfs::future<void> forever = asyncfs::spawn(at.home, note_after(asyncfs::steady_time::duration::max(), 1, o));
    co_await asyncfs::sleep_for(10ms);
    CHECK_FALSE(forever.ready());
  }(f, order));
  CHECK(order.empty());
}

TEST_CASE("cancelling takes timers out of the middle, and the others keep their order") {
  fixture f;
  std::vector<int> order;
  asyncfs::run(f.home, [](fixture& at, std::vector<int>& o) -> task<void> {
    std::vector<asyncfs::future<void>> all;
    for (int i = 0; i < 100; ++i)
      all.push_back(asyncfs::spawn(at.home, note_after(((i * 37) % 100 + 1) * 1ms, (i * 37) % 100, o)));
    co_await asyncfs::sleep_for(0ms);
    for (std::size_t i = 0; i < all.size(); i += 2) all[i] = {};  // dropping a future cancels it
    co_await asyncfs::sleep_for(200ms);
  }(f, order));
  CHECK(order.size() == 50);
  CHECK(std::ranges::is_sorted(order));
}

TEST_CASE("a timer in a scope that was cancelled already ends at once as cancelled") {
  fixture f;
  asyncfs::run(f.home, []() -> task<void> {
    const asyncfs::task_context at = co_await asyncfs::this_task;
    at.scope.cancel();
    std::error_code error;
    try {
      co_await asyncfs::sleep_for(1h);
    } catch (const std::system_error& e) {
      error = e.code();
    }
    CHECK(asyncfs::is_cancelled(error));
  }());
  CHECK(f.engine->clock == asyncfs::steady_time());
}
