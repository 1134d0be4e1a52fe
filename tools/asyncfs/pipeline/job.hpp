// One run of a command over trees, as its workers see it: what they count, how they are slowed down, what stops them.
#pragma once

#include <asyncfs/cancel_scope.hpp>
#include <asyncfs/file.hpp>
#include <asyncfs/short_lock.hpp>
#include <asyncfs/task.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>

#include "message.hpp"
#include "pipeline/tree_options.hpp"

namespace tool {

// Any thread.
class job {
 public:
  job(const tree_options& how, messages& to) noexcept : options(how), say(to) {}
  job(const job&) = delete;
  job& operator=(const job&) = delete;

  const tree_options& options;
  messages& say;

  // To be told of every piece of data that was read, or copied, or found to be a hole. True: pace is to be awaited
  // before the next one.
  [[nodiscard]] bool moved(std::uint64_t bytes) noexcept {
    bytes_.fetch_add(bytes, std::memory_order_relaxed);
    return options.bytes_a_second != 0;
  }
  asyncfs::task<void> pace(std::uint64_t bytes);
  // That some of it will be read again, and is not to be counted twice.
  void moved_back(std::uint64_t bytes) noexcept { bytes_.fetch_sub(bytes, std::memory_order_relaxed); }
  // file::read_at in the way that the options ask for: past the page cache, counted, and in time.
  asyncfs::task<asyncfs::result<std::size_t>> read_at(const asyncfs::file& from, std::span<std::byte> buffer,
                                                      std::uint64_t offset);
  // No more than this should be read at once, where the rate is limited.
  static constexpr std::size_t most_at_once_when_paced = std::size_t{1} << 20;

  // That a file was worked on, to its end.
  void file_done() noexcept { files_.fetch_add(1, std::memory_order_relaxed); }

  [[nodiscard]] std::uint64_t files() const noexcept { return files_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }

  // The signal that ends the work early; 0: none.
  [[nodiscard]] int signal() const noexcept { return signal_.load(std::memory_order_relaxed); }
  void interrupt(int signal) noexcept {
    signal_.store(signal, std::memory_order_relaxed);
    say.expect_cancelling();
  }

 private:
  std::atomic<int> signal_{0};
  asyncfs::short_lock mutex_;
  std::optional<asyncfs::steady_time> free_from_;  // for the next piece, where the rate is limited
  // Written all the time by all loops: what stands above is only read, and must not move between CPUs with them.
  static constexpr std::size_t cache_line = 64;
  alignas(cache_line) std::atomic<std::uint64_t> files_{0}, bytes_{0};
};

// A loop's part in it.
struct workplace {
  job& whole;
  // Cancelled when the user interrupts: work that may be left half-done is awaited in it.
  asyncfs::cancel_scope& until_interrupted;
};

}  // namespace tool
