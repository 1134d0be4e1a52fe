#include <asyncfs/asyncfs.hpp>
#include <asyncfs/nop.hpp>

#include <stdexcept>
#include <thread>

#include "../catch.hpp"
#include "../support/engines.hpp"

using asyncfs::future;
using asyncfs::task;
using namespace std::chrono_literals;

namespace {

task<int> number_after(asyncfs::steady_time::duration delay, int n) {
  co_await asyncfs::sleep_for(delay);
  co_return n;
}
task<int> failure_after(asyncfs::steady_time::duration delay, const char* words) {
  co_await asyncfs::sleep_for(delay);
  throw std::runtime_error(words);
}
task<void> sleep_long(bool& cancelled) {
  try {
    co_await asyncfs::sleep_for(1h);
  } catch (const std::system_error& e) {
    cancelled = asyncfs::is_cancelled(e.code());
    throw;
  }
}

// A loop that runs on a thread of its own until the end of the test.
class elsewhere {
 public:
  elsewhere()
      : home_([] {
          asyncfs::loop_options options;
          options.engine.kind = asyncfs::engine_kind::threads;
          return options;
        }()),
        thread_([this] {
          home_.run_until([this] { return ended_; });
          home_.drain();
        }) {}
  ~elsewhere() {
    home_.post([this] { ended_ = true; });
    thread_.join();
  }
  asyncfs::loop& home() { return home_; }

 private:
  bool ended_ = false;
  asyncfs::loop home_;
  std::thread thread_;
};

template <class F>
void on_a_loop(F test) {
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::threads;
  asyncfs::loop home(options);
  asyncfs::run(home, test(home));
}

}  // namespace

TEST_CASE("what is spawned does not begin inside spawn") {
  on_a_loop([](asyncfs::loop& home) -> task<void> {
    bool begun = false;
    future<void> f = asyncfs::spawn(home, [](bool& b) -> task<void> {
      b = true;
      co_return;
    }(begun));
    CHECK_FALSE(begun);
    co_await std::move(f);
    CHECK(begun);
  });
}

TEST_CASE("a future is waited for from another thread, value and exception") {
  elsewhere other;
  CHECK(asyncfs::spawn(other.home(), number_after(1ms, 5)).get() == 5);
  CHECK_THROWS_WITH(asyncfs::spawn(other.home(), failure_after(1ms, "late")).get(), "late");
  CHECK_NOTHROW(asyncfs::spawn(other.home(), asyncfs::nop()).get());
  future<int> f = asyncfs::spawn(other.home(), number_after(0ms, 6));
  while (!f.ready()) std::this_thread::yield();
  CHECK(f.get() == 6);
}

TEST_CASE("get on the loop's own thread is refused with a message that says what to do") {
  on_a_loop([](asyncfs::loop& home) -> task<void> {
    future<int> f = asyncfs::spawn(home, number_after(1ms, 5));
    CHECK_THROWS_WITH(f.get(), Catch::Contains("co_await"));
    const int value = co_await std::move(f);
    CHECK(value == 5);
  });
}

TEST_CASE("get between two runs of the loop is refused while nothing but its own thread could end the future") {
  asyncfs::loop home;
  asyncfs::run(home, asyncfs::as_task(asyncfs::nop()));
  future<int> f = asyncfs::spawn(home, number_after(0ms, 7));
  CHECK_THROWS_WITH(f.get(), Catch::Contains("run the loop"));
  home.run_until([&] { return f.ready(); });
  CHECK(f.get() == 7);
  home.drain();
}

TEST_CASE("then is called with the value, on the loop's thread, and may return a task") {
  elsewhere other;
  std::thread::id ran_on;
  const int value = asyncfs::spawn(other.home(), number_after(1ms, 5))
                        .then([&](int n) {
                          ran_on = std::this_thread::get_id();
                          return n * 2;
                        })
                        .then([](int n) { return number_after(1ms, n + 1); })
                        .get();
  CHECK(value == 11);
  CHECK(ran_on != std::this_thread::get_id());
  CHECK(ran_on != std::thread::id());
}

