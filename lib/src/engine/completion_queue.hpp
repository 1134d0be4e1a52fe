// Completions on their way to the loop: first in, first out, in room that was reserved when their requests came.
//
// Loop thread only. Whoever takes a request reserves room for its last completion, which may throw; from then on
// nothing allocates. There is always room for a few more than were reserved, for requests that complete repeatedly.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <memory>
#include <span>

#include <asyncfs/request.hpp>

namespace asyncfs::detail {

class completion_queue {
 public:
  static constexpr std::size_t always_spare = 64;

  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  // Room for one completion, kept until `put` or `release`. Throws std::bad_alloc, and then nothing has changed.
  void reserve() {
    if (size_ + reserved_ + 1 + always_spare > capacity_) [[unlikely]]
      grow();
    ++reserved_;
  }
  void release() noexcept { --reserved_; }
  // Into reserved room.
  void put(const completion& event) noexcept {
    --reserved_;
    events_[(first_ + size_++) & (capacity_ - 1)] = event;
  }
  // Into room that nobody has reserved, where there is some; else there is again when some have been taken.
  [[nodiscard]] bool has_extra() const noexcept { return size_ + reserved_ < capacity_; }
  void put_extra(const completion& event) noexcept { events_[(first_ + size_++) & (capacity_ - 1)] = event; }
  // Moves the oldest out; returns how many.
  [[nodiscard]] std::size_t take(std::span<completion> batch) noexcept {
    const std::size_t count = std::min(batch.size(), size_);
    for (std::size_t i = 0; i < count; ++i) batch[i] = events_[(first_ + i) & (capacity_ - 1)];
    first_ = (first_ + count) & (capacity_ - 1);
    size_ -= count;
    return count;
  }

 private:
  void grow() {
    const std::size_t larger = std::bit_ceil(2 * (size_ + reserved_ + 1 + always_spare));
    auto roomier = std::make_unique_for_overwrite<completion[]>(larger);
    for (std::size_t i = 0; i < size_; ++i) roomier[i] = events_[(first_ + i) & (capacity_ - 1)];
    events_ = std::move(roomier);
    capacity_ = larger;
    first_ = 0;
  }

  std::unique_ptr<completion[]> events_;
  std::size_t capacity_ = 0;  // a power of two, once there is any
  std::size_t first_ = 0, size_ = 0, reserved_ = 0;
};

}  // namespace asyncfs::detail
