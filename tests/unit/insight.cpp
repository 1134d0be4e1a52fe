// What a loop tells about itself: metrics, and the stall reporter.
#include <sys/resource.h>

#include <latch>
#include <list>
#include <ranges>
#include <thread>

#include "../catch.hpp"
#include "../support/engines.hpp"
#include "../support/still_clock.hpp"

using asyncfs::task;
using namespace std::chrono_literals;

namespace {

// Uses the processor for that long.
void compute_for(std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
  }
}

struct watched_stalls {
  std::mutex mutex;
  std::vector<asyncfs::stall> seen;
  asyncfs::stall_reporter::handler handler() {
    return [this](const asyncfs::stall& one) {
      const std::lock_guard lock(mutex);
      seen.push_back(one);
    };
  }
};

}  // namespace

TEST_CASE("a histogram's percentiles are upper bounds that are at most a quarter too high") {
  asyncfs::duration_histogram all;
  CHECK(all.percentile(50) == 0ns);
  for (std::uint64_t i = 1; i <= 100'000; ++i) all.add(i);
  for (const double percent : {0.001, 1.0, 10.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
    const auto exact = static_cast<std::int64_t>(percent * 1000);
    const auto said = all.percentile(percent).count();
    INFO(percent << " % of 1..100000: " << said);
    CHECK(said >= exact);
    CHECK(said <= exact + exact / 4 + 1);
  }
  CHECK(all.max() == 100'000ns);
  CHECK(all.count() == 100'000);
  asyncfs::duration_histogram extreme;
  extreme.add(0);
  extreme.add(~std::uint64_t{0});
  CHECK(extreme.count() == 2);
}

TEST_CASE("a loop counts its turns, callbacks, operations and what waits") {
  tests::still_clock f;
  f.engine->idle = [&] {
    while (!f.engine->taken.empty()) f.engine->complete_first(0);
  };
  f.run([]() -> task<void> {
    const asyncfs::task_context at = co_await asyncfs::this_task;
    for (int i = 0; i < 10; ++i) co_await asyncfs::nop();
    asyncfs::event never;
    asyncfs::scope all(at);
    const auto waits = [](asyncfs::event& e) -> task<void> { co_await e.wait(); };
    const auto sleeps = []() -> task<void> { co_await asyncfs::sleep_for(1h); };
    all.spawn(waits(never));
    all.spawn(sleeps());
    all.spawn(sleeps());
    co_await asyncfs::yield();
    const asyncfs::loop_metrics m = at.home.metrics();
    CHECK(m.completions == 10);
    CHECK(m.callbacks >= 10);
    CHECK(m.turns >= 10);
    CHECK(m.lag.count() >= 10);
    CHECK(m.waiting == 1);
    CHECK(m.timers == 2);
    CHECK(m.in_flight == 0);
    CHECK(m.lifetime >= m.busy);
    all.cancel();
    co_await all.join();
  }());
}

TEST_CASE("the longest callback is known with its operation and its line") {
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::threads;
  asyncfs::loop home(options);
  unsigned line = 0;
  asyncfs::run(home, [](unsigned& at) -> task<void> {
    at = std::source_location::current().line() + 1;
    co_await asyncfs::nop();
    compute_for(20ms);
    co_await asyncfs::nop();
  }(line));
  const asyncfs::loop_metrics m = home.metrics();
  CHECK(m.longest.duration >= 15ms);
  CHECK(m.longest.site.line() == line);
  CHECK(m.longest.operation == "nop");
  CHECK(m.longest.callbacks == 1);
  CHECK(m.lag.max() >= 15ms);
  CHECK(m.busy >= 15ms);
}

TEST_CASE("the line is that of the await that went on last, through the end of inner tasks") {
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::threads;
  asyncfs::loop home(options);
  unsigned line = 0;
  asyncfs::run(home, [](unsigned& at) -> task<void> {
    const auto inner = []() -> task<void> { co_await asyncfs::nop(); };
    at = std::source_location::current().line() + 1;
    co_await inner();
    compute_for(20ms);
  }(line));
  CHECK(home.metrics().longest.site.line() == line);
}

TEST_CASE("what a thread does between two runs of its loop is neither the loop's time nor the kernel's") {
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::threads;
  asyncfs::loop home(options);
  const auto once = []() -> task<void> { co_await asyncfs::nop(); };
  asyncfs::run(home, once());
  const asyncfs::loop_metrics before = home.metrics();
  compute_for(200ms);
  const asyncfs::loop_metrics between = home.metrics();
  CHECK(between.busy - before.busy < 100ms);
  CHECK(between.kernel - before.kernel < 100ms);
  CHECK(between.idle - before.idle > 100ms);
  asyncfs::run(home, once());
  const asyncfs::loop_metrics after = home.metrics();
  CHECK(after.kernel - before.kernel < 100ms);
}

TEST_CASE("without metrics a loop counts and measures nothing") {
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::threads;
  options.metrics = false;
  asyncfs::loop home(options);
  asyncfs::run(home, []() -> task<void> { co_await asyncfs::nop(); }());
  const asyncfs::loop_metrics m = home.metrics();
  CHECK(m.callbacks > 0);
  CHECK(m.lifetime == 0ns);
  CHECK(m.lag.count() == 0);
}

TEST_CASE("the stall reporter names the line that computed, and tells it from one that waited") {
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::threads;
  asyncfs::loop home(options);
  watched_stalls stalls;
  unsigned computed = 0, waited = 0;
  {
    const asyncfs::stall_reporter watch(home, 20ms, stalls.handler());
    asyncfs::run(home, [](unsigned& one, unsigned& two) -> task<void> {
      one = std::source_location::current().line() + 1;
      co_await asyncfs::nop();
      compute_for(100ms);
      two = std::source_location::current().line() + 1;
      co_await asyncfs::sleep_for(100ms);  // asleep is not blocked
      std::this_thread::sleep_for(100ms);
      co_await asyncfs::nop();
    }(computed, waited));
  }
  REQUIRE(stalls.seen.size() == 2);
  CHECK(stalls.seen[0].doing == asyncfs::stall::kind::computing);
  CHECK(stalls.seen[0].site.line() == computed);
  CHECK(stalls.seen[0].operation == "nop");
  CHECK(stalls.seen[0].duration >= 20ms);
  CHECK(stalls.seen[1].doing == asyncfs::stall::kind::waiting);
  CHECK(stalls.seen[1].site.line() == waited);
  const std::string words = asyncfs::describe(stalls.seen[0]);
  CHECK(words.find("computing") != std::string::npos);
  CHECK(words.find("insight.cpp:" + std::to_string(computed)) != std::string::npos);
}

TEST_CASE("computing is told as computing on a machine that has little time for it") {
  std::atomic<bool> enough = false;
  watched_stalls stalls;
  unsigned line = 0;
  {
    std::list<std::jthread> others;
    const auto spin = [&enough] {
      while (!enough) {
      }
    };
    for (unsigned i = 0; i < 2 * std::max(1u, std::thread::hardware_concurrency()); ++i) others.emplace_back(spin);
    std::jthread([&] {
      asyncfs::loop_options options;
      options.engine.kind = asyncfs::engine_kind::threads;
      asyncfs::loop home(options);
      const asyncfs::stall_reporter watch(home, 20ms, stalls.handler());
      asyncfs::run(home, [](unsigned& at) -> task<void> {
        at = std::source_location::current().line() + 1;
        co_await asyncfs::nop();
        ::setpriority(PRIO_PROCESS, 0, 10);  // of this thread
        compute_for(200ms);
      }(line));
    }).join();
    enough = true;
  }
  std::size_t computed = 0, waited = 0;
  for (const asyncfs::stall& one : stalls.seen)
    if (one.site.line() == line) ++(one.doing == asyncfs::stall::kind::computing ? computed : waited);
  CHECK(computed >= 1);
  CHECK(waited == 0);
}

namespace {

// The line that a report about the code that runs now would name: of this file, or 0 and a note of which it is instead.
unsigned line_told() {
  const std::source_location site = asyncfs::loop::current()->pulse().site.load();
  if (std::string_view(site.file_name()).ends_with("insight.cpp")) return site.line();
  UNSCOPED_INFO("told: " << site.file_name() << ":" << site.line());
  return 0;
}
constexpr unsigned here(const std::source_location& at = std::source_location::current()) { return at.line(); }

}  // namespace

TEST_CASE("the code that runs is told by a line of the user's, by whatever way it came to run") {
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::threads;
  asyncfs::loop home(options);
  unsigned told = 0;
  const auto note = [&told] { told = line_told(); };

  // What a task does before its first await.
  const auto notes = [](unsigned& at) -> task<void> {
    at = line_told();
    co_return;
  };
  unsigned line = here() + 1;
  asyncfs::run(home, notes(told));
  CHECK(told == line);

  asyncfs::run(home, [](asyncfs::loop& l, unsigned& at, auto noted, auto notes_first) -> task<void> {
    unsigned wanted = here() + 1;
    co_await asyncfs::spawn(l, notes_first(at));
    CHECK(at == wanted);

    wanted = here() + 1;
    co_await asyncfs::spawn(l, asyncfs::nop()).then(noted);
    CHECK(at == wanted);
    wanted = here() + 1;
    co_await asyncfs::spawn(l, asyncfs::nop()).then([&at, notes_first] { return notes_first(at); });
    CHECK(at == wanted);
    wanted = here() + 1;
    co_await asyncfs::spawn(l, asyncfs::nop()).finally(noted);
    CHECK(at == wanted);
    const auto fails = []() -> task<void> {
      co_await asyncfs::nop();
      throw std::runtime_error("no");
    };
    wanted = here() + 1;
    co_await asyncfs::spawn(l, fails()).on_error([noted](const std::exception_ptr&) { noted(); });
    CHECK(at == wanted);

    asyncfs::event called;
    wanted = here() + 1;
    asyncfs::start(l, asyncfs::nop(), [&called, noted](auto) {
      noted();
      called.set();
    });
    co_await called.wait();
    CHECK((at >= wanted && at <= wanted + 3));  // compilers differ in which line of a call is its
    asyncfs::event posted;
    wanted = here() + 1;
    l.post([&posted, noted] {
      noted();
      posted.set();
    });
    co_await posted.wait();
    CHECK((at >= wanted && at <= wanted + 3));
  }(home, told, note, notes));

  asyncfs::run(home, [](asyncfs::loop& l, unsigned& at, auto noted, auto notes_first) -> task<void> {
    // After waits for other tasks.
    const asyncfs::task_context context = co_await asyncfs::this_task;
    asyncfs::scope all(context);
    asyncfs::channel<int> numbers(0);
    const auto sends = [](asyncfs::channel<int>& c) -> task<void> {
      for (int i = 0; i < 3; ++i) co_await c.send(i);
    };
    all.spawn(sends(numbers));
    unsigned wanted = here() + 1;
    static_cast<void>(co_await numbers.receive());
    noted();
    CHECK(at == wanted);
    wanted = here() + 1;
    static_cast<void>(co_await asyncfs::with_timeout(numbers.receive(), 1h));
    noted();
    CHECK(at == wanted);
    wanted = here() + 1;
    static_cast<void>(co_await asyncfs::when_all(numbers.receive(), asyncfs::nop()));
    noted();
    CHECK(at == wanted);
    const auto takes_turns = []() -> task<void> { co_await asyncfs::yield(); };
    all.spawn(takes_turns());
    wanted = here() + 1;
    co_await all.join();
    noted();
    CHECK(at == wanted);
    asyncfs::semaphore one(1);
    auto held = co_await one.acquire();
    const auto releases = [](asyncfs::semaphore::permit& permit) -> task<void> {
      permit.release();
      co_return;
    };
    all.spawn(releases(held));
    wanted = here() + 1;
    static_cast<void>(co_await one.acquire());
    noted();
    CHECK(at == wanted);

    // What is begun for it.
    wanted = here() + 1;
    all.spawn(notes_first(at));
    co_await all.join();
    CHECK(at == wanted);
    const auto after_one = [](unsigned& told_at) -> task<void> {
      co_await asyncfs::nop();
      told_at = line_told();
    };
    unsigned other = 0;
    static_cast<void>(other);
    co_await asyncfs::when_all(after_one(at), after_one(other));
    CHECK(at != 0);
    CHECK(other != 0);

    // Items of for_each_concurrent, after those before them.
    const auto use = [&at, &notes_first, &l](int) {
      return [](asyncfs::loop&, unsigned& told_at, auto first) -> task<void> {
        co_await first(told_at);
        co_await asyncfs::nop();
      }(l, at, notes_first);
    };
    wanted = here() + 1;
    co_await asyncfs::for_each_concurrent(std::views::iota(0, 3), 1, use);
    CHECK(at == wanted);
    asyncfs::channel<int> more(3);
    for (int i = 0; i < 3; ++i) co_await more.send(i);
    more.close();
    wanted = here() + 1;
    co_await asyncfs::for_each_concurrent(more, 1, use);
    CHECK(at == wanted);
  }(home, told, note, notes));
}

TEST_CASE("a stall that does not end is said while it lasts") {
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::threads;
  asyncfs::loop home(options);
  std::latch said(1);
  bool lasting = false;
  std::once_flag once;
  const asyncfs::stall_reporter watch(home, 5ms, [&](const asyncfs::stall& one) {
    std::call_once(once, [&] {
      lasting = !one.over;
      said.count_down();
    });
  });
  asyncfs::run(home, [](std::latch& l) -> task<void> {
    co_await asyncfs::nop();
    l.wait();
  }(said));
  CHECK(lasting);
}

TEST_CASE("a loop that does not run is not blocked") {
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::threads;
  asyncfs::loop home(options);
  watched_stalls stalls;
  {
    const asyncfs::stall_reporter watch(home, 5ms, stalls.handler());
    asyncfs::run(home, []() -> task<void> { co_await asyncfs::nop(); }());
    compute_for(50ms);
  }
  CHECK(stalls.seen.empty());
}
