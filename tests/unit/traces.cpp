// What observers of a loop are told, and traces, which are written by one.
#include <clocale>
#include <fstream>
#include <sstream>

#include "../catch.hpp"
#include "../support/engines.hpp"
#include "../support/still_clock.hpp"

using asyncfs::task;
using namespace std::chrono_literals;

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
  CHECK(count("traces.cpp:") >= 11);
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
