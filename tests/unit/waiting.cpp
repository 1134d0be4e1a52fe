// Events, semaphores and channels: within a loop, across loops, and cancelled.
#include <thread>

#include "../catch.hpp"
#include "../support/still_clock.hpp"

using asyncfs::task;
using namespace std::chrono_literals;

namespace {

task<void> note(asyncfs::event& on, int name, std::vector<int>& order) {
  co_await on.wait();
  order.push_back(name);
}
task<void> send_range(asyncfs::channel<int>& into, int from, int to) {
  for (int i = from; i < to; ++i) co_await into.send(i);
}

asyncfs::loop_options portable() {
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::threads;
  return options;
}

}  // namespace

TEST_CASE("an event wakes all that wait, in their order, and lets later waits through") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    asyncfs::event happened;
    std::vector<int> order;
    asyncfs::scope all(co_await asyncfs::this_task);
    for (int i = 0; i < 3; ++i) all.spawn(note(happened, i, order));
    co_await asyncfs::sleep_for(1ms);
    CHECK(order.empty());
    happened.set();
    CHECK(happened.is_set());
    co_await all.join();
    CHECK(order == std::vector<int>{0, 1, 2});
    co_await happened.wait();
    happened.reset();
    const std::error_code late = co_await tests::code_of(asyncfs::with_timeout(happened.wait(), 1ms));
    CHECK(late == std::errc::timed_out);
  }());
}

TEST_CASE("a cancelled wait leaves the others waiting") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    const asyncfs::task_context at = co_await asyncfs::this_task;
    asyncfs::event happened;
    std::vector<int> order;
    auto first = asyncfs::spawn(at.home, note(happened, 1, order));
    auto second = asyncfs::spawn(at.home, note(happened, 2, order));
    auto third = asyncfs::spawn(at.home, note(happened, 3, order));
    co_await asyncfs::sleep_for(1ms);
    second = {};
    co_await asyncfs::sleep_for(1ms);
    CHECK(at.home.metrics().waiting == 2);
    happened.set();
    co_await std::move(first);
    co_await std::move(third);
    CHECK(order == std::vector<int>{1, 3});
  }());
}

TEST_CASE("a wait in a scope that was cancelled already ends at once, also when nothing is in its way") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    const asyncfs::task_context at = co_await asyncfs::this_task;
    asyncfs::event happened;
    happened.set();
    asyncfs::semaphore free(1);
    at.scope.cancel();
    const std::error_code one = co_await tests::code_of(happened.wait());
    CHECK(asyncfs::is_cancelled(one));
    const std::error_code two = co_await tests::code_of(free.acquire());
    CHECK(asyncfs::is_cancelled(two));
    CHECK(free.available() == 1);
  }());
}

TEST_CASE("a semaphore lets in as many as it has permits, first come first served") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    asyncfs::semaphore two(2);
    int inside = 0, most = 0;
    std::vector<int> order;
    asyncfs::scope all(co_await asyncfs::this_task);
    const auto enter = [](asyncfs::semaphore& s, int name, int& now, int& high, std::vector<int>& o) -> task<void> {
      const auto permit = co_await s.acquire();
      o.push_back(name);
      high = std::max(high, ++now);
      co_await asyncfs::sleep_for(1ms);
      --now;
    };
    for (int i = 0; i < 7; ++i) all.spawn(enter(two, i, inside, most, order));
    co_await all.join();
    CHECK(most == 2);
    CHECK(order == std::vector<int>{0, 1, 2, 3, 4, 5, 6});
    CHECK(two.available() == 2);
    auto held = two.try_acquire();
    auto also = two.try_acquire();
    CHECK(held);
    CHECK_FALSE(two.try_acquire());
    held->release();
    CHECK(two.try_acquire());
  }());
}

TEST_CASE("a cancelled acquire takes nothing") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    asyncfs::semaphore one(1);
    {
      const auto held = co_await one.acquire();
      const std::error_code error = co_await tests::code_of(asyncfs::with_timeout(one.acquire(), 1ms));
      CHECK(error == std::errc::timed_out);
    }
    CHECK(one.available() == 1);
  }());
}

TEST_CASE("a channel keeps the order, and its senders wait while it is full") {
  for (const std::size_t capacity : {0u, 1u, 2u, 100u}) {
    DYNAMIC_SECTION("capacity " << capacity) {
      tests::still_clock f;
      f.run([](std::size_t room) -> task<void> {
        asyncfs::channel<int> numbers(room);
        asyncfs::scope all(co_await asyncfs::this_task);
        all.spawn(send_range(numbers, 0, 10));
        co_await asyncfs::sleep_for(1ms);
        CHECK(numbers.size() == std::min<std::size_t>(room, 10));
        for (int i = 0; i < 10; ++i) {
          const auto got = co_await numbers.receive();
          REQUIRE(got);
          CHECK(*got == i);
        }
        co_await all.join();
        CHECK_FALSE(numbers.try_receive());
      }(capacity));
    }
  }
}

