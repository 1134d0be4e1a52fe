// Digests of short messages from many tasks of one loop, gathered into batches for the CPU's vector lanes.
//
// The first task that comes waits until all others that are ready have had their turn; it then computes what they have
// brought. Loop thread only.
#pragma once

#include <asyncfs/event.hpp>
#include <asyncfs/task.hpp>

#include <array>
#include <memory>
#include <vector>

#include "hash/lanes.hpp"

namespace tool {

class lane_queue {
 public:
  // Null where lanes gain nothing.
  static std::unique_ptr<lane_queue> make(algorithm which);

  // The bytes must stay until the task has ended; at most digest_lanes::longest.
  asyncfs::task<digest_value> compute(std::span<const std::byte> bytes);

 private:
  struct waiting {
    digest_lanes::message message;
    asyncfs::event done;
  };
  lane_queue(algorithm which, std::unique_ptr<digest_lanes> lanes)
      : lanes_(std::move(lanes)), alone_(digest::make(which)), lane_slowness_(measure_slowness(which)) {}

  // How many times as long a lane takes for a byte as the digest that computes one message after the other.
  static double measure_slowness(algorithm which);
  void compute_all(std::vector<waiting*>& batch);

  std::unique_ptr<digest_lanes> lanes_;
  std::unique_ptr<digest> alone_;
  const double lane_slowness_;
  std::vector<waiting*> gathered_, batch_;
  std::vector<digest_lanes::message*> messages_;
};

}  // namespace tool
