// when_all_settled, when_any and race, over tasks and over anything that can be awaited.
#include <ranges>

#include "../catch.hpp"
#include "../support/still_clock.hpp"

using asyncfs::task;
using tests::fail_later;
using tests::later;
using tests::sleep_until_cancelled;
using namespace std::chrono_literals;

namespace {

std::string words_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  }
}

// Counts how many of it there are.
struct counted {
  static inline int alive = 0;
  counted() { ++alive; }
  counted(counted&&) noexcept { ++alive; }
  counted& operator=(counted&&) noexcept = default;
  ~counted() { --alive; }
};

}  // namespace

TEST_CASE("when_all takes operations, sleeps and tasks beside each other") {
  tests::still_clock f;
  f.engine->idle = [&] {
    while (!f.engine->taken.empty()) f.engine->complete_first(0);
  };
  f.run([]() -> task<void> {
    const auto [nothing, number, also_nothing] =
        co_await asyncfs::when_all(asyncfs::nop(), later(1ms, 7), asyncfs::sleep_for(2ms));
    CHECK(number == 7);
    CHECK(nothing == also_nothing);
  }());
}

TEST_CASE("when_all_settled gives how each ended, and cancels none") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    auto [one, two, three] =
        co_await asyncfs::when_all_settled(later(3ms, 1), fail_later(1ms, "no"), asyncfs::sleep_for(2ms));
    CHECK(one.value() == 1);
    REQUIRE_FALSE(two.has_value());
    CHECK(words_of(two.error()) == "no");
    CHECK(three.has_value());
  }());
  CHECK(f.elapsed() == 3ms);
}

TEST_CASE("when_all_settled over a vector keeps its order, also when it is empty") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    std::vector<task<int>> tasks;
    tasks.push_back(fail_later(2ms, "late"));
    tasks.push_back(later(1ms, 2));
    const auto each = co_await asyncfs::when_all_settled(std::move(tasks));
    REQUIRE(each.size() == 2);
    CHECK_FALSE(each[0].has_value());
    CHECK(each[1].value() == 2);
    const auto none = co_await asyncfs::when_all_settled(std::vector<task<int>>());
    CHECK(none.empty());
  }());
}

TEST_CASE("when_any gives the first success, and cancels and awaits the others") {
  tests::still_clock f;
  int cancelled = 0;
  f.run([](int& c) -> task<void> {
    const auto first =
        co_await asyncfs::when_any(sleep_until_cancelled(c), fail_later(1ms, "too early"), later(5ms, 42));
    CHECK(first.index() == 2);
    CHECK(std::get<2>(first) == 42);
    CHECK(c == 1);
  }(cancelled));
  CHECK(f.elapsed() == 5ms);
}

TEST_CASE("when_any throws all reasons when none succeeded") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    std::vector<task<int>> tasks;
    tasks.push_back(fail_later(2ms, "one"));
    tasks.push_back(fail_later(1ms, "two"));
    std::vector<std::exception_ptr> reasons;
    try {
      static_cast<void>(co_await asyncfs::when_any(std::move(tasks)));
    } catch (const asyncfs::all_failed& error) {
      reasons = error.reasons();
    }
    REQUIRE(reasons.size() == 2);
    CHECK(words_of(reasons[0]) == "one");
    CHECK(words_of(reasons[1]) == "two");
    bool threw = false;
    try {
      static_cast<void>(co_await asyncfs::when_any(std::vector<task<int>>()));
    } catch (const asyncfs::all_failed& error) {
      threw = error.reasons().empty();
    }
    CHECK(threw);
  }());
}

TEST_CASE("race gives whatever ends first, a failure too") {
  tests::still_clock f;
  int cancelled = 0;
  f.run([](int& c) -> task<void> {
    const auto slept = co_await asyncfs::race(later(9ms, 1), asyncfs::sleep_for(4ms));
    CHECK(slept.index() == 1);
    std::string words;
    try {
      static_cast<void>(co_await asyncfs::race(fail_later(1ms, "first"), sleep_until_cancelled(c)));
    } catch (const std::exception& e) {
      words = e.what();
    }
    CHECK(words == "first");
    CHECK(c == 1);
    std::vector<task<int>> tasks;
    tasks.push_back(later(2ms, 20));
    tasks.push_back(later(1ms, 10));
    const auto first = co_await asyncfs::race(std::move(tasks));
    CHECK(first.index == 1);
    CHECK(first.value == 10);
    bool refused = false;
    try {
      static_cast<void>(co_await asyncfs::race(std::vector<task<int>>()));
    } catch (const std::invalid_argument&) {
      refused = true;
    }
    CHECK(refused);
  }(cancelled));
}

