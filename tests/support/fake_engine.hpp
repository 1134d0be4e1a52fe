// An engine that the test drives: it keeps what it was asked, and completes it when and how the test says.
//
// Time stands still until the loop would sleep for a deadline. When the loop would sleep, `idle` acts as the other
// side; a loop that would sleep for ever with nothing to wake it ends the program, since the test would hang.
#pragma once

#include <asyncfs/task.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

namespace tests {

// For tasks whose end the test sees by other means.
struct unheard_end final : asyncfs::detail::task_end {
  void ended() noexcept override {}
};
inline unheard_end unheard;

class fake_engine final : public asyncfs::engine {
 public:
  // `slots`: room for direct requests until `enter`; 0: everything goes through `submit`.
  explicit fake_engine(std::size_t slots = 64) : slots_(slots) {
    direct_.fill(slots > 0);
    direct_[static_cast<std::size_t>(asyncfs::opcode::call)] = false;
    next_slot_ = slots_.data();
    last_slot_ = slots_.data() + slots_.size();
  }

  std::vector<asyncfs::request> taken;              // in the order they came, until their last completion
  std::vector<std::uint64_t> cancels;               // asked for, in order
  std::size_t room = static_cast<std::size_t>(-1);  // how many more `submit` takes
  std::size_t refused = 0;
  std::function<void()> idle;
  asyncfs::steady_time sleeps_until{};  // for `idle`: the latest that the loop would wake by itself
  asyncfs::steady_time clock{};

  void complete(std::uint64_t user_data, std::int32_t value, std::uint32_t flags = 0) {
    finished_.push_back({user_data, value, flags});
    if ((flags & asyncfs::completion::more) == 0)
      std::erase_if(taken, [&](const asyncfs::request& r) { return r.user_data == user_data; });
  }
  // Completes the oldest request.
  void complete_first(std::int32_t value, std::uint32_t flags = 0) { complete(taken.front().user_data, value, flags); }

  [[nodiscard]] std::string_view name() const noexcept override { return "fake"; }
  [[nodiscard]] asyncfs::runs where(asyncfs::opcode) const noexcept override { return asyncfs::runs::in_ring; }
  [[nodiscard]] bool submit(const asyncfs::request& work) override {
    if (room == 0) {
      ++refused;
      return false;
    }
    --room;
    taken.push_back(work);
    return true;
  }
  void cancel(std::uint64_t user_data) noexcept override { cancels.push_back(user_data); }
  [[nodiscard]] std::size_t reap(std::span<asyncfs::completion> batch) noexcept override {
    const std::size_t count = std::min(batch.size(), finished_.size());
    std::copy_n(finished_.begin(), count, batch.begin());
    finished_.erase(finished_.begin(), finished_.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }
  [[nodiscard]] bool has_finished_work() const noexcept override { return !finished_.empty(); }
  void enter(const wait& how) noexcept override {
    ++count_.enters;
    for (asyncfs::request* r = slots_.data(); r != next_slot_; ++r) taken.push_back(*r);
    next_slot_ = slots_.data();
    if (!how.until_completion) return;
    sleeps_until = how.deadline;
    if (idle) idle();
    if (has_finished_work() || has_posts()) return;
    if (how.deadline != asyncfs::steady_time::max()) {
      clock = std::max(clock, how.deadline);
    } else if (!idle) {
      std::fputs("fake engine: the loop sleeps and nothing will wake it\n", stderr);
      std::abort();
    } else if (++fruitless_ > 1000) {
      std::fputs("fake engine: the loop keeps sleeping and the test does nothing\n", stderr);
      std::abort();
    }
  }
  [[nodiscard]] asyncfs::steady_time now() noexcept override { return clock; }

 protected:
  [[nodiscard]] bool refill() noexcept override { return false; }
  void ring_bell() noexcept override {}

 private:
  std::vector<asyncfs::request> slots_;
  std::vector<asyncfs::completion> finished_;
  unsigned fruitless_ = 0;
};

}  // namespace tests
