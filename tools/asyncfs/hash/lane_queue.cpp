#include "hash/lane_queue.hpp"

#include <asyncfs/yield.hpp>

#include <algorithm>

namespace tool {

std::unique_ptr<lane_queue> lane_queue::make(algorithm which) {
  std::unique_ptr<lane_queue> made(new lane_queue(which));
  made->lanes_ = digest_lanes::make(
      which, [queue = made.get()](digest_lanes::message& done) { queue->finish(static_cast<waiting&>(done)); });
  return made->lanes_ ? std::move(made) : nullptr;
}

asyncfs::task<digest_value> lane_queue::compute(std::span<const std::byte> bytes) {
  waiting self;
  self.bytes = bytes;
  struct in_the_lanes {  // whoever ends early must not be found there
    lane_queue& queue;
    const waiting& one;
    ~in_the_lanes() {
      if (!one.done) queue.finish_all();
    }
  } const stays{*this, self};
  bring(self);
  while (!self.done) {
    if (!driven_) {
      co_await drive(self);
    } else {
      co_await self.news.wait();
      self.news.reset();
    }
  }
  co_return self.digest;
}

// Until its own message is done; then another of those who wait takes over.
asyncfs::task<void> lane_queue::drive(waiting& self) {
  driven_ = true;
  while (!self.done) {
    const std::uint64_t before = brought_;
    co_await asyncfs::yield();
    if (brought_ == before) finish_all();
  }
  driven_ = false;
  if (!unfinished_.empty()) unfinished_.front()->news.set();
}

void lane_queue::bring(waiting& next) {
  ++brought_;
  unfinished_.push_back(&next);
  ++gathering_;
  if (lanes_->busy() == 0 && gathering_ < digest_lanes::most_lanes) return;
  // `finish` takes out of the list while this goes through its end.
  std::vector<waiting*> all(unfinished_.end() - static_cast<std::ptrdiff_t>(gathering_), unfinished_.end());
  gathering_ = 0;
  for (waiting* one : all) lanes_->submit(*one);
}

void lane_queue::finish_all() {
  lanes_->flush();
  gathering_ = 0;
  while (!unfinished_.empty()) {
    waiting& one = *unfinished_.front();
    alone_->begin();
    alone_->add(one.bytes);
    one.digest = alone_->end();
    finish(one);
  }
}

void lane_queue::finish(waiting& one) {
  std::erase(unfinished_, &one);
  one.done = true;
  one.news.set();
}

}  // namespace tool
