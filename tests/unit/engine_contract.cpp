// What the loop and the operations do with anything an engine may answer, on an engine that the test drives.
#include <asyncfs/asyncfs.hpp>
#include <asyncfs/nop.hpp>

#include <stdexcept>

#include "../catch.hpp"
#include "../support/death.hpp"
#include "../support/fake_engine.hpp"

using asyncfs::completion;
using asyncfs::opcode;
using asyncfs::request;
using asyncfs::task;

namespace {

struct fixture {
  explicit fixture(asyncfs::loop_options options = {}, std::size_t slots = 64)
      : engine(new tests::fake_engine(slots)), home(std::unique_ptr<asyncfs::engine>(engine), options) {}
  tests::fake_engine* engine;
  asyncfs::loop home;
};

asyncfs::loop_options limited(unsigned in_flight) {
  asyncfs::loop_options options;
  options.in_flight_limit = in_flight;
  return options;
}

auto read_some() { return asyncfs::detail::plain<opcode::read, std::size_t>({.fd = 5, .length = 10}); }
auto receive_some() { return asyncfs::detail::plain<opcode::recv, std::size_t>({.fd = 5, .length = 10}); }
auto send_zero_copy() { return asyncfs::detail::plain<opcode::send_zc, std::size_t>({.fd = 5, .length = 10}); }

// Ten buffers of 16 bytes that count how many are out.
struct buffers final : asyncfs::buffer_source {
  std::array<std::array<std::byte, 16>, 10> memory{};
  std::vector<std::uint16_t> given_back;
  std::span<std::byte> buffer(std::uint16_t id) noexcept override { return memory.at(id); }
  void give_back(std::uint16_t id) noexcept override { given_back.push_back(id); }
};
struct leased_kind {
  using value_type = asyncfs::buffer_lease;
  static constexpr opcode code = opcode::recv;
  buffers* source;
  void prepare(request& slot) const noexcept { slot.fd = 5; }
  asyncfs::result<asyncfs::buffer_lease> complete(const completion& event) const {
    if (event.value < 0) return asyncfs::failure(-event.value);
    if (!event.carries_buffer()) return asyncfs::buffer_lease();
    return asyncfs::buffer_lease(*source, event.buffer_id(), static_cast<std::size_t>(event.value));
  }
};

}  // namespace

TEST_CASE("nothing is submitted until an operation is awaited or started") {
  fixture f;
  {
    [[maybe_unused]] const auto dropped = read_some();
  }
  CHECK(f.engine->taken.empty());
  bool called = false;
  asyncfs::start(f.home, read_some(), [&](asyncfs::result<std::size_t> r) {
    called = true;
    CHECK(r == 7u);
  });
  CHECK_FALSE(called);  // no user code runs inside the call that starts an operation
  f.engine->idle = [&] { f.engine->complete_first(7); };
  f.home.run_until([&] { return called; });
}

TEST_CASE("the request that reaches the engine is what the operation prepared") {
  fixture f;
  asyncfs::start(f.home,
                 asyncfs::detail::plain<opcode::read, std::size_t>({.fd = 3, .offset = 4, .address = 5, .length = 6}),
                 [](auto) {});
  f.engine->idle = [&] {
    const request& r = f.engine->taken.at(0);
    CHECK(r.code == opcode::read);
    CHECK(r.fd == 3);
    CHECK(r.offset == 4);
    CHECK(r.address == 5);
    CHECK(r.length == 6);
    f.engine->complete_first(0);
  };
  f.home.run_until([&] { return f.home.in_flight() == 0; });
  f.home.drain();
}

TEST_CASE("an operation that completes several times is ready at the last one, with its last value") {
  fixture f;
  int step = 0;
  f.engine->idle = [&] {
    CHECK(f.home.in_flight() == 1);
    f.engine->complete_first(step, step < 3 ? completion::more : 0);
    ++step;
  };
  const std::size_t value = asyncfs::run(f.home, []() -> task<std::size_t> { co_return co_await receive_some(); }());
  CHECK(value == 3);
  CHECK(step == 4);
}

TEST_CASE("several completions of one operation in one batch are taken in together") {
  fixture f;
  f.engine->idle = [&] {
    const std::uint64_t id = f.engine->taken.at(0).user_data;
    f.engine->complete(id, 1, completion::more);
    f.engine->complete(id, 2, completion::more);
    f.engine->complete(id, 3);
  };
  CHECK(asyncfs::run(f.home, []() -> task<std::size_t> { co_return co_await receive_some(); }()) == 3);
}

