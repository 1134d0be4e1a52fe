// The simulator itself: determinism, virtual time, power loss, and that it finds what it is there to find.
#include <asyncfs/asyncfs.hpp>
#include <asyncfs/testing/explore.hpp>

#include "../catch.hpp"
#include "../support/death.hpp"

using asyncfs::task;
using asyncfs::testing::explore;
using asyncfs::testing::fault;
using asyncfs::testing::fault_plan;
using asyncfs::testing::require;
using asyncfs::testing::simulation;
using namespace std::chrono_literals;

namespace {

// Saves under another name and renames: with or without making the data durable first.
task<void> save(const char* path, std::string text, bool durable) {
  const std::string temporary = std::string(path) + ".new";
  {
    asyncfs::file out = co_await asyncfs::create(temporary.c_str());
    co_await asyncfs::write_all_at(out, std::as_bytes(std::span(text)), 0);
    if (durable) co_await out.sync();
    co_await out.close();
  }
  co_await asyncfs::here().rename(temporary.c_str(), asyncfs::here(), path);
}

// Copies as if every write took all it was given.
task<void> copy_trusting_writes(const char* from, const char* to) {
  const asyncfs::file in = co_await asyncfs::open(from);
  const asyncfs::file out = co_await asyncfs::create(to);
  std::array<std::byte, 100> buffer{};
  std::uint64_t at = 0;
  for (;;) {
    const std::size_t got = co_await in.read_at(buffer, at);
    if (got == 0) break;
    co_await out.write_at(std::span(buffer).first(got), at);
    at += got;
  }
}

task<void> copy_rightly(const char* from, const char* to) {
  const asyncfs::file in = co_await asyncfs::open(from);
  const asyncfs::file out = co_await asyncfs::create(to);
  co_await asyncfs::copy_file(in, out);
}

// Runs it; whether it ended without an exception.
bool succeeds(simulation& world, task<void> work) {
  try {
    world.run(std::move(work));
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

void saving_survives_power_loss(simulation& world, bool durable) {
  world.files().write("/config", "the old text");
  const std::string text(10'000, 'n');
  succeeds(world, save("/config", text, durable));
  const auto left = world.files_after_power_loss().read("/config");
  require(left == "the old text" || left == text, "the file is neither old nor new");
}

void copies_are_equal(simulation& world, task<void> copy) {
  const std::string text(1000, 'x');
  world.files().write("/from", text);
  if (succeeds(world, std::move(copy)))
    require(world.files().read("/to") == text, "the copy differs, and nothing said so");
}

task<void> bit_of_everything() {
  const auto write_read = [](int i) -> task<void> {
    const std::string name = "/dir/" + std::to_string(i);
    co_await asyncfs::write_file(name.c_str(), std::string(static_cast<std::size_t>(i) * 1000, 'a'));
    const std::string text = co_await asyncfs::read_file(name.c_str());
    CHECK(text.size() == static_cast<std::size_t>(i) * 1000);
  };
  co_await asyncfs::here().make_directory("/dir", 0755);
  std::vector<int> numbers(20);
  for (int i = 0; i < 20; ++i) numbers[static_cast<std::size_t>(i)] = i;
  co_await asyncfs::for_each_concurrent(numbers, 5, write_read);
}

// Reads what the other of the two writes.
task<void> pass_a_byte(simulation& world) {
  const auto ends = world.make_pipe();
  const asyncfs::file from(ends[0]), to(ends[1]);
  const auto read = [](const asyncfs::file& in) -> task<void> {
    std::array<std::byte, 1> byte;
    const std::size_t got = co_await in.read(byte);
    require(got == 1, "nothing was read");
  };
  const auto write = [](const asyncfs::file& out) -> task<void> {
    co_await out.write(std::as_bytes(std::span("x", 1)));
  };
  co_await asyncfs::when_all(read(from), write(to));
}

// Nobody resumes it.
struct forgotten {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  void await_resume() const noexcept {}
};

}  // namespace

TEST_CASE("the same seed gives the same run, event by event, and another seed another") {
  const auto hash_of = [](std::uint64_t seed) {
    simulation world({.seed = seed});
    world.run(bit_of_everything());
    return std::pair(world.trace_hash(), world.trace());
  };
  const auto once = hash_of(7), again = hash_of(7), other = hash_of(8);
  CHECK(once.first == again.first);
  CHECK(once.second == again.second);
  CHECK(once.first != other.first);
}

TEST_CASE("an hour of sleep takes no time, and the clock of the simulation says that it passed") {
  simulation world;
  const auto began = world.now();
  world.run([]() -> task<void> { co_await asyncfs::sleep_for(1h); }());
  CHECK(world.now() - began >= 1h);
  CHECK(world.now() - began < 1h + 1s);
}

TEST_CASE("PLANTED BUG: a save that renames before its data is durable is caught by cutting the power") {
  const auto plan = fault_plan::none().set(fault::power_loss, 1.0);
  const auto found = explore("save without fsync", {.seeds = 500, .faults = plan, .report = false},
                             [](simulation& world) { saving_survives_power_loss(world, false); });
  CHECK(found.failures == 1);
  CHECK(found.reason == "the file is neither old nor new");
  // The seed shows it again.
  simulation world({.seed = found.failing_seed, .faults = plan});
  CHECK_THROWS(saving_survives_power_loss(world, false));
}

TEST_CASE("a save that makes its data durable first survives every power cut") {
  const auto plan = fault_plan::usual().set(fault::power_loss, 0.9);
  const auto found = explore("save with fsync", {.seeds = 2000, .faults = plan},
                             [](simulation& world) { saving_survives_power_loss(world, true); });
  CHECK(found.failures == 0);
  CHECK(found.coverage.of(fault::power_loss) > 0);
}

TEST_CASE("PLANTED BUG: a copy that trusts every write to be whole is caught by short writes") {
  const auto found = explore("copy trusting writes", {.seeds = 500, .report = false},
                             [](simulation& world) { copies_are_equal(world, copy_trusting_writes("/from", "/to")); });
  CHECK(found.failures == 1);
  CHECK(found.coverage.of(fault::short_write) > 0);
}

TEST_CASE("PLANTED BUG: a descriptor that is closed twice, or never, is caught") {
  const auto twice = explore("close twice", {.seeds = 1, .report = false}, [](simulation& world) {
    world.files().write("/f", "x");
    world.run([]() -> task<void> {
      asyncfs::file one = co_await asyncfs::open("/f");
      asyncfs::file same(one.fd());
      co_await one.close();
    }());
  });
  CHECK(twice.reason.find("after it was closed") != std::string::npos);
  const auto never = explore("close never", {.seeds = 1, .report = false}, [](simulation& world) {
    world.files().write("/f", "x");
    world.run([]() -> task<void> {
      asyncfs::file one = co_await asyncfs::open("/f");
      static_cast<void>(one.release());
    }());
  });
  CHECK(never.reason == "1 descriptors were left open");
}

TEST_CASE("copy_file gives an equal copy or an error under every fault") {
  const auto found = explore("copy_file", {.seeds = 2000},
                             [](simulation& world) { copies_are_equal(world, copy_rightly("/from", "/to")); });
  CHECK(found.failures == 0);
}

TEST_CASE("whoever waits for a peer learns that the peer's descriptor was dropped, also when nothing else happens") {
  const auto drop_later = [](asyncfs::pipe_writer given) -> task<void> {
    const auto own = std::move(given);  // gone with the task, not with its frame
    co_await asyncfs::sleep_for(1s);
  };
  const auto read_all = [](const asyncfs::pipe_reader& from) -> task<void> {
    const std::string text = co_await asyncfs::read_to_end(from);
    CHECK(text.empty());
  };
  simulation world;
  const auto ends = world.make_pipe();
  const asyncfs::pipe_reader reader(ends[0]);
  world.run([](auto drop, auto read) -> task<void> { co_await asyncfs::when_all(std::move(drop), std::move(read)); }(
                                         drop_later(asyncfs::pipe_writer(ends[1])), read_all(reader)));
}

TEST_CASE("a task that waits for what nobody will do ends the run at once, and is named with its line") {
  simulation world;
  asyncfs::event never;
  const auto wait = [](asyncfs::event& on) -> task<void> { co_await on.wait(); };
  CHECK_THROWS_WITH(world.run(wait(never)), Catch::StartsWith("deadlock: 1 task waits for event.wait (") &&
                                                Catch::Contains("simulator.cpp:") &&
                                                Catch::EndsWith("; nothing can wake it"));
  const auto both = [](asyncfs::event& on) -> task<void> {
    const auto once = [](asyncfs::event& one) -> task<void> { co_await one.wait(); };
    co_await asyncfs::when_all(once(on), once(on));
  };
  CHECK_THROWS_WITH(world.run(both(never)), Catch::StartsWith("deadlock: 2 tasks wait for event.wait ("));
  const auto ends = world.make_pipe();
  const asyncfs::file in(ends[0]), out(ends[1]);
  const auto read = [](const asyncfs::file& from) -> task<void> {
    std::array<std::byte, 1> byte;
    co_await from.read(byte);
  };
  CHECK_THROWS_WITH(world.run(read(in)), Catch::StartsWith("deadlock: 1 task waits for read ("));
}

TEST_CASE("a task that cannot go on and cannot be cancelled ends the program, which says how to see it again") {
  const auto words = tests::in_a_child([] {
    simulation world({.seed = 7});
    world.run([]() -> task<void> { co_await forgotten(); }());
  });
  CHECK(words.signal == SIGABRT);
  CHECK(words.message.find("nothing can wake them, though all was cancelled") != std::string::npos);
  CHECK(words.message.find("to see this again") != std::string::npos);
}

TEST_CASE("a run that goes round for ever without an operation ends the program, which says how to see it again") {
  const auto yields = []() -> task<void> {
    for (;;) co_await asyncfs::yield();
  };
  const auto sleeps = []() -> task<void> {
    for (;;) co_await asyncfs::sleep_for(1s);
  };
  for (const bool sleeping : {false, true}) {
    const auto words = tests::in_a_child([&] {
      simulation world({.seed = 7, .most_operations = 1000});
      world.run(sleeping ? sleeps() : yields());
    });
    CHECK(words.signal == SIGABRT);
    CHECK(words.message.find("too many turns") != std::string::npos);
    CHECK(words.message.find("ASYNCFS_SEED=7") != std::string::npos);
  }
}

TEST_CASE("an operation that had no room is asked for again, though another waits for what it does") {
  fault_plan plan = fault_plan::none();
  plan.set(fault::queue_full, 0.9);
  const auto found =
      explore("queue_full", {.seeds = 500, .faults = plan}, [](simulation& world) { world.run(pass_a_byte(world)); });
  CHECK(found.failures == 0);
  CHECK(found.coverage.of(fault::queue_full) > 500);
}

TEST_CASE("a failure says how to see it again") {
  CHECK_THROWS_WITH(asyncfs::testing::require(false, "words"), "words");
}
