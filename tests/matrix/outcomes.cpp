// Success, and every error that a system can give.
#include <asyncfs/testing/ring_faults.hpp>

#include "cells.hpp"

using asyncfs::testing::ring_faults;

namespace matrix {

namespace {

constexpr int last_error = EHWPOISON;  // the highest errno there is

task<void> does_its_job(place& at, const row& what) {
  const std::size_t before = open_now(at);
  {
    subject s(at);
    co_await make_ready(s, what);
    if (s.lacks != nullptr) co_return;
    asyncfs::future<void> providing;
    if (what.provide != nullptr) providing = asyncfs::spawn(at.home, what.provide(s));
    if (what.end == ends::when_time_comes) co_await std::exchange(providing, {});
    const outcome how = co_await what.attempt(s);
    check_success(what, how);
    if (what.provide != nullptr && what.end == ends::when_provided) co_await std::move(providing);
    co_await check_effect(s, what, how);
    if (what.balanced != nullptr) {
      const bool balanced = co_await what.balanced(s, static_cast<std::size_t>(how.value));
      CHECK(balanced);
    }
    co_await clear_away(s);
  }
  CHECK(open_now(at) == before);
}

// What was interrupted is asked for again, where that can do no harm.
bool begins_again(opcode code, int error) {
  return error == EINTR && code != opcode::close && code != opcode::connect && code != opcode::call;
}

int expected(const row& what, opcode code, int error) {
  if (code == opcode::close && error == ECANCELED) return 0;  // closing is not cancelled
  return what.becomes != nullptr ? what.becomes(code, error) : error;
}

bool is_looked_at(const part& one, int error) {
  return one.every_error || error == EIO || error == ENOMEM || error == EACCES || error == EINTR ||
         error == ECANCELED || error == EMFILE || error == EPIPE || error == EINVAL;
}

struct tried {
  std::size_t errors = 0;
};

task<void> fails_with(subject& s, const row& what, opcode code, int error, int becomes, ring_faults& faults) {
  INFO(asyncfs::describe(code).name << " fails with " << std::strerror(error));
  const std::size_t struck = faults.struck();
  faults.fail(1, code, error);
  if (begins_again(code, error)) faults.fail(2, code, becomes);
  const outcome how = co_await what.attempt(s);
  faults.clear();
  CHECK(faults.struck() > struck);
  CHECK(how.error == becomes);
}

task<void> fails_with_every_error(place& at, const row& what, ring_faults& faults, tried& counted) {
  const std::size_t before = open_now(at);
  for (const part& one : what.parts) {
    std::optional<subject> s;
    for (int error = 1; error <= last_error; ++error) {
      const int becomes = expected(what, one.code, begins_again(one.code, error) ? EIO : error);
      if (becomes == own_rule || !is_looked_at(one, error)) continue;
      if (!s) {
        s.emplace(at);
        co_await make_ready(*s, what);
        if (s->lacks != nullptr) co_return;
        if (what.provide != nullptr) co_await what.provide(*s);
      }
      co_await fails_with(*s, what, one.code, error, becomes, faults);
      ++counted.errors;
      // Nothing was carried out but what is done without, and closing.
      if (becomes != 0 && one.code != opcode::close) continue;
      co_await clear_away(*s);
      s.reset();
    }
    if (s) co_await clear_away(*s);
  }
  CHECK(open_now(at) == before);
}

}  // namespace

TEST_CASE("every operation does its job on every engine") { for_every_row(cell::success, concerns_all, does_its_job); }

TEST_CASE("every error of every request that an operation makes is the operation's own, on every engine") {
  ring_faults faults;
  tried counted;
  const auto test = [&](place& at, const row& what) { return fails_with_every_error(at, what, faults, counted); };
  for_every_row(
      cell::each_error, [](const row& what) { return !what.parts.empty(); }, test, {},
      faults.on(asyncfs::engine_options()).faults);
  CHECK(counted.errors > 10'000);
}

}  // namespace matrix
