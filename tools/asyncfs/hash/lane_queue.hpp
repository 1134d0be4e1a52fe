// Digests of short messages from many tasks of one loop, side by side in the CPU's vector lanes.
//
// Messages gather until they fill the lanes, and from then on each that comes drives those before it. When a turn of the
// loop brings none, whatever is there is done, so that nobody waits for what may never come: few messages one after the
// other, since a lane alone is slower than that. Loop thread only.
#pragma once

#include <asyncfs/event.hpp>
#include <asyncfs/task.hpp>

#include <memory>
#include <vector>

#include "hash/lanes.hpp"

namespace tool {

class lane_queue {
 public:
  // Null where lanes gain nothing.
  static std::unique_ptr<lane_queue> make(algorithm which);

  // The bytes must stay until the task has ended; at most digest_lanes::longest. A task that is cancelled meanwhile does
  // what it waits for at once, and then ends.
  asyncfs::task<digest_value> compute(std::span<const std::byte> bytes);

 private:
  struct waiting : digest_lanes::message {
    asyncfs::event news;  // it is done, or has to drive
    bool done = false;
  };
  explicit lane_queue(algorithm which) : alone_(digest::make(which)) {}

  void bring(waiting& next);
  void finish_all();
  void finish(waiting& one);
  asyncfs::task<void> drive(waiting& self);

  std::unique_ptr<digest> alone_;
  std::unique_ptr<digest_lanes> lanes_;
  std::vector<waiting*> unfinished_;  // in the lanes, and behind them those that still gather
  std::size_t gathering_ = 0;         // how many at the end of unfinished_
  std::uint64_t brought_ = 0;         // ever
  bool driven_ = false;               // one of those who wait looks at every turn whether others come
};

}  // namespace tool
