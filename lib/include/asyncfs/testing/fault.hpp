// What a simulation does to a program: kinds of faults, how often, and which were met.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace [[gnu::visibility("default")]] asyncfs {
namespace testing {

enum class fault : std::uint8_t {
  short_read,   // fewer bytes than asked for and there
  short_write,  // fewer bytes than asked for
  interrupted,  // EINTR
  again,        // EAGAIN: not in the cache, or not ready after all
  no_space,     // ENOSPC
  io_error,     // EIO; after a failed fsync the data may be lost
  quota,        // EDQUOT
  no_memory,    // ENOMEM
  denied,       // EOPNOTSUPP, of what a kernel or a file system may lack
  delayed,      // a completion that comes seconds later than others
  reordered,    // a completion that overtakes an older one
  cancel_won,   // a cancel that came before the effect
  cancel_lost,  // a cancel that came too late: the result is delivered
  queue_full,   // no room in the submission queue
  power_loss,   // from some moment on nothing becomes durable any more
};
inline constexpr std::size_t fault_kinds = 15;
[[nodiscard]] std::string_view name_of(fault kind) noexcept;

// How likely each kind is wherever it can happen, from 0 to 1. Reordering follows from latencies, cancels from cancels.
struct fault_plan {
  std::array<double, fault_kinds> rates{};

  [[nodiscard]] static fault_plan none() noexcept { return {}; }
  // A bit of everything, but for power loss.
  [[nodiscard]] static fault_plan usual() noexcept;
  fault_plan& set(fault kind, double rate) noexcept {
    rates[static_cast<std::size_t>(kind)] = rate;
    return *this;
  }
  [[nodiscard]] double of(fault kind) const noexcept { return rates[static_cast<std::size_t>(kind)]; }
};

// How often each kind was met.
struct fault_coverage {
  std::array<std::uint64_t, fault_kinds> hits{};

  void mark(fault kind) noexcept { ++hits[static_cast<std::size_t>(kind)]; }
  [[nodiscard]] std::uint64_t of(fault kind) const noexcept { return hits[static_cast<std::size_t>(kind)]; }
  void merge(const fault_coverage& other) noexcept {
    for (std::size_t i = 0; i < fault_kinds; ++i) hits[i] += other.hits[i];
  }
  // The names of those never met.
  [[nodiscard]] std::vector<std::string> missing() const;
};

}  // namespace testing
}  // namespace asyncfs
