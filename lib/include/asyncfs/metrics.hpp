// What a loop knows of itself: where its time goes, how late things run, and what ran longest.
//
//   const asyncfs::loop_metrics m = home.metrics();
//   m.lag.percentile(99);                             // how long what was ready waited for its turn to begin
//   m.longest.duration, m.longest.site.line()         // which of the user's lines kept the loop longest
//
// Measured all the time: two looks at the processor's counter a turn, and one every sixteen callbacks.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <source_location>
#include <string_view>

#include <asyncfs/opcode.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

// Durations by powers of two, each in four parts: the error of a percentile is below a fifth. Kept in whatever unit is
// cheapest to measure, nanoseconds unless said otherwise. Not thread-safe.
class duration_histogram {
 public:
  using duration = std::chrono::nanoseconds;

  void add(std::uint64_t units) noexcept {
    ++buckets_[index_of(units)];
    ++count_;
    if (units > longest_) longest_ = units;
  }
  void set_unit(double nanoseconds) noexcept { unit_ = nanoseconds; }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] duration max() const noexcept { return in_time(longest_); }
  // The duration that `percent` of all do not exceed: an upper bound. Zero when there are none.
  [[nodiscard]] duration percentile(double percent) const noexcept;

 private:
  static constexpr unsigned parts = 4;
  static constexpr std::size_t buckets = 64 * parts;
  static constexpr std::size_t index_of(std::uint64_t units) noexcept {
    if (units < parts) return static_cast<std::size_t>(units);
    const auto power = static_cast<unsigned>(std::bit_width(units)) - 1;
    return power * parts + ((units >> (power - 2)) & (parts - 1)) - parts;
  }
  static std::uint64_t upper_bound_of(std::size_t index) noexcept;
  [[nodiscard]] duration in_time(std::uint64_t units) const noexcept {
    return duration(static_cast<std::int64_t>(static_cast<double>(units) * unit_));
  }

  std::array<std::uint64_t, buckets> buckets_{};
  std::uint64_t count_ = 0, longest_ = 0;
  double unit_ = 1.0;
};

// A stretch of the user's code that ran without giving the loop its turn.
struct loop_stretch {
  std::chrono::nanoseconds duration{};
  std::source_location site;    // the user's line it went on from: an await, a spawn, a start, a post
  std::string_view operation;   // whose completion it was; empty for none
  std::uint32_t callbacks = 0;  // how many it may have been; 1: exactly this one
};

struct loop_metrics {
  std::chrono::nanoseconds lifetime{};  // since the loop first ran
  std::chrono::nanoseconds busy{};      // in user code and the loop itself
  std::chrono::nanoseconds kernel{};    // in system calls that submit and wait, but for sleeping
  std::chrono::nanoseconds idle{};      // asleep
  std::uint64_t turns = 0, callbacks = 0, completions = 0;
  std::uint64_t submitted = 0, system_calls = 0;  // operations, and the calls that took them
  duration_histogram lag;                         // how long each turn kept what was ready for the next one waiting
  loop_stretch longest;
  std::size_t in_flight = 0;  // operations in the engine
  std::size_t waiting = 0;    // tasks that wait for an event, a permit, a channel, a walk, a future of another loop
  std::size_t timers = 0;
  std::size_t without_room = 0;  // operations that wait for others to end first
  std::size_t ready = 0;         // callbacks that are ready to run

  [[nodiscard]] double operations_a_call() const noexcept {
    return system_calls == 0 ? 0.0 : static_cast<double>(submitted) / static_cast<double>(system_calls);
  }
};

}  // namespace asyncfs
