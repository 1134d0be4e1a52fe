// A deterministic world to run asynchronous code in: one thread, a clock that jumps, one seed that decides every order,
// delay and fault. The same code runs in it that runs on a kernel.
//
//   asyncfs::testing::simulation world({.seed = 42});
//   world.files().write("/in/a", "some text");
//   world.run(copy_tree("/in", "/out"));               // a task of the program under test
//   assert(world.files().read("/out/a") == "some text");
//
// The seed is the whole input: the same seed gives the same run, event by event (`trace_hash`), as long as the code
// under test depends on nothing else (pointers' order, the real clock, other threads). `explore` (explore.hpp) runs many
// seeds and prints how to run a failing one again.
//
// Two kinds of world: files in memory (the default; stream sockets and pipes too), and real files, on which the same
// orders and faults are played with real system calls. Sleeping takes no time. offload runs its function in place.
// A run in which nothing can go on (tasks wait for what nobody will do) throws std::logic_error that says what waits.
// Loops that the program makes itself take part with `options()`, one at a time.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <asyncfs/run.hpp>
#include <asyncfs/testing/fault.hpp>
#include <asyncfs/testing/memory_files.hpp>

namespace [[gnu::visibility("default")]] asyncfs {
namespace testing {

struct simulation_options {
  std::uint64_t seed = 1;
  enum class files_kind : std::uint8_t { memory, real } files = files_kind::memory;
  fault_plan faults = fault_plan::none();
  // Completions take from none to this much virtual time; delayed ones a thousand times that.
  std::chrono::nanoseconds latency = std::chrono::milliseconds(1);
  // The operation, by its number from 1, at which the power goes; 0: as the plan says. From there on every operation
  // fails with EIO and changes nothing.
  std::uint64_t cut_power_at = 0;
  // What this kernel or file system does not have: EOPNOTSUPP, always.
  std::vector<opcode> denied{};
  bool reflinks = false;  // whether files in memory can share their data
  // A run of more operations than this does not end, and so ends the program, as does one of as many turns of a loop
  // without any (tasks that only yield or sleep); 0: no limit.
  std::uint64_t most_operations = 1'000'000;
  std::size_t most_events_kept = 10'000;  // for `trace`
};

namespace detail {
class core;
}

class simulation {
 public:
  explicit simulation(const simulation_options& options = {});
  simulation(const simulation&) = delete;
  simulation& operator=(const simulation&) = delete;
  // Everything that ran in it must have ended.
  ~simulation();

  // For loops that are made elsewhere: their engine is this world's.
  [[nodiscard]] loop_options options();
  [[nodiscard]] std::unique_ptr<engine> make_engine();
  // Runs a task to its end in a loop of this world.
  template <class T>
  T run(task<T> work) {
    return asyncfs::run(std::move(work), options());
  }

  // In memory only.
  [[nodiscard]] memory_files files();
  // open(2) of what exists. Throws std::system_error.
  [[nodiscard]] int open(const std::string& path, int flags);
  // Descriptors, to be owned by the caller: what is read and what is written; both ends of a connection.
  [[nodiscard]] std::array<int, 2> make_pipe(std::size_t capacity = std::size_t{64} << 10);
  [[nodiscard]] std::array<int, 2> make_socket_pair();
  // As the option of that name.
  void cut_power_at(std::uint64_t operation) noexcept;
  // The files as found after the power was cut, or would be if it were cut now; another `choice` may find others.
  [[nodiscard]] memory_files files_after_power_loss(std::uint64_t choice = 0);
  // What was written to standard output (1) or error (2); in memory only.
  [[nodiscard]] const std::string& written_to(int fd) const;
  // Descriptors that were opened and not closed, and uses of descriptors that were closed already; in memory only.
  [[nodiscard]] std::size_t open_descriptors() const noexcept;
  [[nodiscard]] std::vector<std::string> left_open() const;
  [[nodiscard]] std::size_t stale_uses() const noexcept;
  [[nodiscard]] bool power_is_cut() const noexcept;

  [[nodiscard]] std::uint64_t seed() const noexcept;
  [[nodiscard]] steady_time now() const noexcept;
  // A number below `bound`, from the seed: for decisions of the test itself.
  [[nodiscard]] std::uint64_t choose(std::uint64_t bound);
  [[nodiscard]] const fault_coverage& coverage() const noexcept;
  // Operations begun so far.
  [[nodiscard]] std::uint64_t operations() const noexcept;
  // A fingerprint of every event so far; equal for equal runs.
  [[nodiscard]] std::uint64_t trace_hash() const noexcept;
  // The last events as lines of text, at most `most` of them.
  [[nodiscard]] std::string trace(std::size_t most = ~std::size_t{0}) const;

 private:
  std::shared_ptr<detail::core> core_;
};

}  // namespace testing
}  // namespace asyncfs