TEST_CASE("a zero-copy send has its result from the first completion, and ends at the notification") {
  fixture f;
  int step = 0;
  bool ended = false;
  f.engine->idle = [&] {
    CHECK_FALSE(ended);  // the buffer is not the user's yet
    if (step++ == 0)
      f.engine->complete_first(10, completion::more);
    else
      f.engine->complete_first(0, completion::notification);
  };
  asyncfs::start(f.home, send_zero_copy(), [&](asyncfs::result<std::size_t> r) {
    ended = true;
    CHECK(r == 10u);
  });
  f.home.run_until([&] { return ended; });
  CHECK(step == 2);
}

TEST_CASE("a zero-copy send that fails still ends only at its notification, with the error") {
  fixture f;
  int step = 0;
  f.engine->idle = [&] {
    if (step++ == 0)
      f.engine->complete_first(-ECONNRESET, completion::more);
    else
      f.engine->complete_first(0, completion::notification);
  };
  const int error = asyncfs::run(f.home, []() -> task<int> {
    const auto r = co_await asyncfs::as_result(send_zero_copy());
    co_return r.error().value();
  }());
  CHECK(error == ECONNRESET);
  CHECK(step == 2);
}

TEST_CASE("a completion that carries a buffer gives a lease, which returns the buffer at its end") {
  fixture f;
  buffers source;
  source.memory[4][0] = std::byte{'x'};
  f.engine->idle = [&] { f.engine->complete_first(5, completion::has_buffer | (4u << 16)); };
  asyncfs::run(f.home, [](buffers& from) -> task<void> {
    asyncfs::buffer_lease lease = co_await asyncfs::operation(leased_kind{&from});
    CHECK(lease.bytes().size() == 5);
    CHECK(lease.bytes()[0] == std::byte{'x'});
    asyncfs::buffer_lease moved = std::move(lease);
    CHECK(from.given_back.empty());
    lease = std::move(moved);
    CHECK(from.given_back.empty());
  }(source));
  CHECK(source.given_back == std::vector<std::uint16_t>{4});
}

TEST_CASE("a result that wins against its cancel is delivered") {
  fixture f;
  f.engine->idle = [&] {
    REQUIRE(f.engine->cancels.size() == 1);
    f.engine->complete_first(9);
  };
  const std::size_t value = asyncfs::run(f.home, []() -> task<std::size_t> {
    const asyncfs::task_context at = co_await asyncfs::this_task;
    at.home.post([&at] { at.scope.cancel(); });
    co_return co_await receive_some();
  }());
  CHECK(value == 9);
}

TEST_CASE("a cancel that comes after the completion was reaped asks the engine for nothing") {
  fixture f;
  std::optional<std::size_t> got;
  asyncfs::start(f.home, receive_some(), [&](asyncfs::result<std::size_t> r) { got = *r; });
  asyncfs::start(f.home, read_some(), [&](auto) { f.home.root().cancel(); });
  f.engine->idle = [&] {
    const std::uint64_t receiving = f.engine->taken.at(0).user_data, reading = f.engine->taken.at(1).user_data;
    f.engine->complete(reading, 1);
    f.engine->complete(receiving, 2);
  };
  f.home.run_until([&] { return got.has_value(); });
  CHECK(got == 2u);
  CHECK(f.engine->cancels.empty());
}