TEST_CASE("a closed channel gives what it holds, then nothing, and takes no more") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    asyncfs::channel<int> numbers(1);
    asyncfs::scope all(co_await asyncfs::this_task);
    co_await numbers.send(1);
    std::error_code waiting_sender;
    const auto sends = [](asyncfs::channel<int>& c, std::error_code& e) -> task<void> {
      e = co_await tests::code_of(c.send(2));
    };
    all.spawn(sends(numbers, waiting_sender));
    co_await asyncfs::sleep_for(1ms);
    numbers.close();
    co_await all.join();
    CHECK(waiting_sender == std::errc::broken_pipe);
    const std::error_code late = co_await tests::code_of(numbers.send(3));
    CHECK(late == std::errc::broken_pipe);
    int four = 4;
    CHECK_FALSE(numbers.try_send(four));
    const auto one = co_await numbers.receive();
    CHECK(one == 1);
    const auto none = co_await numbers.receive();
    CHECK_FALSE(none);
  }());
}

TEST_CASE("closing a channel ends every receiver that waits") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    asyncfs::channel<int> numbers(1);
    asyncfs::scope all(co_await asyncfs::this_task);
    int ended = 0;
    const auto receives = [](asyncfs::channel<int>& c, int& count) -> task<void> {
      const auto got = co_await c.receive();
      count += !got;
    };
    for (int i = 0; i < 3; ++i) all.spawn(receives(numbers, ended));
    co_await asyncfs::sleep_for(1ms);
    numbers.close();
    co_await all.join();
    CHECK(ended == 3);
  }());
}

TEST_CASE("a value that reached a receiver is not lost to its cancelling") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    asyncfs::channel<std::unique_ptr<int>> values(0);
    int got = 0;
    const auto receives = [](asyncfs::channel<std::unique_ptr<int>>& c, int& n) -> task<void> {
      const auto value = co_await c.receive();
      if (value) n = **value;
    };
    const asyncfs::task_context at = co_await asyncfs::this_task;
    asyncfs::scope all(at);
    all.spawn(receives(values, got));
    co_await asyncfs::sleep_for(1ms);
    auto seven = std::make_unique<int>(7);
    REQUIRE(values.try_send(seven));  // granted
    all.cancel();                     // too late
    co_await all.join();
    CHECK(got == 7);
  }());
}

TEST_CASE("values go across loops, none lost and each sender's in order") {
  constexpr int senders = 3, each = 2000;
  asyncfs::channel<std::pair<int, int>> numbers(16);
  std::vector<std::jthread> threads;
  for (int s = 0; s < senders; ++s)
    threads.emplace_back([&numbers, s] {
      asyncfs::run(
          [](asyncfs::channel<std::pair<int, int>>& c, int name) -> task<void> {
            for (int i = 0; i < each; ++i) co_await c.send({name, i});
          }(numbers, s),
          portable());
    });
  std::vector<int> next(senders, 0);
  bool in_order = true;
  asyncfs::run(
      [](asyncfs::channel<std::pair<int, int>>& c, std::vector<int>& expected, bool& ordered) -> task<void> {
        for (int i = 0; i < senders * each; ++i) {
          const auto got = co_await c.receive();
          ordered = ordered && got && got->second == expected[static_cast<std::size_t>(got->first)]++;
        }
      }(numbers, next, in_order),
      portable());
  threads.clear();
  CHECK(in_order);
  CHECK(next == std::vector<int>(senders, each));
  CHECK(numbers.size() == 0);
}