TEST_CASE("then after void takes nothing, and may give nothing") {
  elsewhere other;
  int called = 0;
  asyncfs::spawn(other.home(), asyncfs::nop())
      .then([&] { ++called; })
      .then([&]() -> task<void> {
        ++called;
        co_return;
      })
      .get();
  CHECK(called == 2);
}

TEST_CASE("an error skips then, and on_error gives a value instead") {
  elsewhere other;
  bool skipped = true;
  const int value = asyncfs::spawn(other.home(), failure_after(1ms, "no"))
                        .then([&](int n) {
                          skipped = false;
                          return n;
                        })
                        .on_error([](std::exception_ptr e) {
                          try {
                            std::rethrow_exception(e);
                          } catch (const std::runtime_error& r) {
                            return std::string(r.what()) == "no" ? -1 : -2;
                          }
                        })
                        .get();
  CHECK(skipped);
  CHECK(value == -1);
  CHECK(asyncfs::spawn(other.home(), number_after(0ms, 3)).on_error([](std::exception_ptr) { return 0; }).get() == 3);
}

TEST_CASE("what then throws is the future's error") {
  elsewhere other;
  auto f =
      asyncfs::spawn(other.home(), number_after(0ms, 1)).then([](int) -> int { throw std::runtime_error("in then"); });
  CHECK_THROWS_WITH(f.get(), "in then");
}

TEST_CASE("finally runs in either case and keeps the outcome") {
  elsewhere other;
  int called = 0;
  CHECK(asyncfs::spawn(other.home(), number_after(0ms, 3)).finally([&] { ++called; }).get() == 3);
  CHECK_THROWS_WITH(asyncfs::spawn(other.home(), failure_after(0ms, "no")).finally([&] { ++called; }).get(), "no");
  asyncfs::spawn(other.home(), asyncfs::nop()).finally([&] { ++called; }).get();
  CHECK(called == 3);
}

TEST_CASE("dropping a future cancels its work, and the loop still drains") {
  bool cancelled = false;
  on_a_loop([&cancelled](asyncfs::loop& home) {
    return [](asyncfs::loop& h, bool& c) -> task<void> {
      {
        const future<void> dropped = asyncfs::spawn(h, sleep_long(c));
      }
      co_await asyncfs::sleep_for(1ms);
    }(home, cancelled);
  });
  CHECK(cancelled);
}

TEST_CASE("dropping a chain of futures cancels the work at its beginning") {
  bool cancelled = false, called = false;
  on_a_loop([&](asyncfs::loop& home) {
    return [](asyncfs::loop& h, bool& c, bool& then_called) -> task<void> {
      {
        const future<void> dropped =
            asyncfs::spawn(h, sleep_long(c)).then([&then_called] { then_called = true; }).finally([] {});
        co_await asyncfs::sleep_for(1ms);
      }
      for (int i = 0; i < 1000 && !c; ++i) co_await asyncfs::sleep_for(1ms);
      CHECK(c);
    }(home, cancelled, called);
  });
  CHECK(cancelled);
  CHECK_FALSE(called);
}

TEST_CASE("dropping a future on another thread cancels its work") {
  bool cancelled = false;
  {
    elsewhere other;
    {
      const future<void> dropped = asyncfs::spawn(other.home(), sleep_long(cancelled));
    }
    asyncfs::spawn(other.home(), asyncfs::nop()).get();
  }
  CHECK(cancelled);
}

TEST_CASE("cancelling a task that awaits a future cancels the future's work") {
  bool cancelled = false;
  on_a_loop([&](asyncfs::loop& home) {
    return [](asyncfs::loop& h, bool& c) -> task<void> {
      auto waits = [](asyncfs::loop& l, bool& flag) -> task<void> { co_await asyncfs::spawn(l, sleep_long(flag)); };
      auto fails = []() -> task<void> {
        co_await asyncfs::sleep_for(1ms);
        throw std::runtime_error("sibling");
      };
      std::string words;
      try {
        co_await asyncfs::when_all(waits(h, c), fails());
      } catch (const std::runtime_error& e) {
        words = e.what();
      }
      CHECK(words == "sibling");
    }(home, cancelled);
  });
  CHECK(cancelled);
}

