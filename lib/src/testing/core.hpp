// What the engines of one simulation share: the world, the seed, the clock, the trace, and the decisions.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <thread>

#include <asyncfs/engine.hpp>
#include <asyncfs/testing/simulation.hpp>

#include "testing/event_log.hpp"
#include "testing/memory/memory_world.hpp"
#include "testing/world.hpp"

namespace asyncfs::testing::detail {

// splitmix64: small, fast, and the same everywhere.
class generator {
 public:
  explicit generator(std::uint64_t seed) noexcept : state_(seed) {}
  std::uint64_t next() noexcept {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t bound) noexcept { return bound == 0 ? 0 : next() % bound; }
  bool happens(double rate) noexcept { return rate > 0 && static_cast<double>(next() >> 11) * 0x1.0p-53 < rate; }

 private:
  std::uint64_t state_;
};

class core {
 public:
  explicit core(const simulation_options& options);

  const simulation_options options;
  const std::thread::id thread = std::this_thread::get_id();
  generator random;
  std::unique_ptr<asyncfs::detail::world> world;
  asyncfs::detail::memory::memory_world* memory = nullptr;  // the same, when it is one
  steady_time clock{};
  fault_coverage coverage;
  std::uint64_t operations = 0;
  std::uint64_t power_cut_at = 0;  // an operation's number; 0: never
  bool power_is_cut = false;

  event_log log;

  void note(event_log::event what, std::uint64_t operation, opcode code, std::int64_t value) {
    log.note(what, clock, operation, code, value);
  }
  void meet(fault kind, std::uint64_t operation, opcode code) {
    coverage.mark(kind);
    note(event_log::event::fault_met, operation, code, static_cast<std::int64_t>(kind));
  }
  [[nodiscard]] bool denies(opcode code) const noexcept { return denied_[static_cast<std::uint8_t>(code)]; }
  // Ends the program, with what happened last and how to see it again.
  [[noreturn]] void give_up(const char* why, const std::string& more = {}) const;

 private:
  std::array<bool, 256> denied_{};
};

// The fault that this request meets, if any; and how it shows: an error, or a shorter length.
struct misfortune {
  std::int32_t error = 0;          // minus errno
  std::uint32_t most_bytes = ~0u;  // of the transfer
};
[[nodiscard]] misfortune choose_misfortune(core& shared, const request& work, std::uint64_t number);

std::unique_ptr<engine> make_engine(std::shared_ptr<core> shared, const engine_options& options = {});

// How many bytes a transfer moves at most.
[[nodiscard]] std::uint64_t bytes_wanted(const request& work) noexcept;

// The command that runs this program again with one seed.
[[nodiscard]] std::string replay_command(std::uint64_t seed);

}  // namespace asyncfs::testing::detail