TEST_CASE("waits that are cancelled while another loop grants them end exactly once, and nothing is lost") {
  constexpr int rounds = 3000;
  asyncfs::channel<int> numbers(0);
  std::atomic<int> sent = 0;
  std::jthread other([&] {
    asyncfs::run(
        [](asyncfs::channel<int>& c, std::atomic<int>& count) -> task<void> {
          for (;;) {
            const std::error_code error = co_await tests::code_of(c.send(1));
            if (error) break;
            ++count;
          }
        }(numbers, sent),
        portable());
  });
  int received = 0, cancelled = 0;
  asyncfs::run(
      [](asyncfs::channel<int>& c, int& got, int& lost_patience) -> task<void> {
        const asyncfs::task_context at = co_await asyncfs::this_task;
        const auto receives = [](asyncfs::channel<int>& from, int& n) -> task<void> {
          const auto value = co_await from.receive();
          n += value.value_or(0);
        };
        for (int i = 0; i < rounds; ++i) {
          asyncfs::cancel_scope patience(&at.scope);
          task<void> work = receives(c, got);
          asyncfs::scope all(at);
          const auto cancels = [](asyncfs::cancel_scope& s) -> task<void> {
            co_await asyncfs::yield();
            s.cancel();
          };
          all.spawn(cancels(patience));
          const auto guarded = [](task<void> w, asyncfs::cancel_scope& s) -> task<void> {
            co_await std::move(w).in(s);
          };
          const std::error_code error = co_await tests::code_of(guarded(std::move(work), patience));
          if (asyncfs::is_cancelled(error)) ++lost_patience;
          co_await all.join();
        }
      }(numbers, received, cancelled),
      portable());
  numbers.close();
  other.join();
  CHECK(received + cancelled == rounds);
  CHECK(received == sent);
}

namespace {

// Awaits what `wait` gives, which is over at once, again and again, until another task and a timer of the loop had
// their turns; false when they did not get them.
template <class F>
task<bool> others_get_their_turn(F wait) {
  constexpr int far_more_than_a_turn = 10'000;
  const asyncfs::task_context at = co_await asyncfs::this_task;
  bool ran = false, fired = false;
  asyncfs::scope all(at);
  const auto runs = [](bool& done) -> task<void> {
    co_await asyncfs::yield();
    done = true;
  };
  const auto sleeps = [](bool& done) -> task<void> {
    co_await asyncfs::sleep_for(0ms);
    done = true;
  };
  all.spawn(runs(ran));
  all.spawn(sleeps(fired));
  for (int i = 0; i < far_more_than_a_turn && !(ran && fired); ++i) co_await wait();
  const bool both = ran && fired;
  co_await all.join();
  co_return both;
}

}  // namespace

TEST_CASE("waits that are over at once leave other tasks and timers their turn") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    const asyncfs::task_context at = co_await asyncfs::this_task;
    asyncfs::semaphore free(1);
    const bool by_permits = co_await others_get_their_turn([&free] { return free.acquire(); });
    CHECK(by_permits);

    asyncfs::event happened;
    happened.set();
    const bool by_an_event = co_await others_get_their_turn([&happened] { return happened.wait(); });
    CHECK(by_an_event);

    asyncfs::channel<int> plenty(100'000);
    const bool by_sending = co_await others_get_their_turn([&plenty] { return plenty.send(1); });
    CHECK(by_sending);
    for (int one = 0; plenty.try_send(one);) {
    }
    const bool by_receiving = co_await others_get_their_turn([&plenty] { return plenty.receive(); });
    CHECK(by_receiving);

    asyncfs::event_count changed;
    changed.notify();
    const bool by_a_count = co_await others_get_their_turn([&changed] { return changed.after(0); });
    CHECK(by_a_count);

    asyncfs::scope nothing_in_it(at);
    const bool by_joining = co_await others_get_their_turn([&nothing_in_it] { return nothing_in_it.join(); });
    CHECK(by_joining);

    asyncfs::sequence<int> ended = []() -> asyncfs::sequence<int> { co_return; }();
    const bool by_an_ended_sequence = co_await others_get_their_turn([&ended] { return ended.next(); });
    CHECK(by_an_ended_sequence);

    std::vector<asyncfs::future<void>> done;
    const auto nothing = []() -> task<void> { co_return; };
    for (int i = 0; i < 10'000; ++i) done.push_back(asyncfs::spawn(at.home, nothing()));
    while (!done.front().ready()) co_await asyncfs::sleep_for(1ms);
    const bool by_futures = co_await others_get_their_turn([&done] {
      asyncfs::future<void> one = std::move(done.back());
      done.pop_back();
      return one;
    });
    CHECK(by_futures);
  }());
}

TEST_CASE("a task whose waits are over at once is cancelled like any other") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    asyncfs::semaphore free(1);
    const auto for_ever = [](asyncfs::semaphore& s) -> task<void> {
      for (int i = 0; i < 1'000'000; ++i) static_cast<void>(co_await s.acquire());
    };
    const std::error_code error = co_await tests::code_of(asyncfs::with_timeout(for_ever(free), 0ms));
    CHECK(error == std::errc::timed_out);
    CHECK(free.available() == 1);
  }());
}
