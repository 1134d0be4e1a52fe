// Cancelled before it starts, in flight, in the moment of its end, and afterwards: an operation ends exactly once, and
// what it says of itself is so.
#include "cells.hpp"

namespace matrix {

namespace {

// When the cancel comes: so many continuations, then so many trips through the engine, after the start.
struct moment {
  int yields, trips;
};
constexpr std::array<moment, 8> moments = {{{0, 0}, {1, 0}, {2, 0}, {3, 0}, {1, 1}, {0, 2}, {2, 3}, {0, 5}}};

task<void> wait_until(moment when) {
  for (int i = 0; i < when.yields; ++i) co_await asyncfs::yield();
  for (int i = 0; i < when.trips; ++i) co_await asyncfs::nop();
}

bool can_be_cancelled(const row& what) { return !what.ends_despite_cancel && !what.only_succeeds; }

// Once more, uncancelled, after an attempt that was cancelled: nothing of what it waited for was lost.
task<void> once_more(subject& s, const row& what, outcome& how) {
  how = co_await what.attempt(s);
  check_success(what, how);
}

task<void> check_balance(subject& s, const row& what, std::int64_t moved) {
  if (what.balanced == nullptr) co_return;
  const bool balanced = co_await what.balanced(s, static_cast<std::size_t>(moved));
  CHECK(balanced);
}

task<void> before_it_starts(subject& s, const row& what) {
  const asyncfs::task_context here = co_await asyncfs::this_task;
  run one(s, what, here.scope);
  one.scope.cancel();
  asyncfs::future<void> providing;
  if (what.provide != nullptr) providing = asyncfs::spawn(s.at.home, what.provide(s));
  co_await settle(s.at);
  co_await observe(one);
  CHECK(one.ended == 1);
  CHECK(one.how.error == (can_be_cancelled(what) ? ECANCELED : 0));
  co_await check_effect(s, what, one.how);
  outcome how = one.how;
  if (can_be_cancelled(what)) co_await once_more(s, what, how);
  if (what.provide != nullptr) co_await std::move(providing);
  co_await check_effect(s, what, how);
  co_await check_balance(s, what, how.value);
}

task<void> while_it_waits(subject& s, const row& what) {
  const asyncfs::task_context here = co_await asyncfs::this_task;
  run one(s, what, here.scope);
  asyncfs::future<void> running = asyncfs::spawn(s.at.home, observe(one));
  co_await settle(s.at);
  CHECK(one.ended == 0);
  one.scope.cancel();
  co_await std::move(running);
  CHECK(one.ended == 1);
  CHECK(one.how.error == ECANCELED);
  co_await check_effect(s, what, one.how);
  asyncfs::future<void> providing = asyncfs::spawn(s.at.home, what.provide(s));
  if (what.end == ends::when_time_comes) co_await std::exchange(providing, {});
  outcome how;
  co_await once_more(s, what, how);
  if (what.end == ends::when_provided) co_await std::move(providing);
  co_await check_effect(s, what, how);
  co_await check_balance(s, what, how.value);
}

void check_either(const row& what, const run& one) {
  CHECK(one.ended == 1);
  if (one.how.error == ECANCELED && can_be_cancelled(what)) return;
  // What was under way may be cut short.
  const bool is_short = what.is_transfer && one.how.value > 0 && one.how.value < what.value;
  if (!is_short) check_success(what, one.how);
}

task<void> while_it_works(subject& s, const row& what, moment when) {
  const asyncfs::task_context here = co_await asyncfs::this_task;
  run one(s, what, here.scope);
  asyncfs::future<void> running = asyncfs::spawn(s.at.home, observe(one));
  co_await wait_until(when);
  one.scope.cancel();
  co_await std::move(running);
  check_either(what, one);
  co_await check_effect(s, what, one.how);
  co_await check_balance(s, what, one.how.value);
}

// What it waits for comes at about the time of the cancel, before it or after.
task<void> as_it_is_provided(subject& s, const row& what, moment when, bool cancel_first) {
  const asyncfs::task_context here = co_await asyncfs::this_task;
  run one(s, what, here.scope);
  asyncfs::future<void> running = asyncfs::spawn(s.at.home, observe(one));
  co_await settle(s.at);
  CHECK(one.ended == 0);
  if (cancel_first) one.scope.cancel();
  asyncfs::future<void> providing = asyncfs::spawn(s.at.home, what.provide(s));
  co_await wait_until(when);
  if (!cancel_first) one.scope.cancel();
  co_await std::move(running);
  check_either(what, one);
  outcome how = one.how;
  if (how.error == 0) co_await std::exchange(providing, {});
  co_await check_effect(s, what, how);
  if (how.error != 0) {
    co_await once_more(s, what, how);
    co_await std::move(providing);
    co_await check_effect(s, what, how);
  }
  co_await check_balance(s, what, how.value);
}

task<void> as_time_comes(subject& s, const row& what, moment when) {
  const asyncfs::task_context here = co_await asyncfs::this_task;
  run one(s, what, here.scope);
  co_await what.provide(s);
  asyncfs::future<void> running = asyncfs::spawn(s.at.home, observe(one));
  co_await wait_until(when);
  one.scope.cancel();
  co_await std::move(running);
  check_either(what, one);
}

task<void> after_its_end(subject& s, const row& what) {
  const asyncfs::task_context here = co_await asyncfs::this_task;
  run one(s, what, here.scope);
  asyncfs::future<void> providing;
  if (what.provide != nullptr) providing = asyncfs::spawn(s.at.home, what.provide(s));
  if (what.end == ends::when_time_comes) co_await std::exchange(providing, {});
  co_await observe(one);
  const outcome how = one.how;
  if (what.end == ends::when_provided) co_await std::move(providing);
  one.scope.cancel();
  co_await settle(s.at);
  CHECK(one.ended == 1);
  CHECK(one.how == how);
  check_success(what, one.how);
  co_await check_effect(s, what, one.how);
  co_await check_balance(s, what, how.value);
}

// Runs `round` on a fresh subject. No descriptor may be left by it.
template <class... Arguments>
task<void> on_fresh_subject(place& at, const row& what, task<void> (*round)(subject&, const row&, Arguments...),
                            Arguments... arguments) {
  const std::size_t before = open_now(at);
  {
    subject s(at);
    co_await make_ready(s, what);
    if (s.lacks == nullptr) co_await round(s, what, arguments...);
    co_await clear_away(s);
  }
  CHECK(open_now(at) == before);
}

task<void> in_flight(place& at, const row& what) {
  if (what.waits()) {
    co_await on_fresh_subject(at, what, while_it_waits);
    co_return;
  }
  for (const int yields : {0, 1, 2}) co_await on_fresh_subject(at, what, while_it_works, moment{yields, 0});
}

task<void> racing(place& at, const row& what) {
  for (const moment when : moments) {
    INFO("cancelled after " << when.yields << " continuations and " << when.trips << " trips");
    if (what.end == ends::when_time_comes) {
      co_await on_fresh_subject(at, what, as_time_comes, when);
    } else if (what.end == ends::when_provided) {
      co_await on_fresh_subject(at, what, as_it_is_provided, when, false);
      co_await on_fresh_subject(at, what, as_it_is_provided, when, true);
    } else {
      co_await on_fresh_subject(at, what, while_it_works, when);
    }
  }
}

}  // namespace

TEST_CASE("cancelled before it starts, an operation ends as cancelled and has not happened, on every engine") {
  for_every_row(cell::cancelled_before, concerns_all,
                [](place& at, const row& what) { return on_fresh_subject(at, what, before_it_starts); });
}

TEST_CASE("cancelled in flight, an operation ends once, and its effect agrees with its outcome, on every engine") {
  for_every_row(cell::cancelled_in_flight, concerns_all, in_flight);
}

TEST_CASE("a cancel that races the end of an operation loses nothing, whoever wins, on every engine") {
  for_every_row(cell::racing, concerns_all, racing);
}

TEST_CASE("a cancel after its end changes nothing of an operation, on every engine") {
  for_every_row(cell::cancelled_after, concerns_all,
                [](place& at, const row& what) { return on_fresh_subject(at, what, after_its_end); });
}

}  // namespace matrix
