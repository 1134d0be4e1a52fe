// Scenarios of tasks that wait for one another, for time, and for other threads' work, and that are cancelled meanwhile.
#include <algorithm>
#include <map>
#include <set>

#include "scenario.hpp"

using namespace std::chrono_literals;

namespace sim {
namespace {

// ---- channels ------------------------------------------------------------------------------------------------------

struct traffic {
  traffic(std::size_t capacity, simulation& in) : way(capacity), world(in) {}
  asyncfs::channel<std::uint64_t> way;
  simulation& world;
  std::vector<std::uint64_t> acknowledged, received;
  std::size_t senders = 0;
  bool in_order = true;
};
constexpr std::uint64_t most_of_a_sender = 1000;

task<void> send_one(traffic& all, std::uint64_t value) { co_await all.way.send(value); }

task<void> send_many(traffic& all, std::uint64_t sender, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t value = sender * most_of_a_sender + i;
    task<void> sending = send_one(all, value);
    if (all.world.choose(3) == 0) sending = asyncfs::with_timeout(std::move(sending), some_time(all.world, 1ms));
    const bool sent = co_await attempted(std::move(sending));
    if (sent) all.acknowledged.push_back(value);
    if (all.world.choose(4) == 0) co_await asyncfs::sleep_for(some_time(all.world, 1ms));
  }
  if (--all.senders == 0) all.way.close();
}

task<std::optional<std::uint64_t>> receive_one(traffic& all) { co_return co_await all.way.receive(); }

task<void> receive_many(traffic& all) {
  std::map<std::uint64_t, std::uint64_t> last;
  for (;;) {
    auto receiving = receive_one(all);
    if (all.world.choose(3) == 0) receiving = asyncfs::with_timeout(std::move(receiving), some_time(all.world, 1ms));
    const auto value = co_await attempted(std::move(receiving));
    if (!value) continue;  // out of patience, for now
    if (!*value) break;
    all.received.push_back(**value);
    const auto [known, is_new] = last.try_emplace(**value / most_of_a_sender, **value);
    all.in_order = all.in_order && (is_new || known->second < **value);
    known->second = **value;
  }
}

void channels(simulation& world, std::size_t capacity) {
  traffic all(capacity, world);
  all.senders = 1 + world.choose(4);
  std::vector<task<void>> hands;
  for (std::uint64_t i = 0; i < all.senders; ++i) hands.push_back(send_many(all, i, world.choose(20)));
  for (std::uint64_t i = 0, count = 1 + world.choose(4); i < count; ++i) hands.push_back(receive_many(all));
  world.run(asyncfs::when_all(std::move(hands)));
  std::ranges::sort(all.acknowledged);
  std::ranges::sort(all.received);
  require(all.acknowledged == all.received, "values were lost, or came twice, or came without having been sent");
  require(all.in_order, "a sender's values overtook each other");
}
const scenario bounded_scenario(
    "a bounded channel brings each value that was sent to one receiver, in order, cancels and all",
    [](simulation& world) { channels(world, 1 + world.choose(5)); });
const scenario rendezvous_scenario("a channel without room hands each value over in person, cancels and all",
                                   [](simulation& world) { channels(world, 0); });

task<void> close_later(traffic& all) {
  co_await asyncfs::sleep_for(some_time(all.world, 5ms));
  all.way.close();
}

void closing(simulation& world) {
  traffic all(world.choose(4), world);
  all.senders = 1 + world.choose(4);
  std::vector<task<void>> hands;
  for (std::uint64_t i = 0; i < all.senders; ++i) hands.push_back(send_many(all, i, 1 + world.choose(20)));
  hands.push_back(receive_many(all));
  hands.push_back(close_later(all));
  world.run(asyncfs::when_all(std::move(hands)));
  std::ranges::sort(all.acknowledged);
  std::ranges::sort(all.received);
  require(all.acknowledged == all.received, "what was taken in before the end is lost, or more came out");
}
const scenario closed_scenario("a channel closed at any moment gives out what it took in, and takes in no more",
                               closing);

// ---- semaphores and events -----------------------------------------------------------------------------------------

struct gate {
  gate(std::size_t permits, simulation& in) : at_most(permits), most(permits), world(in) {}
  asyncfs::semaphore at_most;
  std::size_t most, inside = 0;
  simulation& world;
  bool crowded = false;
};

task<void> pass(gate& through) {
  const auto permit = co_await through.at_most.acquire();
  through.crowded = through.crowded || ++through.inside > through.most;
  const bool rested =
      co_await attempted([](gate& g) -> task<void> { co_await asyncfs::sleep_for(some_time(g.world, 2ms)); }(through));
  --through.inside;
  if (!rested) throw std::system_error(ECANCELED, std::system_category(), "pass");
}

task<void> pass_often(gate& through) {
  for (int i = 0; i < 5; ++i) {
    task<void> work = pass(through);
    if (through.world.choose(3) == 0) work = asyncfs::with_timeout(std::move(work), some_time(through.world, 3ms));
    co_await attempted(std::move(work));
  }
}

void semaphores(simulation& world) {
  gate through(1 + world.choose(3), world);
  std::vector<task<void>> hands;
  for (std::uint64_t i = 0, count = 1 + world.choose(8); i < count; ++i) hands.push_back(pass_often(through));
  world.run(asyncfs::when_all(std::move(hands)));
  require(!through.crowded, "more inside than there are permits");
  require(through.at_most.available() == through.most, "a permit is lost, or one too many came back");
}
const scenario permits_scenario("a semaphore lets in as many as it has permits, and gets each back, cancels and all",
                                semaphores);

struct signal_post {
  explicit signal_post(simulation& in) : world(in) {}
  asyncfs::event raised;
  simulation& world;
  int times_set = 0, woken = 0, given_up = 0;
  bool woken_for_nothing = false;
};

task<void> wait_for_event(signal_post& at) { co_await at.raised.wait(); }

task<void> watch(signal_post& at) {
  co_await asyncfs::sleep_for(some_time(at.world, 2ms));
  const bool was_set = at.raised.is_set();
  const int before = at.times_set;
  task<void> waiting = wait_for_event(at);
  if (at.world.choose(3) == 0) waiting = asyncfs::with_timeout(std::move(waiting), some_time(at.world, 4ms));
  const bool happened = co_await attempted(std::move(waiting));
  if (happened && !was_set && at.times_set == before) at.woken_for_nothing = true;
  ++(happened ? at.woken : at.given_up);
}

task<void> raise_and_lower(signal_post& at) {
  for (std::uint64_t i = 0, count = at.world.choose(3); i < count; ++i) {
    co_await asyncfs::sleep_for(some_time(at.world, 2ms));
    ++at.times_set;
    at.raised.set();
    if (at.world.choose(2) == 0) co_await asyncfs::yield();
    at.raised.reset();
  }
  co_await asyncfs::sleep_for(5ms);
  ++at.times_set;
  at.raised.set();
}

void events(simulation& world) {
  signal_post at(world);
  const int watchers = static_cast<int>(1 + world.choose(8));
  std::vector<task<void>> hands;
  for (int i = 0; i < watchers; ++i) hands.push_back(watch(at));
  hands.push_back(raise_and_lower(at));
  world.run(asyncfs::when_all(std::move(hands)));
  require(!at.woken_for_nothing, "a wait ended before the event had happened");
  require(at.woken + at.given_up == watchers, "somebody still waits");
}
const scenario happenings_scenario(
    "every wait for an event ends once it has happened, and none before, cancels and all", events);

// ---- time ----------------------------------------------------------------------------------------------------------

struct sleeper {
  asyncfs::steady_time due;
  std::vector<asyncfs::steady_time>& woken;
};

task<void> sleep_and_note(sleeper who) {
  const auto at = co_await asyncfs::this_task;
  co_await asyncfs::sleep_until(who.due);
  require(at.home.now() >= who.due, "it woke early");
  who.woken.push_back(who.due);
}

void sleeping(simulation& world) {
  std::vector<asyncfs::steady_time> woken;
  std::vector<task<void>> sleepers;
  for (std::uint64_t i = 0, count = 1 + world.choose(20); i < count; ++i)
    sleepers.push_back(sleep_and_note({world.now() + some_time(world, 1h), woken}));
  const std::size_t count = sleepers.size();
  world.run(asyncfs::when_all(std::move(sleepers)));
  require(woken.size() == count, "somebody sleeps for ever");
  require(std::ranges::is_sorted(woken), "they did not wake in the order of their times");
}
const scenario sleepers_scenario("sleepers wake in the order of their times, and never early", sleeping);

task<void> count_ticks(simulation& world, std::chrono::nanoseconds period) {
  const auto at = co_await asyncfs::this_task;
  asyncfs::interval ticks(period);
  const auto began = at.home.now();
  std::uint64_t passed = 0;
  for (std::uint64_t i = 0, count = 1 + world.choose(20); i < count; ++i) {
    const auto periods = co_await ticks.next();
    require(periods.has_value() && *periods >= 1, "a tick of no period");
    passed += *periods;
    const auto elapsed = at.home.now() - began;
    require(elapsed >= static_cast<std::int64_t>(passed) * period, "a tick came early");
    if (world.choose(3) == 0) co_await asyncfs::sleep_for(some_time(world, 5 * period));
  }
}

void intervals(simulation& world) { world.run(count_ticks(world, 1us + some_time(world, 10ms))); }
const scenario ticking_scenario("an interval ticks at multiples of its period, never early, and counts what was missed",
                                intervals);

task<void> sleep_within(std::chrono::nanoseconds work, std::chrono::nanoseconds limit, bool& late) {
  const auto at = co_await asyncfs::this_task;
  const auto began = at.home.now();
  try {
    co_await asyncfs::with_timeout(asyncfs::sleep_for(work), limit);
    require(at.home.now() - began >= work, "it was not waited for");
  } catch (const std::system_error& error) {
    require(error.code() == std::errc::timed_out, "an error of its own making");
    late = true;
    require(at.home.now() - began >= limit, "time was up too early");
  }
}

void time_limits(simulation& world) {
  bool late = false;
  const auto work = some_time(world, 2ms), limit = some_time(world, 2ms);
  world.run(sleep_within(work, limit, late));
  if (work + 100us < limit) require(!late, "it was in time, and cancelled all the same");
  if (limit + 100us < work) require(late, "it was late, and nobody said so");
}
const scenario limits_scenario("what ends within its time limit ends well, and what does not is timed out",
                               time_limits);

// ---- other threads -------------------------------------------------------------------------------------------------

task<void> compute(int& calls, int& value) {
  const auto work = [&calls] {
    ++calls;
    return 42;
  };
  value = co_await asyncfs::offload(work);
}

task<void> compute_in_time(int& calls, int& value, std::chrono::nanoseconds limit) {
  co_await asyncfs::with_timeout(compute(calls, value), limit);
}

void offloading(simulation& world) {
  int calls = 0, value = 0;
  const bool done = succeeds(world, compute_in_time(calls, value, some_time(world, 2ms)));
  require(calls <= 1, "the function ran twice");
  require((calls == 1) == done, "whether it ran is not what was said");
  require((value == 42) == done, "its value is wrong, or came although it was cancelled");
}
const scenario offloads_scenario(
    "an offloaded function runs once and gives its value, or is cancelled and does not run", offloading);

struct broken : std::runtime_error {
  broken() : std::runtime_error("broken") {}
};

task<void> break_away() {
  const auto work = []() -> int { throw broken(); };
  const int value = co_await asyncfs::offload_blocking(work);
  static_cast<void>(value);
}

void offloaded_errors(simulation& world) {
  bool thrown = false;
  try {
    world.run(break_away());
  } catch (const broken&) {
    thrown = true;
  }
  require(thrown, "what the function threw was lost");
}
const scenario offload_errors_scenario("what an offloaded function throws comes to who awaits it", offloaded_errors);

task<void> request_later(std::stop_source& source, std::chrono::nanoseconds when) {
  co_await asyncfs::sleep_for(when);
  source.request_stop();
}

task<void> stoppable_read(std::stop_source& source, std::string& found, bool& stopped) {
  try {
    found = co_await asyncfs::with_stop_token(source.get_token(), read_path("/f"));
  } catch (const std::system_error& error) {
    stopped = asyncfs::is_cancelled(error.code());
    if (!stopped) throw;
  }
}

task<void> read_and_stop(std::stop_source& source, std::string& found, bool& stopped, std::chrono::nanoseconds when) {
  co_await asyncfs::when_all(request_later(source, when), stoppable_read(source, found, stopped));
}

void stop_tokens(simulation& world) {
  const std::string wanted = text(1, some_size(world));
  world.files().write("/f", wanted);
  std::stop_source source;
  std::string found;
  bool stopped = false;
  const bool done = succeeds(world, read_and_stop(source, found, stopped, some_time(world, 5ms)));
  if (done && !stopped) require(found == wanted, "it was not stopped, and its bytes are wrong");
  if (stopped) require(source.stop_requested(), "it was stopped, and nobody asked for that");
}
const scenario tokens_scenario("a read that a stop token may stop gives all bytes, or says that it was stopped",
                               stop_tokens);

}  // namespace
}  // namespace sim