TEST_CASE("a future that nobody waits for is ended by drain") {
  bool cancelled = false;
  future<void> kept;
  {
    asyncfs::loop_options options;
    options.engine.kind = asyncfs::engine_kind::threads;
    asyncfs::loop home(options);
    kept = asyncfs::spawn(home, sleep_long(cancelled));
    home.drain();
    CHECK(kept.ready());
  }
  CHECK(cancelled);
  CHECK_THROWS_AS(kept.get(), std::system_error);
}

TEST_CASE("a thousand futures of four threads all give their own value") {
  elsewhere other;
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < 250; ++i)
          if (asyncfs::spawn(other.home(), number_after(0ms, t * 1000 + i)).then([](int n) { return n + 1; }).get() !=
              t * 1000 + i + 1)
            ++wrong;
      });
  }
  CHECK(wrong == 0);
}

TEST_CASE("cancelling a task that awaits a future of another loop cancels the future's work") {
  elsewhere other;
  std::atomic<bool> cancelled = false;
  const auto sleeps = [](std::atomic<bool>& flag) -> task<int> {
    try {
      co_await asyncfs::sleep_for(1h);
    } catch (const std::system_error& e) {
      flag = asyncfs::is_cancelled(e.code());
      throw;
    }
    co_return 1;
  };
  on_a_loop([&](asyncfs::loop&) {
    return [](task<int> work, asyncfs::loop& there, std::atomic<bool>& flag) -> task<void> {
      // So that a failure is a failure and no hang.
      const auto gives_up = [](asyncfs::loop& l) -> task<void> {
        co_await asyncfs::sleep_for(10s);
        l.post([&l] { l.root().cancel(); });
      };
      asyncfs::scope guard(co_await asyncfs::this_task);
      guard.spawn(gives_up(there));
      std::error_code error;
      try {
        static_cast<void>(co_await asyncfs::with_timeout(asyncfs::spawn(there, std::move(work)), 1ms));
      } catch (const std::system_error& e) {
        error = e.code();
      }
      CHECK(error == std::errc::timed_out);
      CHECK(flag);
      CHECK(guard.running() == 1);
      guard.cancel();
      co_await guard.join();
    }(sleeps(cancelled), other.home(), cancelled);
  });
}

TEST_CASE("awaiting a future in a scope that was cancelled already cancels its work, on this loop and on another") {
  elsewhere other;
  bool here = false, there = false;
  on_a_loop([&](asyncfs::loop& home) {
    return [](asyncfs::loop& h, asyncfs::loop& o, bool& on_this, bool& on_other) -> task<void> {
      const asyncfs::task_context at = co_await asyncfs::this_task;
      asyncfs::cancel_scope cancelled(&at.scope);
      cancelled.cancel();
      const auto waits = [](future<void> f) -> task<void> { co_await std::move(f); };
      const auto within = [](task<void> work, asyncfs::cancel_scope& scope) -> task<std::error_code> {
        try {
          co_await std::move(work).in(scope);
        } catch (const std::system_error& e) {
          co_return e.code();
        }
        co_return std::error_code();
      };
      const std::error_code one = co_await within(waits(asyncfs::spawn(h, sleep_long(on_this))), cancelled);
      CHECK(asyncfs::is_cancelled(one));
      CHECK(on_this);
      const std::error_code two = co_await within(waits(asyncfs::spawn(o, sleep_long(on_other))), cancelled);
      CHECK(asyncfs::is_cancelled(two));
      CHECK(on_other);
    }(home, other.home(), here, there);
  });
}

