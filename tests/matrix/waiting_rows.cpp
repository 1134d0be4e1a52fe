// Time, what tasks say to each other, and what combines several waits: nothing in them goes to an engine but `nop` and
// what runs on a worker.
#include <asyncfs/for_each.hpp>
#include <asyncfs/nop.hpp>
#include <asyncfs/sequence.hpp>
#include <asyncfs/stop.hpp>

#include "operations.hpp"

namespace matrix {

namespace {

using namespace std::chrono_literals;

task<void> let_time_pass(subject& s) {
  s.delay = 20us;
  co_return;
}
task<void> set_event(subject& s) {
  s.event.set();
  co_return;
}
task<bool> was_called(subject& s) { co_return s.calls; }

asyncfs::sequence<int> after_event(subject& s) {
  co_await s.event.wait();
  co_yield 1;
}
task<outcome> next_of_sequence(subject& s) {
  asyncfs::sequence<int> numbers = after_event(s);
  co_return co_await told(numbers.next());
}
task<outcome> next_tick(subject& s) {
  asyncfs::interval ticks(s.delay);
  co_return co_await told(ticks.next());
}
task<void> wait_for_event(subject& s) { co_await s.event.wait(); }
task<void> join_one(subject& s) {
  const asyncfs::task_context here = co_await asyncfs::this_task;
  asyncfs::scope inside(here);
  inside.spawn(wait_for_event(s));
  co_await inside.join();
}
task<void> scope_with_one(subject& s) {
  const auto body = [&s](asyncfs::scope& inside) -> task<void> {
    inside.spawn(wait_for_event(s));
    co_return;
  };
  co_await asyncfs::in_scope(body);
}
// Cancelled, a scope ends as told: that is no error of its own, and the event tells whether what it waited for came.
task<void> future_of_event(subject& s) {
  asyncfs::future<void> waiting = asyncfs::spawn(s.at.home, wait_for_event(s));
  co_await std::move(waiting);
}

template <task<void> (*Work)(subject&)>
task<outcome> told_of(subject& s) {
  return told(Work(s));
}

row on_event(std::string_view name, task<outcome> (*attempt)(subject&)) {
  return {.name = name, .prepare = with_nothing, .attempt = attempt, .end = ends::when_provided, .provide = set_event};
}
row on_time(std::string_view name, task<outcome> (*attempt)(subject&)) {
  return {.name = name,
          .prepare = with_nothing,
          .attempt = attempt,
          .end = ends::when_time_comes,
          .provide = let_time_pass};
}

}  // namespace

std::vector<row> waiting_rows() {
  return {
      {.name = "nop",
       .parts = {{opcode::nop}},
       .prepare = with_nothing,
       .attempt = [](subject&) { return told(asyncfs::nop()); }},
      {.name = "yield",
       .prepare = with_nothing,
       .attempt = [](subject&) { return told(asyncfs::yield()); },
       .only_succeeds = true},
      {.name = "offload",
       .parts = {{opcode::call}},
       .prepare = with_nothing,
       .attempt = [](subject& s) { return told(asyncfs::offload([&s] { s.calls = true; })); },
       .happened = was_called},
      {.name = "offload_blocking",
       .parts = {{opcode::call}},
       .prepare = with_nothing,
       .attempt = [](subject& s) { return told(asyncfs::offload_blocking([&s] { s.calls = true; })); },
       .happened = was_called},
      on_time("sleep_for", [](subject& s) { return told(asyncfs::sleep_for(s.delay)); }),
      on_time("sleep_until", [](subject& s) { return told(asyncfs::sleep_until(s.at.home.now() + s.delay)); }),
      on_time("interval.next", next_tick),
      on_event("with_timeout", [](subject& s) { return told(asyncfs::with_timeout(s.event.wait(), 1h)); }),
      on_event("with_stop_token",
               [](subject& s) { return told(asyncfs::with_stop_token(std::stop_token(), s.event.wait())); }),
      on_event("event.wait", [](subject& s) { return told(s.event.wait()); }),
      {.name = "semaphore.acquire",
       .prepare = with_nothing,
       .attempt = [](subject& s) { return told(s.permits.acquire()); },
       .end = ends::when_provided,
       .provide = [](subject& s) -> task<void> {
         s.permits.release();
         co_return;
       }},
      {.name = "channel.send",
       .prepare = with_nothing,
       .attempt = [](subject& s) { return told(s.numbers.send(7)); },
       .happened = [](subject& s) -> task<bool> { co_return s.number == 7; },
       .end = ends::when_provided,
       .provide = [](subject& s) -> task<void> {
         const auto got = co_await s.numbers.receive();
         s.number = *got;
       }},
      {.name = "channel.receive",
       .prepare = with_nothing,
       .attempt = [](subject& s) { return told(s.numbers.receive()); },
       .end = ends::when_provided,
       .provide = [](subject& s) -> task<void> { co_await s.numbers.send(7); }},
      {.name = "channel.next",
       .prepare = with_nothing,
       .attempt = [](subject& s) { return told(s.numbers.next()); },
       .end = ends::when_provided,
       .provide = [](subject& s) -> task<void> { co_await s.numbers.send(7); }},
      on_event("sequence.next", next_of_sequence),
      on_event("scope.join", told_of<join_one>),
      on_event("in_scope", told_of<scope_with_one>),
      on_event("future", told_of<future_of_event>),
      on_event("when_all", [](subject& s) { return told(asyncfs::when_all(s.event.wait(), s.event.wait())); }),
      on_event("when_any", [](subject& s) { return told(asyncfs::when_any(s.event.wait(), s.event.wait())); }),
      on_event("race", [](subject& s) { return told(asyncfs::race(s.event.wait(), asyncfs::sleep_for(1h))); }),
      {.name = "when_all_settled",
       .prepare = with_nothing,
       .attempt = [](subject& s) -> task<outcome> {
         const auto both = co_await asyncfs::when_all_settled(s.event.wait(), s.event.wait());
         CHECK(std::get<0>(both).has_value() == std::get<1>(both).has_value());
         co_return outcome{.error = std::get<0>(both).has_value() ? 0 : ECANCELED};
       },
       .end = ends::when_provided,
       .provide = set_event},
  };
}

}  // namespace matrix
