// What a simulated engine acts upon: real files, or files in memory.
#pragma once

#include <cstdint>
#include <vector>

#include <asyncfs/request.hpp>

namespace asyncfs::detail {

class world {
 public:
  virtual ~world() = default;

  // Carries the request out now, without waiting: the system call's value, or minus errno. -EAGAIN of a request that
  // `may_wait` says may wait: there is nothing yet. `waits_on` then names what it waits for (0: unknown).
  virtual std::int32_t attempt(const request& work, std::uint64_t& waits_on) = 0;
  [[nodiscard]] virtual bool may_wait(const request& work) const noexcept = 0;
  // What those who wait should look at again since the last call.
  virtual std::vector<std::uint64_t> take_changes() = 0;
  // True: something outside of the simulation may still happen (real descriptors), and was waited for a moment.
  virtual bool wait_for_outside(const std::vector<const request*>& waiting) = 0;
  // The virtual time, before each attempt.
  virtual void set_time(std::int64_t nanoseconds) noexcept = 0;
  // From here on nothing changes any more.
  virtual void cut_power() = 0;
  // fsync failed: what was not durable may never become so.
  virtual void lose_unsynced(int fd) noexcept = 0;
};

}  // namespace asyncfs::detail
