#include <asyncfs/detail/meter.hpp>

#include <time.h>
#include <unistd.h>

#include <algorithm>

namespace asyncfs::detail {

namespace {

constexpr std::uint32_t callbacks_a_slice = 16;
constexpr std::uint32_t callbacks_one_by_one = 4096;  // after a long slice
constexpr std::uint64_t long_slice_ns = 200'000;

std::int64_t processor_time() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

void meter::begin() noexcept {
  pulse_.thread.store(::gettid(), std::memory_order_relaxed);
  began_at_ = std::chrono::steady_clock::now();
  began_ = turn_began_ = slice_began_ = ticks();
  processor_at_end_ = 0;
  long_slice_ = long_slice_ns;  // of some unit between a third and all of a nanosecond: it need not be exact
  slice_length_ = callbacks_a_slice;
  slice_ends_at_ = callbacks() + slice_length_;
  pulse_.resting.store(false, std::memory_order_relaxed);
}

void meter::run_begins() noexcept {
  if (measures_) processor_elsewhere_ += processor_time() - processor_at_end_;
  resumes();
}

void meter::run_ended() noexcept {
  rests();
  if (measures_) processor_at_end_ = processor_time();
}

void meter::end_slice() noexcept {
  if (measures_) {
    const std::uint64_t now = ticks();
    judge_slice(now);
    slice_began_ = now;
    if (one_by_one_ > 0) one_by_one_ -= std::min(one_by_one_, slice_length_);
    slice_length_ = one_by_one_ > 0 ? 1 : callbacks_a_slice;
  }
  slice_ends_at_ = callbacks() + slice_length_;
}

void meter::end_turn() noexcept {
  const std::uint64_t now = ticks();
  judge_slice(now);
  busy_ += now - turn_began_;
  turns_of_.add(now - turn_began_);
}

void meter::judge_slice(std::uint64_t now) noexcept {
  const std::uint64_t duration = now - slice_began_;
  const auto ran = static_cast<std::uint32_t>(callbacks() - callbacks_before_slice_);
  callbacks_before_slice_ = callbacks();
  if (duration > long_slice_ && ran > 1) one_by_one_ = callbacks_one_by_one;
  if (ran == 0 || duration <= longest_.ticks) return;
  longest_ = {duration, pulse_.site.load(std::memory_order_relaxed), pulse_.cause.load(std::memory_order_relaxed), ran};
}

double meter::nanoseconds_a_tick() const noexcept {
  const auto wall = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - began_at_).count();
  const std::uint64_t counted = ticks() - began_;
  return counted == 0 ? 1.0 : wall / static_cast<double>(counted);
}

void meter::report(loop_metrics& into) const noexcept {
  into.turns = turns_;
  into.callbacks = callbacks();
  into.completions = completions_;
  if (began_ == 0 || !measures_) return;
  const double unit = nanoseconds_a_tick();
  const auto time = [unit](std::uint64_t counted) {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(static_cast<double>(counted) * unit));
  };
  const std::uint64_t now = ticks();
  into.lifetime = time(now - began_);
  const bool runs = !pulse_.resting.load(std::memory_order_relaxed);
  into.busy = time(runs ? busy_ + (now - turn_began_) : busy_);
  // What the thread used of the processor beyond that was the kernel's; the rest of the time it slept.
  const std::chrono::nanoseconds processor((runs ? processor_time() : processor_at_end_) - processor_elsewhere_);
  into.kernel = std::clamp(processor - into.busy, std::chrono::nanoseconds(0), into.lifetime - into.busy);
  into.idle = std::max(into.lifetime - into.busy - into.kernel, std::chrono::nanoseconds(0));
  into.lag = turns_of_;
  into.lag.set_unit(unit);
  into.longest = {time(longest_.ticks), longest_.site,
                  longest_.cause == no_operation ? std::string_view() : describe(longest_.cause).name,
                  longest_.callbacks};
}

}  // namespace asyncfs::detail
