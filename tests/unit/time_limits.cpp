// with_timeout, sleep_until, interval, yield, stop tokens, and sequences.
#include <thread>

#include "../catch.hpp"
#include "../support/still_clock.hpp"

using asyncfs::task;
using namespace std::chrono_literals;

TEST_CASE("with_timeout gives the value of what ends in time") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    const int value = co_await asyncfs::with_timeout(tests::later(5ms, 3), 10ms);
    CHECK(value == 3);
    const asyncfs::task_context at = co_await asyncfs::this_task;
    CHECK(at.home.metrics().timers == 0);
  }());
  CHECK(f.elapsed() == 5ms);
}

TEST_CASE("with_timeout cancels and awaits what does not end in time, and throws timed_out") {
  tests::still_clock f;
  int cancelled = 0;
  f.run([](int& c) -> task<void> {
    const std::error_code error = co_await tests::code_of(asyncfs::with_timeout(tests::sleep_until_cancelled(c), 10ms));
    CHECK(error == std::errc::timed_out);
    CHECK(c == 1);
  }(cancelled));
  CHECK(f.elapsed() == 10ms);
}

TEST_CASE("of a result the timeout is its error, and neither a cancel from outside nor another error is") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    const auto late = co_await asyncfs::with_timeout(asyncfs::as_result(asyncfs::sleep_for(1h)), 1ms);
    REQUIRE_FALSE(late);
    CHECK(late.error() == std::errc::timed_out);
    const auto in_time = co_await asyncfs::with_timeout(asyncfs::as_result(tests::later(1ms, 3)), 1h);
    CHECK(in_time == 3);
    const auto limited = []() -> task<void> {
      const auto ended = co_await asyncfs::with_timeout(asyncfs::as_result(asyncfs::sleep_for(1h)), 2h);
      CHECK(asyncfs::is_cancelled(ended.error()));
    };
    asyncfs::scope all(co_await asyncfs::this_task);
    all.spawn(limited());
    co_await asyncfs::sleep_for(1ms);
    all.cancel();
    co_await all.join();
  }());
}

TEST_CASE("a value that wins against the timeout is delivered") {
  tests::still_clock f;
  f.engine->idle = [&] {
    if (!f.engine->cancels.empty() && !f.engine->taken.empty()) f.engine->complete_first(17);  // cancelled, and done
  };
  f.run([]() -> task<void> {
    std::array<std::byte, 32> buffer{};
    const asyncfs::socket nowhere;
    const std::size_t got = co_await asyncfs::with_timeout(nowhere.receive(buffer), 1ms);
    CHECK(got == 17);
  }());
}

TEST_CASE("an error of its own passes through with_timeout, and so does being cancelled from outside") {
  tests::still_clock f;
  int cancelled = 0;
  f.run([](int& c) -> task<void> {
    std::string words;
    try {
      static_cast<void>(co_await asyncfs::with_timeout(tests::fail_later(1ms, "own"), 1h));
    } catch (const std::exception& e) {
      words = e.what();
    }
    CHECK(words == "own");
    const auto limited = [](int& n) -> task<void> {
      const std::error_code error = co_await tests::code_of(asyncfs::with_timeout(tests::sleep_until_cancelled(n), 1h));
      CHECK(asyncfs::is_cancelled(error));
    };
    asyncfs::scope all(co_await asyncfs::this_task);
    all.spawn(limited(c));
    co_await asyncfs::sleep_for(1ms);
    all.cancel();
    co_await all.join();
    CHECK(c == 1);
  }(cancelled));
}

TEST_CASE("timers of equal times fire in the order they were started, also after others were taken out") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    const asyncfs::task_context at = co_await asyncfs::this_task;
    std::vector<int> order;
    std::vector<asyncfs::future<void>> all;
    const auto note = [](int name, std::vector<int>& o) -> task<void> {
      co_await asyncfs::sleep_for(1ms);
      o.push_back(name);
    };
    for (int i = 0; i < 100; ++i) all.push_back(asyncfs::spawn(at.home, note(i, order)));
    co_await asyncfs::yield();
    co_await asyncfs::yield();
    for (std::size_t i = 0; i < all.size(); i += 3) all[i] = {};
    co_await asyncfs::sleep_for(5ms);
    CHECK(order.size() == 66);
    CHECK(std::ranges::is_sorted(order));
  }());
}

TEST_CASE("sleep_until a time that has passed goes on at once, by way of the loop") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    co_await asyncfs::sleep_for(5ms);
    co_await asyncfs::sleep_until(asyncfs::steady_time(2ms));
    const asyncfs::task_context at = co_await asyncfs::this_task;
    co_await asyncfs::sleep_until(at.home.now() + 3ms);
  }());
  CHECK(f.elapsed() == 8ms);
}

TEST_CASE("an interval keeps its pace whatever happens between two ticks, and counts what was missed") {
  tests::still_clock f;
  f.run([](tests::still_clock& at) -> task<void> {
    asyncfs::interval ticks(10ms);
    const auto first = co_await ticks.next();
    CHECK(first == 1);
    CHECK(at.elapsed() == 10ms);
    co_await asyncfs::sleep_for(4ms);
    const auto second = co_await ticks.next();
    CHECK(second == 1);
    CHECK(at.elapsed() == 20ms);
    co_await asyncfs::sleep_for(25ms);
    const auto late = co_await ticks.next();
    CHECK(late == 2);
    CHECK(at.elapsed() == 45ms);
    const auto next = co_await ticks.next();
    CHECK(next == 1);
    CHECK(at.elapsed() == 50ms);
  }(f));
  CHECK_THROWS_AS(asyncfs::interval(0ms), std::invalid_argument);
}

