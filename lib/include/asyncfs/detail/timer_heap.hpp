// Timers by their time: a 4-ary heap whose entries know their place, so that taking one out finds it.
//
// Of equal times the one that was put in first comes out first.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include <asyncfs/detail/pending.hpp>

namespace [[gnu::visibility("default")]] asyncfs {
namespace detail {

class timer_heap {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] time_point earliest() const noexcept { return entries_.empty() ? time_point::max() : entries_[0].when; }
  // Makes room for one more. Throws std::bad_alloc.
  void reserve_one() {
    entries_.emplace_back();
    entries_.pop_back();
  }
  // With room reserved.
  void put(pending& op, time_point when) noexcept;
  void remove(pending& op) noexcept { remove_at(op.timer_index_); }
  pending& take_earliest() noexcept {
    pending& op = *entries_.front().op;
    remove_at(0);
    return op;
  }

 private:
  struct entry {
    time_point when;
    pending* op;
  };
  static bool earlier(const entry& a, const entry& b) noexcept;
  void place(std::uint32_t index, const entry& one) noexcept;
  void sift(std::uint32_t index, const entry& one) noexcept;
  void remove_at(std::uint32_t index) noexcept;

  std::vector<entry> entries_;
  std::uint32_t put_so_far_ = 0;
};

}  // namespace detail
}  // namespace asyncfs
