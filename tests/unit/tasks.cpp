#include <asyncfs/asyncfs.hpp>
#include <asyncfs/nop.hpp>

#include <deque>
#include <list>
#include <ranges>
#include <stdexcept>

#include "../catch.hpp"

using asyncfs::task;
using namespace std::chrono_literals;

namespace {

asyncfs::loop_options plain_threads() {
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::threads;
  return options;
}
template <class T>
T run_here(task<T> work) {
  return asyncfs::run(std::move(work), plain_threads());
}

struct noted {
  explicit noted(int& n) : count(&n) { ++n; }
  noted(const noted&) = delete;
  noted& operator=(const noted&) = delete;
  ~noted() { --*count; }
  int* count;
};

task<int> set_and_give(bool& begun, int value) {
  begun = true;
  co_return value;
}
task<int> failing(const char* words) {
  throw std::runtime_error(words);
  co_return 0;
}
task<void> fail_after(asyncfs::steady_time::duration delay, const char* words) {
  co_await asyncfs::sleep_for(delay);
  throw std::runtime_error(words);
}
task<int> one() { co_return 1; }

// Sleeps until it is cancelled, and tells how it ended.
task<void> sleep_long(std::string& ended) {
  try {
    co_await asyncfs::sleep_for(1h);
    ended = "slept";
  } catch (const std::system_error& e) {
    ended = asyncfs::is_cancelled(e.code()) ? "cancelled" : "failed";
    throw;
  }
}

}  // namespace

TEST_CASE("a task does not start until awaited") {
  bool begun = false;
  run_here([](bool& b) -> task<void> {
    task<int> later = set_and_give(b, 7);
    CHECK_FALSE(b);
    const int value = co_await std::move(later);
    CHECK(b);
    CHECK(value == 7);
  }(begun));
}

TEST_CASE("a task that is never awaited never runs, and its frame is freed") {
  bool begun = false;
  {
    const task<int> unused = set_and_give(begun, 1);
  }
  CHECK_FALSE(begun);
}

TEST_CASE("an exception reaches the awaiting task as it was thrown") {
  CHECK_THROWS_WITH(run_here(failing("words")), "words");
  const bool caught = run_here([]() -> task<bool> {
    std::string words;
    try {
      const int value = co_await failing("inner");
      static_cast<void>(value);
    } catch (const std::runtime_error& e) {
      words = e.what();
    }
    co_return words == "inner";
  }());
  CHECK(caught);
}

TEST_CASE("a task gives back what can only be moved") {
  const auto made = run_here([]() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(3); }());
  CHECK(*made == 3);
}

TEST_CASE("what a frame holds is freed when its task is") {
  int alive = 0;
  run_here([](int& count) -> task<void> {
    {
      task<void> child = [](int& c) -> task<void> {
        const noted in_frame(c);
        co_await asyncfs::sleep_for(1us);
        CHECK(c == 1);
      }(count);
      co_await std::move(child);
    }
    CHECK(count == 0);
  }(alive));
  CHECK(alive == 0);
}

TEST_CASE("a million synchronous awaits do not grow the stack") {
  const std::size_t total = run_here([]() -> task<std::size_t> {
    std::size_t sum = 0;
    for (int i = 0; i < 1'000'000; ++i) {
      const int value = co_await one();
      sum += static_cast<std::size_t>(value);
    }
    co_return sum;
  }());
  CHECK(total == 1'000'000);
}

TEST_CASE("a task moved onto another frees what that one held") {
  bool first = false, second = false;
  task<int> work = set_and_give(first, 1);
  work = set_and_give(second, 2);
  CHECK(run_here(std::move(work)) == 2);
  CHECK_FALSE(first);
}

TEST_CASE("when_all gives all values in the order of its arguments") {
  const auto all = run_here([]() -> task<std::tuple<int, std::monostate, std::string>> {
    auto slow = []() -> task<int> {
      co_await asyncfs::sleep_for(2ms);
      co_return 1;
    };
    auto nothing = []() -> task<void> { co_return; };
    auto text = []() -> task<std::string> { co_return "three"; };
    co_return co_await asyncfs::when_all(slow(), nothing(), text());
  }());
  CHECK(std::get<0>(all) == 1);
  CHECK(std::get<2>(all) == "three");
}

TEST_CASE("when_all over a vector keeps its order, also when it is empty") {
  const auto values = run_here([]() -> task<std::vector<int>> {
    std::vector<task<int>> tasks;
    for (int i = 0; i < 5; ++i)
      tasks.push_back([](int n) -> task<int> {
        co_await asyncfs::sleep_for((5 - n) * 1ms);
        co_return n;
      }(i));
    co_return co_await asyncfs::when_all(std::move(tasks));
  }());
  CHECK(values == std::vector{0, 1, 2, 3, 4});
  CHECK(run_here(asyncfs::when_all(std::vector<task<int>>())).empty());
}

TEST_CASE("the first failure in when_all cancels the siblings, all end, and it is what is thrown") {
  std::string first, second;
  CHECK_THROWS_WITH(run_here(asyncfs::when_all(sleep_long(first), fail_after(1ms, "the first"), sleep_long(second))),
                    Catch::Contains("the first"));
  CHECK(first == "cancelled");
  CHECK(second == "cancelled");
}

