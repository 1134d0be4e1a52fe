#include "pipeline/statistics.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>

#include "pipeline/progress.hpp"

namespace tool {

namespace {

// Of the process so far, user and system.
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

loops_cost& loops_cost::operator+=(const loops_cost& next) {
  engine = next.engine;
  loops = std::max(loops, next.loops);
  operations += next.operations;
  system_calls += next.system_calls;
  lifetime += next.lifetime;
  busy += next.busy;
  kernel += next.kernel;
  idle += next.idle;
  return *this;
}

tree_summary& tree_summary::operator+=(const tree_summary& next) {
  files += next.files;
  bytes += next.bytes;
  seconds += next.seconds;
  cost += next.cost;
  return *this;
}

void statistics::add(const asyncfs::loop_metrics& loop, std::string_view engine) {
  const std::lock_guard lock(mutex_);
  const unsigned loops = cost_.loops + 1;
  cost_ +=
      {std::string(engine), 1, loop.submitted, loop.system_calls, loop.lifetime, loop.busy, loop.kernel, loop.idle};
  cost_.loops = loops;
}

tree_summary statistics::sum_up(std::uint64_t files, std::uint64_t bytes) const {
  const std::lock_guard lock(mutex_);
  return {files, bytes, seconds(std::chrono::steady_clock::now() - begun_), cost_};
}

std::vector<std::string> statistics_lines(const tree_summary& of) {
  const loops_cost& cost = of.cost;
  const double wall = std::max(of.seconds, 1e-9), all = std::max(seconds(cost.lifetime), 1e-9);
  const auto share = [all](std::chrono::nanoseconds part) { return 100 * seconds(part) / all; };
  return {
      fmt::format("{} files and {} in {:.3f} s: {}/s, {:.0f} files a second", grouped(of.files),
                  in_units(static_cast<double>(of.bytes)), of.seconds, in_units(static_cast<double>(of.bytes) / wall),
                  static_cast<double>(of.files) / wall),
      fmt::format(
          "{} {} on {}: {} operations in {} system calls, {:.1f} a call", cost.loops,
          cost.loops == 1 ? "loop" : "loops", cost.engine, grouped(cost.operations), grouped(cost.system_calls),
          static_cast<double>(cost.operations) / static_cast<double>(std::max<std::uint64_t>(cost.system_calls, 1))),
      fmt::format("time of the loops: {:.0f} % computing, {:.0f} % in system calls, {:.0f} % waiting for devices and "
                  "other threads; processor time {:.3f} s",
                  share(cost.busy), share(cost.kernel), share(cost.idle), processor_seconds()),
  };
}

std::string statistics_members(const tree_summary& of) {
  const loops_cost& cost = of.cost;
  return fmt::format(
      ",\"loops\":{},\"engine\":\"{}\",\"operations\":{},\"system_calls\":{},\"computing_seconds\":{:.6f},"
      "\"system_call_seconds\":{:.6f},\"waiting_seconds\":{:.6f},\"processor_seconds\":{:.6f}",
      cost.loops, cost.engine, cost.operations, cost.system_calls, seconds(cost.busy), seconds(cost.kernel),
      seconds(cost.idle), processor_seconds());
}

}  // namespace tool
