// Scenarios of tasks that end together, and of operations that are cancelled at any moment.
#include <algorithm>

#include "scenario.hpp"

using namespace std::chrono_literals;
using asyncfs::file;

namespace sim {
namespace {

// ---- scopes --------------------------------------------------------------------------------------------------------

struct broken : std::runtime_error {
  broken() : std::runtime_error("broken") {}
};

// What the tasks of a scope came to.
struct tally {
  explicit tally(simulation& in) : world(in) {}
  simulation& world;
  int begun = 0, ended = 0, well = 0, own_errors = 0, handled_own = 0, handled_system = 0;
};

struct counted {
  explicit counted(tally& of) : all(of) { ++all.begun; }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;
  ~counted() { ++all.ended; }
  tally& all;
};

task<void> work_or_break(tally& all, bool breaks) {
  const counted here(all);
  co_await asyncfs::sleep_for(some_time(all.world, 3ms));
  const std::string found = co_await asyncfs::read_file("/f");
  require(found == "text", "other bytes than the file's");
  if (breaks) {
    ++all.own_errors;
    throw broken();
  }
  ++all.well;
}

task<void> spawn_several(tally& all, asyncfs::scope& running, int count, bool may_break) {
  for (int i = 0; i < count; ++i) {
    running.spawn(work_or_break(all, may_break && all.world.choose(3) == 0));
    if (all.world.choose(2) == 0) co_await asyncfs::sleep_for(some_time(all.world, 1ms));
  }
}

task<void> handled_scope(tally& all, int count) {
  const auto body = [&all, count](asyncfs::scope& running) { return spawn_several(all, running, count, true); };
  const auto on_error = [&all](const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const broken&) {
      ++all.handled_own;
    } catch (const std::system_error&) {
      ++all.handled_system;
    }
  };
  co_await asyncfs::in_scope(body, on_error);
}

void central_handler(simulation& world) {
  world.files().write("/f", "text");
  tally all(world);
  const int count = static_cast<int>(1 + world.choose(10));
  world.run(handled_scope(all, count));
  require(all.begun == count && all.ended == count, "a task did not run to its end");
  require(all.handled_own == all.own_errors, "an error did not come to the handler, or twice");
  require(all.well + all.own_errors + all.handled_system == count, "a task failed, and nobody was told");
}
const scenario handled_scenario("a scope with a handler gives it every error, and lets the other tasks go on",
                                central_handler);

task<void> plain_scope(tally& all, int count, bool body_breaks) {
  const auto body = [&all, count, body_breaks](asyncfs::scope& running) -> task<void> {
    return [](tally& a, asyncfs::scope& r, int n, bool b) -> task<void> {
      co_await spawn_several(a, r, n, !b);
      if (b) throw broken();
    }(all, running, count, body_breaks);
  };
  co_await asyncfs::in_scope(body);
}

void first_error_ends_all(simulation& world) {
  world.files().write("/f", "text");
  tally all(world);
  bool failed = false, was_own = false;
  const bool body_breaks = world.choose(3) == 0;
  const int count = static_cast<int>(1 + world.choose(10));
  try {
    world.run(plain_scope(all, count, body_breaks));
  } catch (const broken&) {
    failed = was_own = true;
  } catch (const std::system_error& error) {
    failed = true;
    require(!asyncfs::is_cancelled(error.code()), "the first error of all is not the one that was thrown");
  }
  require(all.begun == all.ended, "the scope has ended, and one of its tasks has not");
  if (!failed) require(all.well == count, "a task failed, and nothing was thrown");
  if (was_own) require(body_breaks || all.own_errors > 0, "an error that nobody made");
  if (body_breaks) require(failed, "the body's error was lost");
}
const scenario first_error_scenario("a scope throws its first error once all its tasks have ended",
                                    first_error_ends_all);

task<void> nest(tally& all, int depth) {
  const counted here(all);
  if (depth == 0) co_await asyncfs::sleep_for(1h);
  const auto body = [&all, depth](asyncfs::scope& running) -> task<void> {
    return [](tally& a, asyncfs::scope& r, int d) -> task<void> {
      for (std::uint64_t i = 0, count = 1 + a.world.choose(3); i < count; ++i) r.spawn(nest(a, d - 1));
      co_await asyncfs::sleep_for(some_time(a.world, 1ms));
    }(all, running, depth);
  };
  co_await asyncfs::in_scope(body);
}

task<void> nest_in_time(tally& all, std::chrono::nanoseconds limit) {
  co_await asyncfs::with_timeout(nest(all, 4), limit);
}

void nested_scopes(simulation& world) {
  tally all(world);
  const auto began = world.now();
  const bool done = succeeds(world, nest_in_time(all, some_time(world, 5ms)));
  require(!done, "it slept for an hour in no time");
  require(all.begun == all.ended, "a task did not end");
  require(world.now() - began < 1min, "the cancel did not reach those far below");
}
const scenario nesting_scenario("a cancel reaches the tasks of scopes within scopes", nested_scopes);

task<void> cancel_itself(tally& all, int count) {
  const auto body = [&all, count](asyncfs::scope& running) -> task<void> {
    return [](tally& a, asyncfs::scope& r, int n) -> task<void> {
      for (int i = 0; i < n; ++i) r.spawn(nest(a, 0));
      co_await asyncfs::sleep_for(some_time(a.world, 1ms));
      r.cancel();
    }(all, running, count);
  };
  co_await asyncfs::in_scope(body);
}

void told_to_cancel(simulation& world) {
  tally all(world);
  const int count = static_cast<int>(world.choose(10));
  const bool done = succeeds(world, cancel_itself(all, count));
  require(done, "tasks that were told to end count as failed");
  require(all.begun == all.ended, "a task did not end");
}
const scenario telling_scenario("a scope that is told to cancel ends well", told_to_cancel);

// ---- single operations ---------------------------------------------------------------------------------------------

task<void> read_in_time(const file& from, std::string& into, std::optional<std::size_t>& got, simulation& world) {
  got = co_await attempted(asyncfs::with_timeout(from.read_at(room_in(into), 0), some_time(world, 2ms)));
}

task<void> reads_in_time(std::vector<std::string>& found, std::vector<std::optional<std::size_t>>& got,
                         simulation& world) {
  const file from = co_await asyncfs::open("/f");
  std::vector<task<void>> hands;
  for (std::size_t i = 0; i < found.size(); ++i) hands.push_back(read_in_time(from, found[i], got[i], world));
  co_await asyncfs::when_all(std::move(hands));
}

void cancelled_reads(simulation& world) {
  const std::string wanted = text(4, some_size(world));
  world.files().write("/f", wanted);
  std::vector<std::string> found(1 + world.choose(10), std::string(wanted.size(), '?'));
  std::vector<std::optional<std::size_t>> got(found.size());
  succeeds(world, reads_in_time(found, got, world));
  for (std::size_t i = 0; i < found.size(); ++i) {
    const std::size_t moved = got[i].value_or(0);
    require(found[i].substr(0, moved) == wanted.substr(0, moved), "a read says that it got bytes, and did not");
    require(found[i].find_first_not_of('?', moved) == std::string::npos, "a read got more bytes than it says");
  }
}
const scenario reads_scenario("a read that is cancelled at any moment says how many bytes came", cancelled_reads);

task<void> write_in_time(const file& to, const std::string& what, std::optional<std::size_t>& wrote,
                         simulation& world) {
  wrote = co_await attempted(asyncfs::with_timeout(to.write_at(bytes_of(what), 0), some_time(world, 2ms)));
}

task<void> write_once(const std::string& what, std::optional<std::size_t>& wrote, simulation& world) {
  const file to = co_await asyncfs::create("/f");
  co_await write_in_time(to, what, wrote, world);
}

void cancelled_writes(simulation& world) {
  const std::string what = text(5, some_size(world));
  std::optional<std::size_t> wrote;
  succeeds(world, write_once(what, wrote, world));
  const std::string left = world.files().read("/f").value_or("");
  require(left == what.substr(0, wrote.value_or(0)), "a write put other bytes there than it says");
}
const scenario writes_scenario("a write that is cancelled at any moment says how many bytes went", cancelled_writes);

task<file> open_it() { co_return co_await asyncfs::open("/f"); }
task<file> make_it() { co_return co_await asyncfs::create("/g", O_WRONLY | O_EXCL); }

task<void> open_in_time(std::vector<file>& kept, bool makes, simulation& world) {
  task<file> opening = makes ? make_it() : open_it();
  auto one = co_await attempted(asyncfs::with_timeout(std::move(opening), some_time(world, 2ms)));
  if (one) kept.push_back(*std::move(one));
}

task<void> open_many(std::vector<file>& kept, int count, simulation& world) {
  std::vector<task<void>> hands;
  for (int i = 0; i < count; ++i) hands.push_back(open_in_time(kept, i == 0, world));
  co_await asyncfs::when_all(std::move(hands));
}

void cancelled_opens(simulation& world) {
  world.files().write("/f", "text");
  std::vector<file> kept;
  world.run(open_many(kept, static_cast<int>(1 + world.choose(10)), world));
  require(world.open_descriptors() == kept.size(), "a descriptor that came late was lost");
}
const scenario opens_scenario("a file that is opened while the cancel comes is given out or closed", cancelled_opens);

task<void> close_in_time(file one, simulation& world) {
  co_await attempted(asyncfs::with_timeout(one.close(), some_time(world, 1ms)));
}

task<void> close_many(std::uint64_t count, simulation& world) {
  std::vector<task<bool>> hands;
  for (std::uint64_t i = 0; i < count; ++i) {
    auto one = co_await attempted(open_it());
    if (one) hands.push_back(attempted(close_in_time(*std::move(one), world)));
  }
  co_await asyncfs::when_all(std::move(hands));
}

void cancelled_closes(simulation& world) {
  world.files().write("/f", "text");
  world.run(close_many(1 + world.choose(10), world));
}
const scenario closes_scenario("a close closes, also when it is cancelled or never begins", cancelled_closes);

// ---- all at once ---------------------------------------------------------------------------------------------------

task<void> busy(tally& all, int kind) {
  const counted here(all);
  for (int i = 0; i < 20; ++i) {
    co_await asyncfs::nop();
    if (kind == 0) co_await asyncfs::yield();
    if (kind == 1) co_await asyncfs::sleep_for(some_time(all.world, 100us));
    if (kind == 2) {
      const std::string found = co_await asyncfs::read_file("/f");
      require(found == "text", "other bytes than the file's");
    }
  }
  ++all.well;
}

task<void> busy_crowd(tally& all, std::uint64_t count) {
  std::vector<task<bool>> hands;
  for (std::uint64_t i = 0; i < count; ++i) {
    task<void> one = busy(all, static_cast<int>(all.world.choose(3)));
    if (all.world.choose(2) == 0) one = asyncfs::with_timeout(std::move(one), some_time(all.world, 10ms));
    hands.push_back(attempted(std::move(one)));
  }
  co_await asyncfs::when_all(std::move(hands));
}

task<void> busy_crowd_in_time(tally& all, std::uint64_t count, std::chrono::nanoseconds limit) {
  co_await asyncfs::with_timeout(busy_crowd(all, count), limit);
}

void storms(simulation& world) {
  world.files().write("/f", "text");
  tally all(world);
  const std::uint64_t count = 1 + world.choose(10);
  succeeds(world, busy_crowd_in_time(all, count, some_time(world, 20ms)));
  require(all.begun == all.ended, "a task did not end");
}
const scenario storm_scenario("a crowd of tasks of all kinds that is cancelled at any moment ends altogether", storms);

}  // namespace
}  // namespace sim
