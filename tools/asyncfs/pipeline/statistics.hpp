// What a job took: --stats.
#pragma once

#include <asyncfs/metrics.hpp>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace tool {

// What the loops of a pass did, or of passes one after the other.
struct loops_cost {
  std::string engine;
  unsigned loops = 0;
  std::uint64_t operations = 0, system_calls = 0;
  std::chrono::nanoseconds lifetime{}, busy{}, kernel{}, idle{};  // summed up over the loops

  // Another pass, by as many loops.
  loops_cost& operator+=(const loops_cost& next);
};

struct tree_summary {
  std::uint64_t files = 0, bytes = 0;
  double seconds = 0;
  loops_cost cost{};
  // Another pass.
  tree_summary& operator+=(const tree_summary& next);
};

// For people: lines.
[[nodiscard]] std::vector<std::string> statistics_lines(const tree_summary& of);
// Members of a JSON object, ",\"system_calls\":12"...
[[nodiscard]] std::string statistics_members(const tree_summary& of);

// Of a pass that is going on. Any thread.
class statistics {
 public:
  // Of a loop whose work is done.
  void add(const asyncfs::loop_metrics& loop, std::string_view engine);
  [[nodiscard]] tree_summary sum_up(std::uint64_t files, std::uint64_t bytes) const;

 private:
  mutable std::mutex mutex_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  loops_cost cost_;
};

}  // namespace tool
