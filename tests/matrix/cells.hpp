// The cells of the matrix: what happens to an operation. Each test fills one cell for every operation on every engine.
#pragma once

#include <functional>
#include <string>

#include "operations.hpp"

namespace matrix {

enum class cell : std::uint8_t {
  success,
  each_error,
  short_transfer,
  cancelled_before,
  cancelled_in_flight,
  racing,
  cancelled_after,
};
inline constexpr std::size_t cells = 7;

// Runs the test in a loop of its own for each row on each engine, but for rows that a cell does not concern, and counts
// it for the table that is printed at the end. No descriptor and no child may be left.
void for_every_row(cell which, bool (*concerns)(const row&), const std::function<task<void>(place&, const row&)>& test,
                   const std::function<void(tests::engine_under_test&)>& adapt = {},
                   const asyncfs::engine_faults* faults = nullptr);
inline bool concerns_all(const row&) { return true; }

// The same for a test that goes through no rows.
void for_every_engine(const std::function<task<void>(place&)>& test,
                      const std::function<void(tests::engine_under_test&)>& adapt = {},
                      const asyncfs::engine_faults* faults = nullptr);

// An attempt in a scope of its own.
struct run {
  run(subject& with, const row& of, asyncfs::cancel_scope& above) : s(with), what(of), scope(&above) {}
  subject& s;
  const row& what;
  asyncfs::cancel_scope scope;
  int ended = 0;
  outcome how;
};
task<void> observe(run& one);

// Makes what the row needs, in a new directory; and takes away what would outlive the subject.
task<void> make_ready(subject& s, const row& what);
task<void> clear_away(subject& s);

// Turns of the loop, until what was started has come as far as it can.
task<void> settle(place& at);

// The outcome is what the row says of success.
void check_success(const row& what, const outcome& how);
// What can be seen of the operation agrees with its outcome.
task<void> check_effect(subject& s, const row& what, const outcome& how);

[[nodiscard]] std::size_t open_now(const place& at);

}  // namespace matrix
