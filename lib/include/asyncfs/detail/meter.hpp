// How a loop measures itself, and what it lets other threads see while it runs.
//
// The processor's counter is read when the loop enters the kernel and when it comes back, and every `slice` callbacks
// in between: reading it for each would cost more than a callback. After a long slice, callbacks are measured one by
// one for a while, so that what is slow again and again is found exactly.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <source_location>

#include <asyncfs/detail/pending.hpp>
#include <asyncfs/metrics.hpp>

namespace [[gnu::visibility("default")]] asyncfs {
namespace detail {

// The processor's counter where it has one, else nanoseconds.
inline std::uint64_t ticks() noexcept {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

// Written by the loop's thread only, read by any: is it running user code, which, and still the same?
struct pulse {
  std::atomic<std::uint64_t> callbacks{0};
  std::atomic<std::source_location> site{};
  std::atomic<opcode> cause{no_operation};
  std::atomic<bool> resting{true};  // in the kernel, or not in `run_until` at all
  std::atomic<int> thread{0};       // its number, once the loop has run
};

class meter {
 public:
  explicit meter(bool measures) noexcept : measures_(measures) {}

  // Loop thread, before its first turn.
  void begin() noexcept;
  // Around every run of the loop: what the thread does between two of them is not the loop's.
  void run_begins() noexcept;
  void run_ended() noexcept;

  void callback_begins(const ready_node& node) noexcept {
    pulse_.callbacks.store(callbacks() + 1, std::memory_order_relaxed);
    pulse_.cause.store(node.cause, std::memory_order_relaxed);
    pulse_.site.store(node.site, std::memory_order_relaxed);
  }
  void callback_ended() noexcept {
    if (callbacks() >= slice_ends_at_) [[unlikely]]
      end_slice();
  }
  void goes_on_from(const std::source_location& site) noexcept { pulse_.site.store(site, std::memory_order_relaxed); }

  // Around whatever is not the loop's turn.
  void rests() noexcept {
    if (measures_) end_turn();
    pulse_.resting.store(true, std::memory_order_relaxed);
  }
  void resumes() noexcept {
    pulse_.resting.store(false, std::memory_order_relaxed);
    if (measures_) turn_began_ = slice_began_ = ticks();
    ++turns_;
  }
  void completed(std::size_t count) noexcept { completions_ += count; }

  // All that is a matter of time or counted here.
  void report(loop_metrics& into) const noexcept;
  [[nodiscard]] const struct pulse& pulse() const noexcept { return pulse_; }

 private:
  [[nodiscard]] std::uint64_t callbacks() const noexcept { return pulse_.callbacks.load(std::memory_order_relaxed); }
  void end_slice() noexcept;
  void end_turn() noexcept;
  void judge_slice(std::uint64_t now) noexcept;
  [[nodiscard]] double nanoseconds_a_tick() const noexcept;

  struct pulse pulse_;
  const bool measures_;
  std::uint64_t slice_ends_at_ = 1;  // callbacks
  std::uint64_t completions_ = 0, turns_ = 0;
  std::uint32_t slice_length_ = 1, one_by_one_ = 0;
  std::uint64_t slice_began_ = 0, turn_began_ = 0;
  std::uint64_t callbacks_before_slice_ = 0;
  std::uint64_t busy_ = 0;  // ticks
  duration_histogram turns_of_;
  struct {
    std::uint64_t ticks = 0;
    std::source_location site;
    opcode cause = no_operation;
    std::uint32_t callbacks = 0;
  } longest_;
  std::uint64_t long_slice_ = 0;  // ticks
  std::chrono::steady_clock::time_point began_at_{};
  std::uint64_t began_ = 0;
  // What the thread had used of the processor, in nanoseconds: of that, all but what it used in runs; and at the end of
  // the last run.
  std::int64_t processor_elsewhere_ = 0, processor_at_end_ = 0;
};

}  // namespace detail
}  // namespace asyncfs
