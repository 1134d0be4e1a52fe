// Each way of writing an await that GCC 12 is known to handle or to mishandle, pinned by code that is compiled and run.
// The forms that crash that compiler are not here: `if (co_await x)`, `switch (co_await x)` and
// `while ((co_await x) != 1)` in a coroutine without a local at its top; name the value first.
#include <asyncfs/asyncfs.hpp>
#include <asyncfs/nop.hpp>

#include "../catch.hpp"
#include "../support/engines.hpp"

using asyncfs::task;

namespace {

// Counts how many of it live: twice destroyed or never shows.
struct counted {
  static inline int alive = 0;
  explicit counted(int v = 0) : value(v) { ++alive; }
  counted(const counted& o) : value(o.value) { ++alive; }
  counted(counted&& o) noexcept : value(o.value) { ++alive; }
  counted& operator=(const counted&) = default;
  ~counted() { --alive; }
  int value;
};

task<int> number(int n) {
  co_await asyncfs::nop();
  co_return n;
}
task<counted> counted_one(counted c) {
  co_await asyncfs::nop();
  co_return c;
}

// An asynchronous sequence of three.
struct sequence {
  int left = 3;
  task<std::optional<counted>> next() {
    co_await asyncfs::nop();
    if (left == 0) co_return std::nullopt;
    co_return counted(left--);
  }
};

asyncfs::loop_options options() {
  asyncfs::loop_options o;
  o.engine.kind = asyncfs::engine_kind::threads;
  return o;
}

}  // namespace

TEST_CASE("form: while (auto item = co_await sequence.next())") {
  const int sum = asyncfs::run(
      []() -> task<int> {
        sequence l;
        int total = 0;
        while (auto c = co_await l.next()) total += c->value;
        co_return total;
      }(),
      options());
  CHECK(sum == 6);
  CHECK(counted::alive == 0);
}

TEST_CASE("form: co_await as_result(operation())") {
  const int error = asyncfs::run(
      []() -> task<int> {
        const auto r = co_await asyncfs::as_result(asyncfs::open("/nowhere/at/all"));
        co_return r ? 0 : r.error().value();
      }(),
      options());
  CHECK(error == ENOENT);
}

TEST_CASE("form: if (auto r = co_await as_result(...)) else") {
  const bool missing = asyncfs::run(
      []() -> task<bool> {
        bool refused = false;
        if (const auto r = co_await asyncfs::as_result(asyncfs::open("/nowhere/at/all")); !r) refused = true;
        co_return refused;
      }(),
      options());
  CHECK(missing);
}

TEST_CASE("form: a named value, then the condition") {
  const int turns = asyncfs::run(
      []() -> task<int> {
        int n = 0;
        for (;;) {
          const int value = co_await number(n);
          if (value == 3) break;
          ++n;
        }
        co_return n;
      }(),
      options());
  CHECK(turns == 3);
}

TEST_CASE("form: temporaries as arguments live through the await and are destroyed once") {
  const int value = asyncfs::run(
      []() -> task<int> {
        const counted back = co_await counted_one(counted(42));
        co_return back.value;
      }(),
      options());
  CHECK(value == 42);
  CHECK(counted::alive == 0);
}

TEST_CASE("form: an option struct built inside the awaited expression") {
  // Sound because copy_options is trivially destructible.
  STATIC_REQUIRE(std::is_trivially_destructible_v<asyncfs::copy_options>);
  const tests::temporary_directory temporary;
  const auto copied = asyncfs::run(
      [](std::string path) -> task<asyncfs::copy_outcome> {
        const asyncfs::directory dir = co_await asyncfs::here().open_directory(path.c_str());
        co_await asyncfs::write_file(dir, "a", "text");
        const asyncfs::file from = co_await dir.open("a");
        const asyncfs::file to = co_await dir.create("b", O_RDWR, 0600);
        co_return co_await asyncfs::copy_file(from, to, {.reflink = asyncfs::reflink::never});
      }(temporary.path()),
      options());
  CHECK(copied.bytes == 4);
}

TEST_CASE("form: awaiting inside try, with the handler after it") {
  const std::string words = asyncfs::run(
      []() -> task<std::string> {
        std::string what;
        try {
          const asyncfs::file f = co_await asyncfs::open("/nowhere/at/all");
        } catch (const std::system_error& e) {
          what = e.what();
        }
        co_await asyncfs::nop();
        co_return what;
      }(),
      options());
  CHECK_THAT(words, Catch::Contains("openat") && Catch::Contains("No such file"));
}

TEST_CASE("form: a lambda coroutine that takes its state as parameters, called in the awaited expression") {
  const int value = asyncfs::run(
      []() -> task<int> {
        counted state(5);
        const int doubled = co_await [](counted& s) -> task<int> {
          co_await asyncfs::nop();
          co_return s.value * 2;
        }(state);
        co_return doubled;
      }(),
      options());
  CHECK(value == 10);
  CHECK(counted::alive == 0);
}

TEST_CASE("form: co_return co_await of a task and of an operation") {
  CHECK(asyncfs::run([]() -> task<int> { co_return co_await number(9); }(), options()) == 9);
  const auto all = asyncfs::run(
      []() -> task<std::tuple<int, int>> {
        const auto both = co_await asyncfs::when_all(number(1), number(2));
        co_return both;
      }(),
      options());
  CHECK(std::get<1>(all) == 2);
}

TEST_CASE("form: two awaits in one expression") {
  CHECK(asyncfs::run(
            []() -> task<int> {
              const int sum = co_await number(1) + co_await number(2);
              co_return sum;
            }(),
            options()) == 3);
}

TEST_CASE("form: a named operation is moved into its await") {
  CHECK(asyncfs::run(
      []() -> task<bool> {
        auto op = asyncfs::here().status(".");
        const asyncfs::file_status s = co_await std::move(op);
        co_return s.is_directory();
      }(),
      options()));
}
