// What a simulated engine acts upon: real files, or files in memory.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include <asyncfs/request.hpp>

namespace asyncfs::detail {

class world {
 public:
  virtual ~world() = default;

  // An attempt's answer when the request has to wait for a peer first. No system call's value.
  static constexpr std::int32_t must_wait = std::numeric_limits<std::int32_t>::min();

  // Keeps the open file that the request names, as a kernel does from the moment it takes a request, however early its
  // descriptor is closed.
  [[nodiscard]] virtual std::shared_ptr<void> hold(const request&) { return nullptr; }
  // Carries the request out now, without waiting: the system call's value, minus errno, or `must_wait`; `waits_on` then
  // names what it waits for. `held` is what `hold` gave. The world may note in `work.extra` how far it got.
  virtual std::int32_t attempt(request& work, const std::shared_ptr<void>& held, std::uint64_t& waits_on) = 0;
  // What those who wait should look at again since the last call.
  virtual std::vector<std::uint64_t> take_changes() = 0;
  // Of those who wait, the ones for which something came from outside of the simulation, in `ready`; waits up to
  // `patience` for that. False: nothing can come.
  virtual bool look_outside(std::span<const request* const> waiting, std::chrono::milliseconds patience,
                            std::vector<std::size_t>& ready) = 0;
  // The virtual time, before each attempt.
  virtual void set_time(std::int64_t nanoseconds) noexcept = 0;
  // From here on nothing changes any more.
  virtual void cut_power() = 0;
  // fsync failed: what was not durable may never become so.
  virtual void lose_unsynced(int fd) noexcept = 0;
};

}  // namespace asyncfs::detail
