// What the engines of one simulation share: the world, the seed, the clock, the trace, and the decisions.
#pragma once

#include <asyncfs/engine.hpp>
#include <asyncfs/testing/simulation.hpp>
#include <memory>
#include <string>
#include <vector>

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
  generator random;
  std::unique_ptr<asyncfs::detail::world> world;
  asyncfs::detail::memory::memory_world* memory = nullptr;  // the same, when it is one
  steady_time clock{};
  fault_coverage coverage;
  std::uint64_t operations = 0;
  std::uint64_t power_cut_at = 0;  // an operation's number; 0: never
  bool power_is_cut = false;

  // ---- trace
  enum class event : std::uint8_t { submitted, refused, effect, waits, completed, cancel, fault_met, slept };
  void note(event what, std::uint64_t operation, opcode code, std::int64_t value) {
    trace_.push_back({what, code, operation, value, clock});
    const auto mix = [this](std::uint64_t with) { hash_ = (hash_ ^ with) * 0x100000001b3; };
    mix(static_cast<std::uint64_t>(what) << 8 | static_cast<std::uint64_t>(code));
    mix(operation);
    mix(static_cast<std::uint64_t>(value));
    mix(static_cast<std::uint64_t>(clock.time_since_epoch().count()));
  }
  void meet(fault kind, std::uint64_t operation, opcode code) {
    coverage.mark(kind);
    note(event::fault_met, operation, code, static_cast<std::int64_t>(kind));
  }
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }
  [[nodiscard]] std::string text(std::size_t most) const;

 private:
  struct entry {
    event what;
    opcode code;
    std::uint64_t operation;
    std::int64_t value;
    steady_time at;
  };
  std::vector<entry> trace_;
  std::uint64_t hash_ = 0xcbf29ce484222325;
};

// The fault that this request meets, if any; and how it shows: an error, or a shorter length.
struct misfortune {
  std::int32_t error = 0;          // minus errno
  std::uint32_t most_bytes = ~0u;  // of the transfer
};
misfortune choose_misfortune(core& shared, const request& work, std::uint64_t number);

std::unique_ptr<engine> make_engine(std::shared_ptr<core> shared, const engine_options& options = {});

// "asyncfs-tests: seed 42 …": what to run to see this again.
[[nodiscard]] std::string replay_command(std::uint64_t seed);

}  // namespace asyncfs::testing::detail
