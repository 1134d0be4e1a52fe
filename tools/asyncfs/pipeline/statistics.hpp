// What a job took: --stats.
#pragma once

#include <asyncfs/metrics.hpp>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace tool {

// Any thread.
class statistics {
 public:
  statistics();
  // Of a loop whose work is done.
  void add(const asyncfs::loop_metrics& loop, std::string_view engine);

  struct summary {
    std::uint64_t files, bytes;
    double seconds;            // since it was made
    double processor_seconds;  // of the process, user and system
  };
  [[nodiscard]] summary sum_up(std::uint64_t files, std::uint64_t bytes) const;
  // For people: lines.
  [[nodiscard]] std::vector<std::string> lines(const summary& of) const;
  // Members of a JSON object, ",\"system_calls\":12"...
  [[nodiscard]] std::string members() const;

 private:
  mutable std::mutex mutex_;
  std::chrono::steady_clock::time_point begun_;
  std::string engine_;
  unsigned loops_ = 0;
  std::uint64_t operations_ = 0, system_calls_ = 0;
  std::chrono::nanoseconds lifetime_{}, busy_{}, kernel_{}, idle_{};
};

}  // namespace tool
