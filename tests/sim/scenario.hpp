// Scenarios of the library in a simulated world: each is written down once, here registered, and in scenarios.cpp run
// under many seeds, twice under the same one, and counted for the faults it met.
//
//   const scenario reads("what was written reads back", [](simulation& world) { ... require(...); });
//
// A scenario runs tasks in the world and checks what must hold whatever befell them. The simulator checks after each
// that no descriptor was left open, and that none was used after it was closed.
#pragma once

#include <asyncfs/asyncfs.hpp>
#include <asyncfs/testing/explore.hpp>

#include <optional>
#include <string>
#include <vector>

namespace sim {

using asyncfs::task;
using asyncfs::testing::fault;
using asyncfs::testing::fault_plan;
using asyncfs::testing::require;
using asyncfs::testing::simulation;

struct scenario {
  using body = void (*)(simulation&);
  scenario(const char* what_holds, body what, const fault_plan& with = fault_plan::usual());

  const char* name;
  body run;
  fault_plan faults;
};

// Those of the whole program, in no particular order.
[[nodiscard]] std::vector<const scenario*>& scenarios();

// Waits for the work; whether it ended without an error of the system. Every other exception goes on.
task<bool> attempted(task<void> work);
template <class T>
task<std::optional<T>> attempted(task<T> work) {
  try {
    co_return std::optional<T>(co_await std::move(work));
  } catch (const std::system_error&) {
  }
  co_return std::nullopt;
}
// The same from outside of a task.
inline bool succeeds(simulation& world, task<void> work) { return world.run(attempted(std::move(work))); }

// Letters that differ from one mark to another, and from one place to the next.
[[nodiscard]] std::string text(std::uint64_t mark, std::size_t size);
// A size at which something may go wrong: around nothing, a page, and the pieces of the library.
[[nodiscard]] std::size_t some_size(simulation& world);
// From nothing to `most`.
[[nodiscard]] std::chrono::nanoseconds some_time(simulation& world, std::chrono::nanoseconds most);
// Whether this is how a cancelled wait ends.
[[nodiscard]] bool is_cancel(const std::exception_ptr& error);

[[nodiscard]] inline std::span<const std::byte> bytes_of(const std::string& of) { return std::as_bytes(std::span(of)); }
[[nodiscard]] inline std::span<std::byte> room_in(std::string& of) { return std::as_writable_bytes(std::span(of)); }

// read_file of a path that the task keeps.
inline task<std::string> read_path(std::string path) { co_return co_await asyncfs::read_file(path.c_str()); }
inline task<void> write_path(std::string path, std::string text) { co_await asyncfs::write_file(path.c_str(), text); }

}  // namespace sim
