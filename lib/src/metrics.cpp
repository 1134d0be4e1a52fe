#include <asyncfs/loop.hpp>

#include <algorithm>
#include <cmath>

namespace asyncfs {

std::uint64_t duration_histogram::upper_bound_of(std::size_t index) noexcept {
  if (index < parts) return index;
  const auto power = static_cast<unsigned>((index + parts) / parts);
  const std::uint64_t part = (index + parts) % parts;
  return (((parts + part + 1) << (power - 2)) - 1);
}

duration_histogram::duration duration_histogram::percentile(double percent) const noexcept {
  if (count_ == 0) return {};
  const auto wanted = static_cast<std::uint64_t>(std::ceil(static_cast<double>(count_) * percent / 100.0));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets; ++i) {
    seen += buckets_[i];
    if (seen >= wanted && seen > 0) return in_time(std::min(longest_, upper_bound_of(i)));
  }
  return max();
}

loop_metrics loop::metrics() {
  loop_metrics all;
  meter_.report(all);
  all.submitted = engine_->count().submitted;
  all.system_calls = engine_->count().enters;
  all.in_flight = in_flight_;
  all.waiting = parked_;
  all.timers = timers_.size();
  all.ready = ready_.size();
  backlog_.for_each([&all](detail::pending&) { ++all.without_room; });
  return all;
}

}  // namespace asyncfs
