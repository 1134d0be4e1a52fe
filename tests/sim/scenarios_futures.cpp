// Scenarios of futures: chains, groups, and handles that are dropped.
#include <algorithm>

#include "scenario.hpp"

using namespace std::chrono_literals;
using asyncfs::future;
using asyncfs::spawn;

namespace sim {
namespace {

std::vector<std::string> plant(simulation& world, std::uint64_t most) {
  std::vector<std::string> texts;
  for (std::uint64_t i = 0, count = 1 + world.choose(most); i < count; ++i) {
    texts.push_back(text(i, some_size(world)));
    world.files().write("/" + std::to_string(i), texts.back());
  }
  return texts;
}

task<std::string> read_late(std::string path, std::chrono::nanoseconds later) {
  co_await asyncfs::sleep_for(later);
  co_return co_await asyncfs::read_file(path.c_str());
}

std::vector<future<std::string>> spawn_readers(asyncfs::loop& home, std::size_t count, simulation& world) {
  std::vector<future<std::string>> readers;
  for (std::size_t i = 0; i < count; ++i)
    readers.push_back(spawn(home, read_late("/" + std::to_string(i), some_time(world, 2ms))));
  return readers;
}

// ---- chains --------------------------------------------------------------------------------------------------------

struct steps {
  int then = 0, on_error = 0, finally = 0;
  std::size_t size = 0;
};

constexpr std::size_t of_an_error = 1'000'000;

task<void> follow_chain(steps& seen, std::string path) {
  const auto at = co_await asyncfs::this_task;
  auto chain = spawn(at.home, read_path(path))
                   .then([&seen](std::string found) {
                     ++seen.then;
                     return found.size();
                   })
                   .finally([&seen] { ++seen.finally; })
                   .on_error([&seen](const std::exception_ptr&) {
                     ++seen.on_error;
                     return of_an_error;
                   });
  seen.size = co_await std::move(chain);
}

void chains(simulation& world) {
  const auto texts = plant(world, 1);
  steps seen;
  world.run(follow_chain(seen, world.choose(4) == 0 ? "/missing" : "/0"));
  require(seen.finally == 1, "what is done in either case was not done once");
  require(seen.then + seen.on_error == 1, "both ways were taken, or none");
  require(seen.size == (seen.then == 1 ? texts[0].size() : of_an_error), "the value is not that of the way taken");
}
const scenario chain_scenario(
    "a chain of futures goes the way of the value or that of the error, and ends in either case", chains);

task<void> copy_by_futures(bool& complete) {
  const auto at = co_await asyncfs::this_task;
  auto copied =
      spawn(at.home, read_path("/0")).then([](std::string found) { return write_path("/copy", std::move(found)); });
  co_await std::move(copied);
  complete = true;
}

void tasks_in_chains(simulation& world) {
  const auto texts = plant(world, 1);
  bool complete = false;
  succeeds(world, copy_by_futures(complete));
  if (complete) require(world.files().read("/copy") == texts[0], "the copy differs, and nothing said so");
}
const scenario chained_tasks_scenario("a future that goes on with a task waits for that too", tasks_in_chains);

// ---- groups --------------------------------------------------------------------------------------------------------

task<void> all_of(std::vector<std::string>& found, std::size_t count, simulation& world) {
  const auto at = co_await asyncfs::this_task;
  auto readers = spawn_readers(at.home, count, world);
  found = co_await asyncfs::all(at.home, std::move(readers));
}

void futures_all(simulation& world) {
  const auto texts = plant(world, 10);
  std::vector<std::string> found;
  if (succeeds(world, all_of(found, texts.size(), world)))
    require(found == texts, "a value is wrong, or at another's place");
}
const scenario all_scenario("all futures give their values in order, or the error of one", futures_all);

task<void> settled_of(std::vector<asyncfs::settled<std::string>>& found, std::size_t count, simulation& world) {
  const auto at = co_await asyncfs::this_task;
  auto readers = spawn_readers(at.home, count, world);
  found = co_await asyncfs::all_settled(at.home, std::move(readers));
}

void futures_settled(simulation& world) {
  const auto texts = plant(world, 10);
  std::vector<asyncfs::settled<std::string>> found;
  require(succeeds(world, settled_of(found, texts.size(), world)), "it failed because one of them did");
  require(found.size() == texts.size(), "one is missing");
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (found[i]) require(*found[i] == texts[i], "a value is wrong, or at another's place");
    if (!found[i]) require(!is_cancel(found[i].error()), "one was cancelled, and nobody asked for that");
  }
}
const scenario settled_scenario("settled futures each tell how they ended", futures_settled);

task<void> any_of(std::optional<asyncfs::first_success<std::string>>& found, std::size_t count, simulation& world) {
  const auto at = co_await asyncfs::this_task;
  auto readers = spawn_readers(at.home, count, world);
  found = co_await asyncfs::any(at.home, std::move(readers));
}

void futures_any(simulation& world) {
  const auto texts = plant(world, 10);
  std::optional<asyncfs::first_success<std::string>> found;
  try {
    world.run(any_of(found, texts.size(), world));
    require(found->value == texts[found->index], "the value is not that of its index");
  } catch (const asyncfs::all_failed& none) {
    require(none.reasons().size() == texts.size(), "not all reasons are told");
  }
}
const scenario any_scenario("any of several futures gives the first value, or every reason", futures_any);

task<std::string> give_up_after(std::chrono::nanoseconds time) {
  co_await asyncfs::sleep_for(time);
  co_return "given up";
}

task<void> race_of(std::variant<std::string, std::string>& found, simulation& world) {
  const auto at = co_await asyncfs::this_task;
  auto reader = spawn(at.home, read_late("/0", some_time(world, 2ms)));
  auto limit = spawn(at.home, give_up_after(some_time(world, 3ms)));
  found = co_await asyncfs::race(std::move(reader), std::move(limit));
}

void futures_race(simulation& world) {
  const auto texts = plant(world, 1);
  std::variant<std::string, std::string> found;
  if (!succeeds(world, race_of(found, world))) return;
  if (found.index() == 0) require(std::get<0>(found) == texts[0], "the winner's bytes are wrong");
  if (found.index() == 1) require(std::get<1>(found) == "given up", "the winner's value is wrong");
}
const scenario race_scenario("a race of futures is won by one of them, and the other ends too", futures_race);

// ---- dropped handles -----------------------------------------------------------------------------------------------

struct counts {
  int begun = 0, ended = 0, well = 0;
};

task<void> counted_read(counts& all, std::size_t i, std::chrono::nanoseconds later) {
  struct here {
    explicit here(counts& of) : all(of) { ++all.begun; }
    here(const here&) = delete;
    here& operator=(const here&) = delete;
    ~here() { ++all.ended; }
    counts& all;
  } const counted(all);
  const std::string path = "/" + std::to_string(i);
  const asyncfs::file from = co_await asyncfs::open(path.c_str());
  co_await asyncfs::sleep_for(later);
  std::string buffer(100, '\0');
  co_await from.read_at(room_in(buffer), 0);
  ++all.well;
}

task<void> drop_some(counts& all, std::size_t count, simulation& world) {
  const auto at = co_await asyncfs::this_task;
  std::vector<future<void>> kept;
  for (std::size_t i = 0; i < count; ++i) {
    // Errors are taken, so that none is reported as unhandled.
    auto one = spawn(at.home, counted_read(all, i, some_time(world, 5ms))).on_error([](const std::exception_ptr&) {});
    if (world.choose(2) == 0) kept.push_back(std::move(one));
    if (world.choose(2) == 0) co_await asyncfs::sleep_for(some_time(world, 3ms));
  }
  for (future<void>& one : kept) co_await std::move(one);
}

void dropped(simulation& world) {
  const auto texts = plant(world, 10);
  counts all;
  world.run(drop_some(all, texts.size(), world));
  require(all.begun == all.ended, "work was begun and did not end");
}
const scenario dropping_scenario("futures that are dropped at any moment end, and close what they opened", dropped);

task<void> await_in_time(counts& all, std::chrono::nanoseconds limit) {
  const auto at = co_await asyncfs::this_task;
  auto reader = spawn(at.home, counted_read(all, 0, 1h));
  co_await asyncfs::with_timeout(std::move(reader), limit);
}

void cancelled_waits(simulation& world) {
  const auto texts = plant(world, 1);
  counts all;
  const auto began = world.now();
  const bool done = succeeds(world, await_in_time(all, some_time(world, 5ms)));
  require(!done && all.well == 0, "it slept for an hour in no time");
  require(world.now() - began < 1min, "the cancel did not reach the work");
  require(all.begun == all.ended, "work was begun and did not end");
}
const scenario waiting_scenario("a cancel of who awaits a future reaches its work", cancelled_waits);

}  // namespace
}  // namespace sim
