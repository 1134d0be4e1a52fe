// What cannot go well says so, where it would otherwise end in silence or in somebody else's memory.
#include <asyncfs/asyncfs.hpp>

#include "../catch.hpp"
#include "../support/death.hpp"

using asyncfs::task;
using namespace std::chrono_literals;

namespace {

task<void> wait_on(asyncfs::event& on) { co_await on.wait(); }

template <class Made>
void ends_with(Made make, const std::string& words) {
  const tests::last_words said = tests::in_a_child(make);
  INFO(said.message);
  CHECK(said.signal == SIGABRT);
  CHECK(said.message.find(words) != std::string::npos);
}

task<void> receive_from(asyncfs::channel<int>& from) { co_await from.receive(); }
task<void> acquire_from(asyncfs::semaphore& from) { co_await from.acquire(); }
task<void> nothing() { co_return; }

}  // namespace

TEST_CASE("an event, a channel or a semaphore that is destroyed while somebody waits for it ends the program") {
  const auto destroyed = [](auto make, auto wait) {
    return [make, wait] {
      asyncfs::loop home;
      asyncfs::run(home, [](auto made, auto waiting) -> task<void> {
        asyncfs::scope waiters(co_await asyncfs::this_task);
        auto what = made();
        waiters.spawn(waiting(*what));
        co_await asyncfs::yield();
        co_await asyncfs::yield();
        what.reset();
        co_await waiters.join();
      }(make, wait));
    };
  };
  ends_with(destroyed([] { return std::make_unique<asyncfs::event>(); }, wait_on), "an event was destroyed while");
  ends_with(destroyed([] { return std::make_unique<asyncfs::channel<int>>(1); }, receive_from),
            "a channel was destroyed while");
  ends_with(destroyed([] { return std::make_unique<asyncfs::semaphore>(0); }, acquire_from),
            "a semaphore was destroyed while");
}

TEST_CASE("a task that is empty or was awaited before is named by the line that awaits it") {
  ends_with(
      [] {
        asyncfs::run([]() -> task<void> {
          task<void> empty;
          co_await std::move(empty);
        }());
      },
      "misuse.cpp:");
  ends_with(
      [] {
        asyncfs::run([]() -> task<void> {
          task<void> once = nothing();
          co_await std::move(once);
          co_await std::move(once);
        }());
      },
      "has ended before");
  ends_with([] { asyncfs::run(task<void>()); }, "is empty");
}

TEST_CASE("a future that is empty, or whose outcome was taken, throws") {
  asyncfs::future<int> empty;
  CHECK_FALSE(empty.ready());
  CHECK_THROWS_AS(empty.get(), std::logic_error);
  CHECK_THROWS_AS(std::move(empty).then([](int n) { return n; }), std::logic_error);
  const auto await_it = [](asyncfs::future<int>& what) -> task<void> {
    CHECK_THROWS_AS(static_cast<void>(std::move(what).operator co_await()), std::logic_error);
    co_return;
  };
  asyncfs::run(await_it(empty));
  asyncfs::loop home;
  auto done = asyncfs::spawn(home, []() -> task<int> { co_return 7; }());
  asyncfs::run(home, nothing());
  CHECK(done.get() == 7);
  CHECK_THROWS_AS(done.get(), std::logic_error);
}

TEST_CASE("a loop cannot be run from inside itself, and what else is in it goes on") {
  asyncfs::loop home;
  bool slept = false;
  const auto sleep = [](bool& done) -> task<void> {
    co_await asyncfs::sleep_for(5ms);
    done = true;
  };
  const auto run_inside = [](asyncfs::loop& in) -> task<void> {
    CHECK_THROWS_AS(asyncfs::run(in, nothing()), std::logic_error);
    co_return;
  };
  const auto both = [](task<void> a, task<void> b) -> task<void> {
    co_await asyncfs::when_all(std::move(a), std::move(b));
  };
  asyncfs::run(home, both(sleep(slept), run_inside(home)));
  CHECK(slept);
}

TEST_CASE("a scope that one task waits for refuses another") {
  asyncfs::event go;
  const auto first = [](asyncfs::scope& of) -> task<void> { co_await of.join(); };
  const auto second = [](asyncfs::scope& of, asyncfs::event& let) -> task<void> {
    co_await asyncfs::yield();
    bool refused = false;
    try {
      co_await of.join();
    } catch (const std::logic_error&) {
      refused = true;
    }
    CHECK(refused);
    let.set();
  };
  const auto whole = [&](asyncfs::event& on) -> task<void> {
    asyncfs::scope inner(co_await asyncfs::this_task);
    inner.spawn(wait_on(on));
    co_await asyncfs::when_all(first(inner), second(inner, on));
  };
  auto work = whole(go);
  asyncfs::run(std::move(work));
}

TEST_CASE("a range that is made for for_each_concurrent lives as long as that") {
  std::vector<std::string> seen;
  const auto visit = [&seen](const std::string& one) -> task<void> {
    co_await asyncfs::yield();
    seen.push_back(one);
  };
  const auto whole = [&]() -> task<void> {
    asyncfs::scope inner(co_await asyncfs::this_task);
    inner.spawn(asyncfs::for_each_concurrent(
        std::vector<std::string>{"a string that does not fit inside its object", "b"}, 1, visit));
    co_await inner.join();
  };
  auto work = whole();
  asyncfs::run(std::move(work));
  CHECK(seen == std::vector<std::string>{"a string that does not fit inside its object", "b"});
}

TEST_CASE("durations that the clock cannot count are as long as it can") {
  using asyncfs::detail::saturated;
  using duration = asyncfs::steady_time::duration;
  CHECK(saturated(std::chrono::hours(24 * 365 * 300L)) == duration::max());
  CHECK(saturated(std::chrono::hours::max()) == duration::max());
  CHECK(saturated(std::chrono::hours::min()) == duration::min());
  CHECK(saturated(std::chrono::duration<double>(0.25)) == 250ms);
  CHECK(saturated(duration::max()) == duration::max());
  CHECK(saturated(-5ms) == -5ms);
  bool slept = false;
  const auto sleep_far = [](bool& over) -> task<void> {
    co_await asyncfs::sleep_for(std::chrono::hours(24 * 365 * 300L));
    over = true;
  };
  const auto whole = [&]() -> task<void> {
    co_await asyncfs::race(asyncfs::as_task(asyncfs::sleep_for(1ms)), sleep_far(slept));
  };
  auto work = whole();
  asyncfs::run(std::move(work));
  CHECK_FALSE(slept);
}
