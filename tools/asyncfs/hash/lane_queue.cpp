#include "hash/lane_queue.hpp"

#include <asyncfs/yield.hpp>

#include <algorithm>
#include <chrono>

namespace tool {

std::unique_ptr<lane_queue> lane_queue::make(algorithm which) {
  auto lanes = digest_lanes::make(which);
  if (!lanes) return nullptr;
  return std::unique_ptr<lane_queue>(new lane_queue(which, std::move(lanes)));
}

// Once a process and algorithm: with one message all lanes but one are idle, so that is what one costs.
double lane_queue::measure_slowness(algorithm which) {
  static std::array<std::atomic<double>, algorithm_table.size()> known{};
  std::atomic<double>& mine = known[static_cast<std::size_t>(which)];
  if (const double before = mine.load(std::memory_order_relaxed); before != 0) return before;
  constexpr int rounds = 3;
  const std::vector<std::byte> bytes(std::size_t{16} << 10);
  const auto lanes = digest_lanes::make(which);
  const auto alone = digest::make(which);
  digest_lanes::message one{bytes, {}};
  digest_lanes::message* const all[] = {&one};
  const auto quickest = [](auto&& work) {
    auto best = std::chrono::nanoseconds::max();
    for (int i = 0; i < rounds; ++i) {
      const auto began = std::chrono::steady_clock::now();
      work();
      best = std::min<std::chrono::nanoseconds>(best, std::chrono::steady_clock::now() - began);
    }
    return static_cast<double>(std::max<std::int64_t>(best.count(), 1));
  };
  const double in_lane = quickest([&] { lanes->compute(all); });
  const double by_itself = quickest([&] {
    alone->begin();
    alone->add(bytes);
    static_cast<void>(alone->end());
  });
  const double measured = std::max(in_lane / by_itself, 1.0);
  mine.store(measured, std::memory_order_relaxed);
  return measured;
}

asyncfs::task<digest_value> lane_queue::compute(std::span<const std::byte> bytes) {
  waiting self{{bytes, {}}, {}};
  struct queued {  // whoever ends early, cancelled, must not be found in the queue
    std::vector<waiting*>& in;
    waiting* one;
    ~queued() { std::erase(in, one); }
  } const place{gathered_, &self};
  gathered_.push_back(&self);
  if (gathered_.front() != &self) {
    co_await self.done.wait();
    co_return self.message.digest;
  }
  co_await asyncfs::yield();
  batch_.swap(gathered_);
  compute_all(batch_);
  for (waiting* one : batch_)
    if (one != &self) one->done.set();
  batch_.clear();
  co_return self.message.digest;
}

// The longest message decides how long the lanes take. What would keep one busy after all others have ended is better
// computed alone.
void lane_queue::compute_all(std::vector<waiting*>& batch) {
  std::ranges::sort(batch, std::greater(), [](const waiting* one) { return one->message.bytes.size(); });
  double sum = 0;
  for (const waiting* one : batch) sum += static_cast<double>(one->message.bytes.size());
  messages_.clear();
  for (waiting* one : batch) {
    const auto size = static_cast<double>(one->message.bytes.size());
    if (messages_.empty() && size * lane_slowness_ > sum) {
      alone_->begin();
      alone_->add(one->message.bytes);
      one->message.digest = alone_->end();
      sum -= size;
    } else {
      messages_.push_back(&one->message);
    }
  }
  if (!messages_.empty()) lanes_->compute(messages_);
}

}  // namespace tool