TEST_CASE("when_all throws the first failure in time, not in order") {
  CHECK_THROWS_WITH(run_here(asyncfs::when_all(fail_after(20ms, "late"), fail_after(1ms, "early"))), "early");
}

TEST_CASE("a task that fails before it first waits still cancels its siblings") {
  std::string later;
  CHECK_THROWS_WITH(run_here([](std::string& ended) -> task<void> {
                      auto at_once = []() -> task<void> {
                        throw std::runtime_error("at once");
                        co_return;
                      };
                      co_await asyncfs::when_all(at_once(), sleep_long(ended));
                    }(later)),
                    "at once");
  CHECK(later == "cancelled");
}

TEST_CASE("for_each_concurrent handles every item and never more at once than its limit") {
  struct seen {
    int running = 0, most = 0, handled = 0;
  } counted;
  run_here([](seen& s) -> task<void> {
    auto handle = [&s](int) -> task<void> {  // outlives the await: it is a local here
      return [](seen& state) -> task<void> {
        state.most = std::max(state.most, ++state.running);
        co_await asyncfs::sleep_for(100us);
        --state.running;
        ++state.handled;
      }(s);
    };
    co_await asyncfs::for_each_concurrent(std::views::iota(0, 40), 7, handle);
  }(counted));
  CHECK(counted.most == 7);
  CHECK(counted.handled == 40);
  CHECK(counted.running == 0);
}

TEST_CASE("for_each_concurrent begins nothing new after a failure, and throws it") {
  int begun = 0;
  CHECK_THROWS_WITH(run_here([](int& count) -> task<void> {
                      auto handle = [&count](int item) {
                        return [](int& c, int i) -> task<void> {
                          ++c;
                          co_await asyncfs::sleep_for(100us);
                          if (i == 3) throw std::runtime_error("item 3");
                        }(count, item);
                      };
                      co_await asyncfs::for_each_concurrent(std::views::iota(0, 1000), 2, handle);
                    }(begun)),
                    "item 3");
  CHECK(begun < 10);
  CHECK(begun >= 4);
}

TEST_CASE("for_each_concurrent takes an empty range, any limit, and items that can be read only once") {
  int handled = 0;
  run_here([](int& count) -> task<void> {
    auto handle = [&count](int) {
      return [](int& c) -> task<void> {
        ++c;
        co_return;
      }(count);
    };
    std::vector<int> none, three{1, 2, 3};
    co_await asyncfs::for_each_concurrent(none, 4, handle);
    CHECK(count == 0);
    co_await asyncfs::for_each_concurrent(three, 0, handle);
    CHECK(count == 3);
    co_await asyncfs::for_each_concurrent(three, static_cast<std::size_t>(-1), handle);
    CHECK(count == 6);
  }(handled));
  std::vector<std::string> words;
  run_here([](std::vector<std::string>& out) -> task<void> {
    std::istringstream source("alpha beta gamma delta");
    auto handle = [&out](std::string&& word) {
      return [](std::vector<std::string>& o, std::string w) -> task<void> {
        co_await asyncfs::sleep_for(100us);
        o.push_back(w);
      }(out, std::move(word));
    };
    co_await asyncfs::for_each_concurrent(std::views::istream<std::string>(source), 3, handle);
  }(words));
  std::ranges::sort(words);
  CHECK(words == std::vector<std::string>{"alpha", "beta", "delta", "gamma"});
}

TEST_CASE("items that wait see their own value, however far the range has gone on") {
  std::vector<int> seen;
  run_here([](std::vector<int>& out) -> task<void> {
    auto handle = [&out](int item) {
      return [](std::vector<int>& o, int i) -> task<void> {
        co_await asyncfs::sleep_for((10 - i) * 200us);
        o.push_back(i);
      }(out, item);
    };
    co_await asyncfs::for_each_concurrent(std::views::iota(0, 10), 10, handle);
  }(seen));
  std::ranges::sort(seen);
  CHECK(seen == std::vector{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
}

TEST_CASE("run_on gives every thread a loop of its own, and throws the first failure after all have ended") {
  std::atomic<int> ended{0};
  asyncfs::run_on(
      4,
      [&](std::size_t) {
        return [](std::atomic<int>& e) -> task<void> {
          co_await asyncfs::sleep_for(1ms);
          ++e;
        }(ended);
      },
      plain_threads());
  CHECK(ended == 4);
  CHECK_THROWS_WITH(asyncfs::run_on(
                        3,
                        [&](std::size_t i) {
                          return [](std::atomic<int>& e, std::size_t n) -> task<void> {
                            co_await asyncfs::sleep_for(1ms);
                            ++e;
                            if (n == 1) throw std::runtime_error("thread 1");
                          }(ended, i);
                        },
                        plain_threads()),
                    "thread 1");
  CHECK(ended == 7);
  asyncfs::run_on(0, [](std::size_t) -> task<void> { co_return; }, plain_threads());
}

TEST_CASE("a task knows the loop it runs on") {
  asyncfs::loop home(plain_threads());
  asyncfs::run(home, [](asyncfs::loop& expected) -> task<void> {
    const asyncfs::task_context at = co_await asyncfs::this_task;
    CHECK(&at.home == &expected);
    CHECK(asyncfs::loop::current() == &expected);
  }(home));
  CHECK(asyncfs::loop::current() == nullptr);
}
