// SHA digests by many tasks of one loop, side by side in the CPU's vector lanes.
//
// Pieces of messages gather until they fill the lanes, and from then on each that comes drives those before it. When a
// turn of the loop brings none, whatever is there is done, so that nobody waits for what may never come. Loop thread
// only.
#pragma once

#include <asyncfs/event.hpp>
#include <asyncfs/task.hpp>

#include <memory>

#include "hash/lanes.hpp"

namespace tool {

class lane_queue {
 public:
  // Null where lanes gain nothing.
  static std::unique_ptr<lane_queue> make(algorithm which);

  // As `into.add(bytes)`, and with `last` what `into.end()` computes, too. Both must stay until the task has ended. A
  // task that is cancelled meanwhile does what it waits for at once, and then ends.
  asyncfs::task<void> add(sha_digest& into, std::span<const std::byte> bytes, bool last);
  // Whether so many are at it that whoever adds now gains by it.
  [[nodiscard]] bool worthwhile() const noexcept { return lanes_->worthwhile(); }

 private:
  struct waiting : digest_lanes::piece {
    asyncfs::event news;  // it is done, or has to drive
    bool done = false;
  };
  lane_queue() = default;
  asyncfs::task<void> drive(waiting& self);

  std::unique_ptr<digest_lanes> lanes_;
  std::uint64_t brought_ = 0;  // ever
  bool driven_ = false;        // one of those who wait looks at every turn whether others come
};

}  // namespace tool
