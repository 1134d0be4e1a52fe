// Where results go: standard output, in the order of the walk when asked, through a bounded window.
//
// Any loop may deliver. Ordered, an entry's text waits until all before it have been delivered; the head of the order
// streams straight through, and whoever is too far ahead of it waits for credit before starting work.
#pragma once

#include <asyncfs/event_count.hpp>
#include <asyncfs/file.hpp>
#include <asyncfs/short_lock.hpp>
#include <asyncfs/task.hpp>
#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>

namespace tool {

class report {
 public:
  enum class order : std::uint8_t { as_it_comes, of_the_walk };

  report(int fd, order how);
  report(const report&) = delete;
  report& operator=(const report&) = delete;
  ~report() { static_cast<void>(out_.release()); }  // the descriptor is the caller's

  // To be awaited before work on an entry begins, unless it is before what was returned the last time: returns when the
  // window has room for it, and from where on it is to be asked again.
  asyncfs::task<std::uint64_t> credit(std::uint64_t sequence);
  // Adds text to an entry's output; the last time with `last`. Exactly one `last` an entry, also when it has no text.
  asyncfs::task<void> deliver(std::uint64_t sequence, std::string text, bool last = true);
  // Writes what is left, and `last`. After all entries were delivered.
  asyncfs::task<void> finish(std::string last = {});
  // Nobody reads any more (EPIPE), or writing failed: further text is dropped.
  [[nodiscard]] std::error_code error() const;

 private:
  struct waiting {
    std::string text;
    bool done = false;
  };
  asyncfs::task<void> flush(bool all);
  asyncfs::task<std::error_code> write_whole(std::string_view text);

  asyncfs::file out_;
  const bool pipe_;  // lines are not broken by other writers
  const bool ordered_;
  std::atomic<bool> failed_{false};  // error_ is set
  asyncfs::event_count moved_;
  // What follows changes with every entry, and must not take the above from the other CPUs' caches each time.
  static constexpr std::size_t cache_line = 64;
  alignas(cache_line) mutable asyncfs::short_lock mutex_;
  std::atomic<std::uint64_t> head_{0};  // changed with mutex_ held
  std::deque<waiting> window_;          // window_[0] is the head's
  std::size_t held_ = 0;                // bytes in the window behind the head
  std::string ready_;                   // in order, to be written
  std::string spare_;                   // empty: memory for the next `ready_`
  bool writing_ = false;
  bool somebody_waits_ = false;  // for the head to move; set before waiting, with mutex_ held
  std::error_code error_;
};

}  // namespace tool