TEST_CASE("values that are not chosen are destroyed") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    const auto make = []() -> task<counted> { co_return counted(); };
    const auto one = co_await asyncfs::when_any(make(), make(), make());
    CHECK(one.index() == 0);
    CHECK(counted::alive == 1);
  }());
  CHECK(counted::alive == 0);
}

TEST_CASE("cancelling the task that waits cancels all that it waits for") {
  tests::still_clock f;
  int cancelled = 0;
  f.run([](int& c) -> task<void> {
    const asyncfs::task_context at = co_await asyncfs::this_task;
    auto several = [](int& n) -> task<void> {
      static_cast<void>(co_await asyncfs::race(sleep_until_cancelled(n), sleep_until_cancelled(n)));
    };
    auto running = asyncfs::spawn(at.home, several(c));
    co_await asyncfs::sleep_for(1ms);
    running = {};
    co_await asyncfs::sleep_for(1ms);
    CHECK(c == 2);
  }(cancelled));
}

TEST_CASE("for_each_concurrent takes an asynchronous sequence, no faster than it has room") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    asyncfs::channel<int> numbers(100);
    for (int i = 0; i < 20; ++i) co_await numbers.send(i);
    numbers.close();
    int running = 0, most = 0, sum = 0;
    const auto fn = [&](int n) {
      return [](int number, int& now, int& high, int& total) -> task<void> {
        high = std::max(high, ++now);
        co_await asyncfs::sleep_for(1ms);
        --now;
        total += number;
      }(n, running, most, sum);
    };
    co_await asyncfs::for_each_concurrent(numbers, 3, fn);
    CHECK(sum == 190);
    CHECK(most == 3);
    CHECK(running == 0);
  }());
  CHECK(f.elapsed() == 7ms);
}

TEST_CASE("for_each_concurrent over a sequence stops asking after a failure, and throws it") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    asyncfs::channel<int> numbers(100);
    for (int i = 0; i < 20; ++i) co_await numbers.send(i);
    int begun = 0;
    const auto fn = [&](int n) {
      return [](int number, int& count) -> task<void> {
        ++count;
        co_await asyncfs::sleep_for(1ms);
        if (number == 1) throw std::runtime_error("one");
      }(n, begun);
    };
    std::string words;
    try {
      co_await asyncfs::for_each_concurrent(numbers, 2, fn);
    } catch (const std::exception& e) {
      words = e.what();
    }
    CHECK(words == "one");
    CHECK(begun <= 3);
    CHECK(numbers.size() >= 16);
  }());
}

TEST_CASE("for_each_concurrent that is cancelled before it was through says so, whatever its items make of that") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    int begun = 0;
    const auto indifferent = [&begun](int) {
      return [](int& count) -> task<void> {
        ++count;
        static_cast<void>(co_await tests::code_of(asyncfs::sleep_for(2ms)));
      }(begun);
    };
    const std::error_code within = co_await tests::code_of(
        asyncfs::with_timeout(asyncfs::for_each_concurrent(std::views::iota(0, 100), 2, indifferent), 3ms));
    CHECK(within == std::errc::timed_out);
    CHECK(begun == 4);
    // Before it began.
    const asyncfs::task_context at = co_await asyncfs::this_task;
    asyncfs::cancel_scope cancelled(&at.scope);
    cancelled.cancel();
    const auto in_there = [](asyncfs::cancel_scope& scope, auto fn) -> task<void> {
      co_await asyncfs::for_each_concurrent(std::views::iota(0, 3), 2, fn).in(scope);
    };
    const std::error_code before = co_await tests::code_of(in_there(cancelled, indifferent));
    CHECK(asyncfs::is_cancelled(before));
    CHECK(begun == 4);
    // With the last item begun, all are done.
    const std::error_code last = co_await tests::code_of(
        asyncfs::with_timeout(asyncfs::for_each_concurrent(std::views::iota(0, 2), 2, indifferent), 1ms));
    CHECK_FALSE(last);
    CHECK(begun == 6);
  }());
}

TEST_CASE("for_each_concurrent over a sequence that ends when it is cancelled says that it was cancelled") {
  struct ends_quietly {
    task<std::optional<int>> next() {
      static_cast<void>(co_await tests::code_of(asyncfs::sleep_for(1h)));
      co_return std::nullopt;
    }
  };
  tests::still_clock f;
  f.run([]() -> task<void> {
    ends_quietly numbers;
    const auto fn = [](int) -> task<void> { co_return; };
    const std::error_code error =
        co_await tests::code_of(asyncfs::with_timeout(asyncfs::for_each_concurrent(numbers, 2, fn), 1ms));
    CHECK(error == std::errc::timed_out);
  }());
}
