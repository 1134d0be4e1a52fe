// What a loop tells about itself: metrics, the stall reporter, observers, traces.
#include <sys/resource.h>

#include <clocale>
#include <fstream>
#include <latch>
#include <list>
#include <ranges>
#include <sstream>
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

namespace {

struct recorder final : asyncfs::loop_observer {
  std::vector<std::string> started_names;
  std::vector<std::uint64_t> open;
  std::size_t completed_count = 0, ran_count = 0, entered_count = 0, unknown = 0;

  void started(const operation& what, time_point) noexcept override {
    started_names.emplace_back(what.name);
    open.push_back(what.id);
    unknown += what.site.line() == 0;
  }
  void completed(const outcome& what, time_point) noexcept override {
    ++completed_count;
    if (what.last && std::erase(open, what.id) != 1) ++unknown;
  }
  void ran(const std::source_location&, time_point begin, time_point end) noexcept override {
    ++ran_count;
    unknown += end < begin;
  }
  void entered(std::size_t, time_point, time_point) noexcept override { ++entered_count; }
};

}  // namespace

TEST_CASE("an observer is not told of the end of what never began") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    const asyncfs::task_context at = co_await asyncfs::this_task;
    recorder seen;
    at.home.observe(&seen);
    asyncfs::cancel_scope over(&at.scope);
    over.cancel();
    const auto tries = []() -> task<void> {
      CHECK(asyncfs::is_cancelled(co_await tests::code_of(asyncfs::sleep_for(1ms))));
      CHECK(asyncfs::is_cancelled(co_await tests::code_of(asyncfs::nop())));
    };
    co_await tries().in(over);
    at.home.observe(nullptr);
    CHECK(seen.started_names.empty());
    CHECK(seen.completed_count == 0);
  }());
}

TEST_CASE("an observer sees every operation begin and end once, on every engine") {
  tests::on_every_engine([](tests::place& at) -> task<void> {
    recorder seen;
    at.home.observe(&seen);
    co_await asyncfs::write_file(at.dir, "f", "text");
    const std::string text = co_await asyncfs::read_file(at.dir, "f");
    CHECK(text == "text");
    co_await asyncfs::sleep_for(1ms);
    asyncfs::event happened;
    asyncfs::scope all(co_await asyncfs::this_task);
    const auto waits = [](asyncfs::event& e) -> task<void> { co_await e.wait(); };
    all.spawn(waits(happened));
    co_await asyncfs::yield();
    happened.set();
    co_await all.join();
    const std::error_code late = co_await tests::code_of(asyncfs::with_timeout(asyncfs::sleep_for(1h), 1ms));
    CHECK(late == std::errc::timed_out);
    at.home.observe(nullptr);
    co_await asyncfs::nop();
    CHECK(seen.open.empty());
    CHECK(seen.unknown <= 2);  // the deadline's own timer has no line of its own
    CHECK(seen.ran_count > 0);
    CHECK(seen.entered_count > 0);
    for (const char* name : {"create", "write", "timeout", "event.wait"}) {
      INFO(name);
      CHECK(std::ranges::count(seen.started_names, name) >= 1);
    }
  });
}

TEST_CASE("a trace is a JSON file with a beginning and an end for every operation") {
  const tests::temporary_directory temporary;
  const std::string path = temporary.path() + "/trace.json";
  {
    asyncfs::trace_writer trace(path);
    asyncfs::loop_options options;
    options.observer = trace.observer();
    asyncfs::run(
        []() -> task<void> {
          for (int i = 0; i < 10; ++i) co_await asyncfs::nop();
          co_await asyncfs::sleep_for(1ms);
        }(),
        options);
    trace.finish();
  }
  std::stringstream all;
  all << std::ifstream(path).rdbuf();
  const std::string text = all.str();
  const auto count = [&text](std::string_view what) {
    std::size_t found = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
    return found;
  };
  CHECK(text.starts_with("{"));
  CHECK(text.ends_with("]}\n"));
  CHECK(count("\"ph\":\"b\"") == 11);
  CHECK(count("\"ph\":\"e\"") == 11);
  CHECK(count("\"name\":\"nop\"") == 20);
  CHECK(count("insight.cpp:") >= 11);
  CHECK(count("{") == count("}"));
}

namespace {

// What a trace holds of a loop that did this and that.
std::string traced(const std::string& path) {
  asyncfs::trace_writer trace(path);
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::threads;
  options.observer = trace.observer();
  asyncfs::run(
      []() -> task<void> {
        for (int i = 0; i < 10; ++i) co_await asyncfs::nop();
        co_await asyncfs::sleep_for(1ms);
      }(),
      options);
  trace.finish();
  std::stringstream all;
  all << std::ifstream(path).rdbuf();
  return all.str();
}

// A locale with a decimal comma, made for it or, failing that, installed. Numbers are told by it until the end.
class comma_locale {
 public:
  comma_locale() {
    if (compile()) {
      ::setenv("LOCPATH", place_.path().c_str(), 1);
      found_ = use("comma");
      ::unsetenv("LOCPATH");
    }
    for (const char* installed : {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "fr_FR"}) found_ = found_ || use(installed);
  }
  comma_locale(const comma_locale&) = delete;
  comma_locale& operator=(const comma_locale&) = delete;
  ~comma_locale() { std::setlocale(LC_NUMERIC, "C"); }
  [[nodiscard]] explicit operator bool() const noexcept { return found_; }