TEST_CASE("operations beyond the limit wait their turn, in order, and all complete") {
  fixture f(limited(3));
  std::vector<int> order;
  for (int i = 0; i < 10; ++i) asyncfs::start(f.home, read_some(), [&order, i](auto) { order.push_back(i); });
  std::size_t most = 0;
  f.engine->idle = [&] {
    most = std::max(most, f.engine->taken.size());
    f.engine->complete_first(1);
  };
  f.home.run_until([&] { return order.size() == 10; });
  CHECK(most == 3);
  CHECK(order == std::vector{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
}

TEST_CASE("operations that wait for a peer do not count against the limit") {
  fixture f(limited(2));
  int ended = 0;
  std::array<std::byte, 4> buffer;
  asyncfs::file pipe(99);
  for (int i = 0; i < 5; ++i) {
    asyncfs::start(f.home, receive_some(), [&](auto) { ++ended; });
    asyncfs::start(f.home, pipe.read(buffer), [&](auto) { ++ended; });  // on a stream it may wait for ever
  }
  for (int i = 0; i < 2; ++i) asyncfs::start(f.home, read_some(), [&](auto) { ++ended; });
  f.engine->idle = [&] {
    CHECK(f.engine->taken.size() == 12);
    for (const request& r : std::vector(f.engine->taken)) f.engine->complete(r.user_data, 0);
  };
  f.home.run_until([&] { return ended == 12; });
  CHECK(pipe.release() == 99);
}

TEST_CASE("without a free slot operations wait, and none is lost") {
  fixture f({}, 4);
  int ended = 0;
  for (int i = 0; i < 50; ++i) asyncfs::start(f.home, read_some(), [&](auto) { ++ended; });
  std::size_t seen = 0;
  f.engine->idle = [&] {
    seen += f.engine->taken.size();
    for (const request& r : std::vector(f.engine->taken)) f.engine->complete(r.user_data, 0);
  };
  f.home.run_until([&] { return ended == 50; });
  CHECK(seen == 50);
}

TEST_CASE("an engine that refuses a request is asked again, and none is lost") {
  fixture f({}, 0);  // everything goes through submit
  f.engine->room = 2;
  int ended = 0;
  for (int i = 0; i < 5; ++i) asyncfs::start(f.home, read_some(), [&](auto) { ++ended; });
  CHECK(f.engine->refused > 0);
  f.engine->idle = [&] {
    if (!f.engine->taken.empty()) f.engine->complete_first(0);
    f.engine->room = 1;
  };
  f.home.run_until([&] { return ended == 5; });
  CHECK(ended == 5);
}

TEST_CASE("a loop whose engine has no room for its only operation does not sleep until something else wakes it") {
  fixture f({}, 0);
  f.engine->room = 0;
  bool ended = false;
  asyncfs::start(f.home, read_some(), [&](auto) { ended = true; });
  f.engine->idle = [&] {
    if (!f.engine->taken.empty()) return f.engine->complete_first(0);
    CHECK(f.engine->sleeps_until != asyncfs::steady_time::max());
    if (f.engine->refused > 10) f.engine->room = 1;
  };
  f.home.run_until([&] { return ended; });
  CHECK(f.engine->refused > 10);
}

TEST_CASE("an operation that had no slot is started before the loop sleeps, since others may wait for what it does") {
  fixture f({}, 1);
  int ended = 0;
  for (int i = 0; i < 3; ++i) asyncfs::start(f.home, read_some(), [&](auto) { ++ended; });
  f.engine->idle = [&] {
    CHECK(f.engine->taken.size() == 3);
    for (const request& r : std::vector(f.engine->taken)) f.engine->complete(r.user_data, 0);
  };
  f.home.run_until([&] { return ended == 3; });
}

TEST_CASE("what is cancelled while it waits for room ends at once, and never reaches the engine") {
  fixture f(limited(1));
  std::vector<int> values;
  const auto note = [&](asyncfs::result<std::size_t> r) {
    values.push_back(r ? static_cast<int>(*r) : -r.error().value());
  };
  asyncfs::start(f.home, read_some(), note);
  asyncfs::start(f.home, read_some(), note);
  asyncfs::start(f.home, read_some(), note);
  f.home.root().cancel();
  f.engine->idle = [&] {
    CHECK(values == std::vector{-ECANCELED, -ECANCELED});
    CHECK(f.engine->taken.size() == 1);
    CHECK(f.engine->cancels.size() == 1);
    f.engine->complete_first(-ECANCELED);
  };
  f.home.run_until([&] { return values.size() == 3; });
}

TEST_CASE("what is started in a cancelled scope ends as cancelled, and never reaches the engine") {
  fixture f;
  f.home.root().cancel();
  bool called = false;
  asyncfs::start(f.home, read_some(), [&](asyncfs::result<std::size_t> r) {
    called = true;
    CHECK(asyncfs::is_cancelled(r.error()));
  });
  CHECK_FALSE(called);
  f.home.run_until([&] { return called; });
  CHECK(f.engine->taken.empty());
}

TEST_CASE("the loop is driven by one turn: completions, then continuations, then a single entry that submits all") {
  fixture f;
  int ended = 0;
  for (int i = 0; i < 20; ++i) asyncfs::start(f.home, read_some(), [&](auto) { ++ended; });
  f.engine->idle = [&] {
    for (const request& r : std::vector(f.engine->taken)) f.engine->complete(r.user_data, 0);
  };
  f.home.run_until([&] { return ended == 20; });
  CHECK(f.engine->count().enters <= 2);
}

TEST_CASE("a continuation that keeps making others ready does not keep completions waiting") {
  fixture f;
  bool arrived = false;
  std::size_t steps = 0;
  struct again final : asyncfs::detail::ready_node {
    asyncfs::loop* home;
    std::size_t* steps;
    bool* stop;
    void run() override {
      ++*steps;
      if (!*stop) home->make_ready(*this);
    }
  } node;
  node.home = &f.home;
  node.steps = &steps;
  node.stop = &arrived;
  f.home.make_ready(node);
  asyncfs::start(f.home, read_some(), [&](auto) { arrived = true; });
  f.home.run_until([&] {
    if (!f.engine->taken.empty() && !f.engine->has_finished_work()) f.engine->complete_first(0);
    return arrived || steps > 100000;
  });
  CHECK(arrived);
  f.home.drain();
}

TEST_CASE("destroying a frame while its operation is in flight ends the program, loudly") {
  const tests::last_words words = tests::in_a_child([] {
    auto* f = new fixture;
    auto work = std::make_unique<task<void>>([]() -> task<void> { co_await receive_some(); }());
    work->begin(f->home, f->home.root(), tests::unheard);
    work.reset();
  });
  CHECK(words.signal == SIGABRT);
  CHECK_THAT(words.message, Catch::Contains("recv") && Catch::Contains("had not ended"));
}

TEST_CASE("destroying a loop with operations in flight ends the program, loudly") {
  const tests::last_words words = tests::in_a_child([] {
    fixture f;
    asyncfs::start(f.home, receive_some(), [](auto) {});
  });
  CHECK(words.signal == SIGABRT);
  CHECK_THAT(words.message, Catch::Contains("1 operations in flight"));
}

TEST_CASE("destroying a loop with a timer pending ends the program, loudly") {
  const tests::last_words words = tests::in_a_child([] {
    auto* never = new task<void>([]() -> task<void> { co_await asyncfs::sleep_for(std::chrono::hours(1)); }());
    fixture f;
    never->begin(f.home, f.home.root(), tests::unheard);
  });
  CHECK(words.signal == SIGABRT);
  CHECK_THAT(words.message, Catch::Contains("drain"));
}

TEST_CASE("what was interrupted is asked for again, and what was cancelled meanwhile ends as cancelled") {
  tests::fake_engine* engine = new tests::fake_engine;
  asyncfs::loop home{std::unique_ptr<asyncfs::engine>(engine)};
  std::size_t asked = 0;
  engine->idle = [&] {
    while (!engine->taken.empty()) engine->complete_first(++asked < 4 ? -EINTR : 9);
  };
  asyncfs::run(home, []() -> asyncfs::task<void> {
    const asyncfs::file nowhere;
    std::array<std::byte, 16> buffer{};
    const std::size_t got = co_await nowhere.read_at(buffer, 0);
    CHECK(got == 9);
  }());
  CHECK(asked == 4);
  engine->idle = [&] {
    if (!engine->cancels.empty()) engine->complete_first(-EINTR);
  };
  asyncfs::run(home, []() -> asyncfs::task<void> {
    const asyncfs::file nowhere;
    std::array<std::byte, 16> buffer{};
    std::error_code error;
    try {
      static_cast<void>(co_await asyncfs::with_timeout(nowhere.read_at(buffer, 0), std::chrono::milliseconds(1)));
    } catch (const std::system_error& e) {
      error = e.code();
    }
    CHECK(error == std::errc::timed_out);
  }());
}

TEST_CASE("a close that was interrupted is not made again") {
  tests::fake_engine* engine = new tests::fake_engine;
  asyncfs::loop home{std::unique_ptr<asyncfs::engine>(engine)};
  std::size_t asked = 0;
  engine->idle = [&] {
    while (!engine->taken.empty()) {
      ++asked;
      engine->complete_first(-EINTR);
    }
  };
  asyncfs::run(home, []() -> asyncfs::task<void> {
    asyncfs::file nowhere;
    const auto closed = co_await asyncfs::as_result(nowhere.close());
    CHECK(closed.error() == std::errc::interrupted);
  }());
  CHECK(asked == 1);
}
