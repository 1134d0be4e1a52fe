#include "hash/lane_queue.hpp"

#include <asyncfs/yield.hpp>

namespace tool {

namespace {

// Turns of the loop: a file that is in the cache takes one to be opened and one to be read.
constexpr unsigned patience = 2;

}  // namespace

std::unique_ptr<lane_queue> lane_queue::make(algorithm which) {
  std::unique_ptr<lane_queue> made(new lane_queue);
  made->lanes_ = digest_lanes::make(which, [](digest_lanes::piece& done) {
    auto& one = static_cast<waiting&>(done);
    one.done = true;
    one.news.set();
  });
  return made->lanes_ ? std::move(made) : nullptr;
}

asyncfs::task<void> lane_queue::add(sha_digest& into, std::span<const std::byte> bytes, bool last) {
  if (!into.between_blocks()) {  // after a piece that was no whole number of blocks
    into.add(bytes);
    co_return;
  }
  waiting self;
  self.into = &into;
  self.bytes = bytes;
  self.last = last;
  struct in_the_lanes {  // whoever ends early must not be found there
    digest_lanes& lanes;
    const waiting& one;
    ~in_the_lanes() {
      if (!one.done) lanes.flush();
    }
  } const stays{*lanes_, self};
  ++brought_;
  lanes_->submit(self);
  while (!self.done) {
    if (!driven_) {
      co_await drive(self);
    } else {
      co_await self.news.wait();
      self.news.reset();
    }
  }
}

// Until its own piece is done; then another of those who wait takes over.
asyncfs::task<void> lane_queue::drive(waiting& self) {
  driven_ = true;
  unsigned quiet = 0;
  while (!self.done) {
    const std::uint64_t before = brought_;
    co_await asyncfs::yield();
    quiet = brought_ == before ? quiet + 1 : 0;
    if (quiet == patience) lanes_->flush();
  }
  driven_ = false;
  if (digest_lanes::piece* const next = lanes_->any()) static_cast<waiting*>(next)->news.set();
}

}  // namespace tool
