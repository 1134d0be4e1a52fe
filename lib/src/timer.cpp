#include <asyncfs/timer.hpp>

#include <stdexcept>

namespace asyncfs {

interval::interval(steady_time::duration period) : period_(period) {
  if (period <= steady_time::duration::zero()) throw std::invalid_argument("interval: the period must be positive");
}

task<std::optional<std::uint64_t>> interval::next() {
  const task_context at = co_await this_task;
  if (!last_) last_ = at.home.now();
  co_await sleep_until(detail::sleep_awaiter::after(*last_, period_));
  const auto periods = (at.home.now() - *last_) / period_;
  *last_ += periods * period_;
  co_return static_cast<std::uint64_t>(periods);
}

}  // namespace asyncfs
