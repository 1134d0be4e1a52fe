#include "pipeline/statistics.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include "pipeline/progress.hpp"

namespace tool {

namespace {

double processor_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto in_seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return in_seconds(used.ru_utime) + in_seconds(used.ru_stime);
}

double seconds(std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

statistics::statistics() : begun_(std::chrono::steady_clock::now()) {}

void statistics::add(const asyncfs::loop_metrics& loop, std::string_view engine) {
  const std::lock_guard lock(mutex_);
  engine_ = engine;
  ++loops_;
  operations_ += loop.submitted;
  system_calls_ += loop.system_calls;
  lifetime_ += loop.lifetime;
  busy_ += loop.busy;
  kernel_ += loop.kernel;
  idle_ += loop.idle;
}

statistics::summary statistics::sum_up(std::uint64_t files, std::uint64_t bytes) const {
  return {files, bytes, seconds(std::chrono::steady_clock::now() - begun_), processor_seconds()};
}

std::vector<std::string> statistics::lines(const summary& of) const {
  const std::lock_guard lock(mutex_);
  const double all = std::max(seconds(lifetime_), 1e-9);
  const auto share = [all](std::chrono::nanoseconds part) { return 100 * seconds(part) / all; };
  return {
      fmt::format("{} files and {} in {:.3f} s: {}/s, {:.0f} files a second", grouped(of.files),
                  in_units(static_cast<double>(of.bytes)), of.seconds,
                  in_units(static_cast<double>(of.bytes) / std::max(of.seconds, 1e-9)),
                  static_cast<double>(of.files) / std::max(of.seconds, 1e-9)),
      fmt::format("{} {} on {}: {} operations in {} system calls, {:.1f} a call", loops_,
                  loops_ == 1 ? "loop" : "loops", engine_, grouped(operations_), grouped(system_calls_),
                  static_cast<double>(operations_) / static_cast<double>(std::max<std::uint64_t>(system_calls_, 1))),
      fmt::format("time of the loops: {:.0f} % computing, {:.0f} % in system calls, {:.0f} % waiting for devices and "
                  "other threads; processor time {:.3f} s",
                  share(busy_), share(kernel_), share(idle_), of.processor_seconds),
  };
}

std::string statistics::members() const {
  const std::lock_guard lock(mutex_);
  return fmt::format(
      ",\"loops\":{},\"engine\":\"{}\",\"operations\":{},\"system_calls\":{},\"computing_seconds\":{:.6f},"
      "\"system_call_seconds\":{:.6f},\"waiting_seconds\":{:.6f},\"processor_seconds\":{:.6f}",
      loops_, engine_, operations_, system_calls_, seconds(busy_), seconds(kernel_), seconds(idle_),
      processor_seconds());
}

}  // namespace tool