 private:
  [[nodiscard]] bool compile() const {
    const std::string source = place_.path() + "/source";
    std::ofstream(source) << "comment_char %\nescape_char /\n"
                             "LC_NUMERIC\ndecimal_point \",\"\nthousands_sep \".\"\ngrouping 3;3\nEND LC_NUMERIC\n"
                             "LC_CTYPE\ncopy \"POSIX\"\nEND LC_CTYPE\n";
    const std::string compiler = "localedef -c -f ANSI_X3.4-1968 -i '" + source + "' '" + place_.path() + "/comma'";
    return std::system((compiler + " >/dev/null 2>&1").c_str()) != -1;  // it warns of what is left out
  }
  static bool use(const char* name) {
    return std::setlocale(LC_NUMERIC, name) != nullptr && *std::localeconv()->decimal_point == ',';
  }
  const tests::temporary_directory place_;
  bool found_ = false;
};

}  // namespace

TEST_CASE("numbers in a trace have a decimal point in every locale") {
  const tests::temporary_directory temporary;
  const comma_locale numbers;
  if (!numbers) return tests::leave_out("traces in a locale with a decimal comma: none is installed");
  char by_printf[16];
  std::snprintf(by_printf, sizeof by_printf, "%.1f", 1.5);
  REQUIRE(std::string(by_printf) == "1,5");
  const std::string text = traced(temporary.path() + "/trace.json");
  std::size_t times = 0;
  for (std::size_t at = text.find("\"ts\":"); at != std::string::npos; at = text.find("\"ts\":", at + 1)) {
    const std::size_t end = text.find_first_of(",}", at);
    CHECK(text.substr(at, end - at).find('.') != std::string::npos);
    ++times;
  }
  CHECK(times > 20);
}

TEST_CASE("a loop may outlive the trace it is written into") {
  const tests::temporary_directory temporary;
  const std::string path = temporary.path() + "/trace.json";
  auto trace = std::make_unique<asyncfs::trace_writer>(path);
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::threads;
  options.observer = trace->observer();
  {
    asyncfs::loop home(options);
    asyncfs::run(home, []() -> task<void> { co_await asyncfs::nop(); }());
    trace->finish();
    asyncfs::run(home, []() -> task<void> { co_await asyncfs::nop(); }());
    trace.reset();
    asyncfs::run(home, []() -> task<void> { co_await asyncfs::nop(); }());
  }
  asyncfs::run([]() -> task<void> { co_await asyncfs::nop(); }(), options);
  std::stringstream all;
  all << std::ifstream(path).rdbuf();
  CHECK(all.str().ends_with("]}\n"));
}

TEST_CASE("names in a trace are escaped") {
  const tests::temporary_directory temporary;
  const std::string path = temporary.path() + "/trace.json";
  {
    asyncfs::trace_writer trace(path);
    const auto observer = trace.observer()();
    observer->started({.id = 1, .code = asyncfs::opcode::nop, .name = "a \"b\" \\ \n\x01", .fd = -1}, {});
    observer->completed({.id = 1, .value = 0, .last = true}, {});
  }
  std::stringstream all;
  all << std::ifstream(path).rdbuf();
  const std::string wanted = R"("name":"a \"b\" \\ \u000a\u0001")";
  const std::size_t begin = all.str().find(wanted);
  REQUIRE(begin != std::string::npos);
  CHECK(all.str().find(wanted, begin + 1) != std::string::npos);
}

TEST_CASE("a trace replaces an older trace and an empty file, and nothing else") {
  const tests::temporary_directory temporary;
  const std::string path = temporary.path() + "/file";
  const auto holds = [&path] {
    std::stringstream all;
    all << std::ifstream(path).rdbuf();
    return all.str();
  };
  for (const char* other : {"precious", "{\"traceEvents\":[]}", "{"}) {
    std::ofstream(path) << other;
    std::error_code error;
    std::string words;
    try {
      asyncfs::trace_writer trace(path);
    } catch (const std::system_error& e) {
      error = e.code();
      words = e.what();
    }
    CHECK(error == std::errc::file_exists);
    CHECK(words.find(path) != std::string::npos);
    CHECK(holds() == other);
  }
  std::ofstream(path).close();
  const std::string first = traced(path);
  CHECK(first.ends_with("]}\n"));
  {
    asyncfs::trace_writer second(path);
  }
  CHECK(holds().size() < first.size());
  CHECK(holds().ends_with("]}\n"));
}

TEST_CASE("a trace that cannot be created or written says so and names the file") {
  try {
    asyncfs::trace_writer trace("/nonexistent/trace.json");
    FAIL("no exception");
  } catch (const std::system_error& e) {
    CHECK(e.code() == std::errc::no_such_file_or_directory);
    CHECK(std::string(e.what()).find("/nonexistent/trace.json") != std::string::npos);
  }
  asyncfs::trace_writer full("/dev/full");
  CHECK_THROWS_AS(full.finish(), std::system_error);
}
