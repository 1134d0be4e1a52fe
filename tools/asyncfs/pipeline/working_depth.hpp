// How many files a loop works on at once: few while they are cached, so that their buffers stay in the CPU's cache too;
// many while a device sets the pace, which serves a deep queue several times faster.
//
// Loop thread only.
#pragma once

#include <asyncfs/loop.hpp>

#include <algorithm>
#include <cstdint>

namespace tool {

class working_depth {
 public:
  static constexpr unsigned when_cached = 32;
  static constexpr unsigned at_most = 256;  // on an SSD 128 took 8 % longer, and 512 half as much memory again

  // Never more than `most`; always that where the user has `fixed` it.
  working_depth(bool fixed, unsigned most, const asyncfs::loop::flow_counters& total) noexcept
      : fixed_(fixed), most_(most), now_(fixed ? most : least()), seen_(total) {}

  [[nodiscard]] unsigned now() const noexcept { return now_; }

  // `total`: what the loop has counted up to now. Whether more are to be worked on than before.
  bool look(const asyncfs::loop::flow_counters& total) noexcept {
    const std::uint64_t completed = total.completed - seen_.completed;
    if (fixed_ || completed < completions_a_look) return false;
    const auto in_flight = std::max<std::uint64_t>(total.in_flight - seen_.in_flight, 1);
    seen_ = total;
    const double share = static_cast<double>(completed) / static_cast<double>(in_flight);
    cached_in_a_row_ = share > mostly_cached ? cached_in_a_row_ + 1 : 0;
    if (cached_in_a_row_ >= looks_until_cached) now_ = least();
    if (share >= mostly_waiting || now_ == most_) return false;
    now_ = std::min(now_ * 2, most_);
    return true;
  }

 private:
  static constexpr std::uint64_t completions_a_look = 64;
  // Of the operations in flight when a turn begins, the share that has ended: 1 when all is cached, a third and less when
  // a device sets the pace.
  static constexpr double mostly_cached = 0.8, mostly_waiting = 0.6;
  // What one large request brought from a device looks cached for a while, too.
  static constexpr unsigned looks_until_cached = 32;

  [[nodiscard]] unsigned least() const noexcept { return std::min(when_cached, most_); }

  const bool fixed_;
  const unsigned most_;
  unsigned now_, cached_in_a_row_ = 0;
  asyncfs::loop::flow_counters seen_;
};

}  // namespace tool
