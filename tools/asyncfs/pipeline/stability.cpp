#include "pipeline/stability.hpp"

#include <time.h>

namespace tool {

stability stability::begin() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return {{now.tv_sec, static_cast<std::uint32_t>(now.tv_nsec)}};
}

bool stability::proves_unchanged(const asyncfs::file_status& after) const noexcept {
  // The kernel stamps with a coarse clock: two changes within its grain (10 ms at worst) can look like one.
  constexpr std::int64_t grain_ns = 20'000'000;
  const std::int64_t age_ns =
      (opened.seconds - after.changed.seconds) * 1'000'000'000 +
      (static_cast<std::int64_t>(opened.nanoseconds) - static_cast<std::int64_t>(after.changed.nanoseconds));
  return opened.seconds - after.changed.seconds > 1 || age_ns > grain_ns;
}

}  // namespace tool