TEST_CASE("futures of another loop that end while they are cancelled end once, with their value or as cancelled") {
  elsewhere other;
  constexpr int rounds = 3000;
  int values = 0, cancelled = 0;
  on_a_loop([&](asyncfs::loop&) {
    return [](asyncfs::loop& there, int& gave, int& gave_up) -> task<void> {
      const auto soon = []() -> task<int> {
        co_await asyncfs::yield();
        co_return 1;
      };
      for (int i = 0; i < rounds; ++i) {
        try {
          gave += co_await asyncfs::with_timeout(asyncfs::spawn(there, soon()), 1us * (i % 50));
        } catch (const std::system_error& e) {
          gave_up += e.code() == std::errc::timed_out;
        }
      }
    }(other.home(), values, cancelled);
  });
  CHECK(values + cancelled == rounds);
}

TEST_CASE("then, on_error and finally await whatever can be awaited") {
  on_a_loop([](asyncfs::loop& home) {
    return [](asyncfs::loop& h) -> task<void> {
      const int by_future = co_await asyncfs::spawn(h, number_after(0ms, 1)).then([&h](int n) {
        return asyncfs::spawn(h, number_after(1ms, n + 1)).then([](int m) { return m + 1; });
      });
      CHECK(by_future == 3);

      asyncfs::channel<int> numbers(1);
      co_await asyncfs::spawn(h, asyncfs::nop()).then([&numbers] { return numbers.send(5); });
      const std::optional<int> received =
          co_await asyncfs::spawn(h, asyncfs::nop()).then([&numbers] { return numbers.receive(); });
      CHECK(received == 5);

      const asyncfs::file zero =
          co_await asyncfs::spawn(h, asyncfs::nop()).then([] { return asyncfs::here().open("/dev/zero"); });
      CHECK(zero.fd() >= 0);

      const int instead = co_await asyncfs::spawn(h, failure_after(0ms, "no")).on_error([](const std::exception_ptr&) {
        return number_after(1ms, 7);
      });
      CHECK(instead == 7);
      const int by_another =
          co_await asyncfs::spawn(h, failure_after(0ms, "no")).on_error([&h](const std::exception_ptr&) {
            return asyncfs::spawn(h, number_after(1ms, 8));
          });
      CHECK(by_another == 8);

      bool ended = false;
      const auto sets = [](bool& flag) -> task<void> {
        co_await asyncfs::sleep_for(1ms);
        flag = true;
      };
      const int stays = co_await asyncfs::spawn(h, number_after(0ms, 3)).finally([&] { return sets(ended); });
      CHECK(stays == 3);
      CHECK(ended);
      std::string words;
      try {
        co_await asyncfs::spawn(h, asyncfs::nop()).finally([] { return failure_after(0ms, "at last"); });
      } catch (const std::runtime_error& e) {
        words = e.what();
      }
      CHECK(words == "at last");
    }(home);
  });
}

TEST_CASE("as_result awaits anything: an error code is a value, any other exception passes") {
  on_a_loop([](asyncfs::loop& home) {
    return [](asyncfs::loop& h) -> task<void> {
      const asyncfs::result<int> value = co_await asyncfs::as_result(number_after(0ms, 4));
      CHECK(value == 4);
      const asyncfs::result<void> late =
          co_await asyncfs::as_result(asyncfs::with_timeout(asyncfs::sleep_for(1h), 1ms));
      REQUIRE_FALSE(late);
      CHECK(late.error() == std::errc::timed_out);
      const asyncfs::result<int> by_future = co_await asyncfs::as_result(asyncfs::spawn(h, number_after(0ms, 5)));
      CHECK(by_future == 5);
      asyncfs::channel<int> closed(1);
      closed.close();
      const asyncfs::result<void> sent = co_await asyncfs::as_result(closed.send(1));
      REQUIRE_FALSE(sent);
      CHECK(sent.error() == std::errc::broken_pipe);
      const auto missing = co_await asyncfs::as_result(asyncfs::here().open("/nonexistent/file"));
      CHECK_FALSE(missing);
      std::string words;
      try {
        static_cast<void>(co_await asyncfs::as_result(failure_after(0ms, "other")));
      } catch (const std::runtime_error& e) {
        words = e.what();
      }
      CHECK(words == "other");
    }(home);
  });
}