TEST_CASE("yield lets what is ready go first") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    std::vector<int> order;
    asyncfs::scope all(co_await asyncfs::this_task);
    const auto steps = [](int name, std::vector<int>& o) -> task<void> {
      for (int i = 0; i < 3; ++i) {
        o.push_back(name);
        co_await asyncfs::yield();
      }
    };
    all.spawn(steps(1, order));
    all.spawn(steps(2, order));
    co_await all.join();
    CHECK(order == std::vector<int>{1, 2, 1, 2, 1, 2});
  }());
}

TEST_CASE("a stop token cancels a task, before it begins too") {
  tests::still_clock f;
  int cancelled = 0;
  f.run([](int& c) -> task<void> {
    std::stop_source source;
    asyncfs::scope all(co_await asyncfs::this_task);
    const auto stops = [](std::stop_source& s) -> task<void> {
      co_await asyncfs::sleep_for(3ms);
      s.request_stop();
    };
    all.spawn(stops(source));
    const std::error_code error =
        co_await tests::code_of(asyncfs::with_stop_token(source.get_token(), tests::sleep_until_cancelled(c)));
    CHECK(asyncfs::is_cancelled(error));
    CHECK(c == 1);
    co_await all.join();
    const std::error_code at_once =
        co_await tests::code_of(asyncfs::with_stop_token(source.get_token(), tests::sleep_until_cancelled(c)));
    CHECK(asyncfs::is_cancelled(at_once));
    const int value = co_await asyncfs::with_stop_token(std::stop_token(), tests::later(1ms, 5));
    CHECK(value == 5);
  }(cancelled));
}

TEST_CASE("of a task whose stop token was stopped before it began, not even the first operation is carried out") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    std::stop_source source;
    source.request_stop();
    const std::error_code at_once =
        co_await tests::code_of(asyncfs::with_stop_token(source.get_token(), asyncfs::sleep_for(0ms)));
    CHECK(asyncfs::is_cancelled(at_once));
  }());
}

TEST_CASE("a request to stop on another thread reaches the task, or comes too late, and never after its end") {
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::threads;
  asyncfs::loop home(options);
  for (int i = 0; i < 300; ++i) {
    std::stop_source source;
    std::jthread other([&source] { source.request_stop(); });
    const auto ended = asyncfs::run(home, [](std::stop_token token) -> task<std::error_code> {
      const auto naps = []() -> task<void> {
        for (;;) co_await asyncfs::sleep_for(1us);
      };
      co_return co_await tests::code_of(asyncfs::with_stop_token(std::move(token), naps()));
    }(source.get_token()));
    CHECK(asyncfs::is_cancelled(ended));
  }
}

namespace {

asyncfs::sequence<int> count_to(int last, int& destroyed) {
  struct note {
    int& count;
    ~note() { ++count; }
  } const at_end{destroyed};
  for (int i = 1; i <= last; ++i) {
    co_await asyncfs::sleep_for(1ms);
    co_yield i;
  }
}
asyncfs::sequence<std::string> breaks() {
  co_yield std::string("before");
  throw std::runtime_error("broken");
}

}  // namespace

TEST_CASE("a sequence gives its values in order, then nothing") {
  tests::still_clock f;
  int destroyed = 0;
  f.run([](int& d) -> task<void> {
    auto numbers = count_to(3, d);
    CHECK(d == 0);
    for (int i = 1; i <= 3; ++i) {
      const auto got = co_await numbers.next();
      CHECK(got == i);
    }
    const auto end = co_await numbers.next();
    CHECK_FALSE(end);
    CHECK(d == 1);
    const auto still_end = co_await numbers.next();
    CHECK_FALSE(still_end);
  }(destroyed));
  CHECK(f.elapsed() == 3ms);
}

TEST_CASE("a consumer may leave a sequence anywhere, and what the sequence holds is freed") {
  tests::still_clock f;
  int destroyed = 0;
  f.run([](int& d) -> task<void> {
    auto numbers = count_to(1000, d);
    static_cast<void>(co_await numbers.next());
  }(destroyed));
  CHECK(destroyed == 1);
}

TEST_CASE("what a sequence throws, next throws once") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    auto all = breaks();
    const auto first = co_await all.next();
    CHECK(first == "before");
    std::string words;
    try {
      static_cast<void>(co_await all.next());
    } catch (const std::exception& e) {
      words = e.what();
    }
    CHECK(words == "broken");
    const auto after = co_await all.next();
    CHECK_FALSE(after);
  }());
}

TEST_CASE("a million values of a sequence that never waits do not grow the stack") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    const auto numbers = [](int count) -> asyncfs::sequence<int> {
      for (int i = 0; i < count; ++i) co_yield i;
    };
    auto all = numbers(1'000'000);
    std::int64_t sum = 0;
    for (;;) {
      const auto one = co_await all.next();
      if (!one) break;
      sum += *one;
    }
    CHECK(sum == std::int64_t{499'999'500'000});
  }());
}
