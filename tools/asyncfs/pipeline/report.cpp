#include "pipeline/report.hpp"

#include <limits.h>
#include <sys/stat.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace tool {

using namespace std::string_view_literals;

namespace {

constexpr std::uint64_t most_ahead = 16384;              // entries begun beyond the head
constexpr std::size_t most_held = std::size_t{8} << 20;  // bytes that wait for their turn
constexpr std::size_t enough_to_write = std::size_t{64} << 10;
constexpr std::size_t most_unwritten = std::size_t{1} << 20;  // bytes in order that wait for the writer

bool is_pipe(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

// How many bytes of the text to write at once so that no line is broken by another process that writes into the same
// pipe: whole lines, no more than a pipe takes in one piece, unless a single line is longer.
std::size_t unbroken(std::string_view text) {
  if (text.size() <= PIPE_BUF) return text.size();
  const std::size_t end = text.substr(0, PIPE_BUF).find_last_of("\n\0"sv);
  return end != std::string_view::npos ? end + 1 : std::min(text.find('\n'), text.size() - 1) + 1;
}

}  // namespace

report::report(int fd, order how) : out_(fd), pipe_(is_pipe(fd)), ordered_(how == order::of_the_walk) {}

std::error_code report::error() const {
  if (!failed_.load(std::memory_order_relaxed)) return {};
  const std::lock_guard lock(mutex_);
  return error_;
}

asyncfs::task<std::uint64_t> report::credit(std::uint64_t sequence) {
  if (!ordered_) co_return std::numeric_limits<std::uint64_t>::max();
  for (;;) {
    const std::uint64_t seen = moved_.now();
    std::uint64_t room_until = head_.load(std::memory_order_acquire) + most_ahead;
    if (sequence < room_until) co_return room_until;
    {
      const std::lock_guard lock(mutex_);
      room_until = head_ + most_ahead;
      if (sequence < room_until) co_return room_until;
      somebody_waits_ = true;
    }
    co_await moved_.after(seen);
  }
}

asyncfs::task<void> report::deliver(std::uint64_t sequence, std::string text, bool last) {
  bool moved = false, full = false;
  for (;;) {
    const std::uint64_t seen = moved_.now();
    {
      const std::lock_guard lock(mutex_);
      if (!ordered_ || sequence == head_) {
        ready_ += text;
        if (ordered_ && last) {
          if (!window_.empty()) window_.pop_front();
          ++head_;
          while (!window_.empty() && (window_.front().done || !window_.front().text.empty())) {
            held_ -= window_.front().text.size();
            ready_ += window_.front().text;
            window_.front().text.clear();
            if (!window_.front().done) break;  // the new head: what it has so far is out, the rest streams
            window_.pop_front();
            ++head_;
          }
          moved = std::exchange(somebody_waits_, false);
        }
        full = ready_.size() >= (writing_ ? most_unwritten : enough_to_write);
        break;
      }
      if (held_ + text.size() <= most_held || text.empty()) {
        const auto index = static_cast<std::size_t>(sequence - head_);
        if (window_.size() <= index) window_.resize(index + 1);
        held_ += text.size();
        if (window_[index].text.empty())
          window_[index].text = std::move(text);
        else
          window_[index].text += text;
        window_[index].done = last;
        break;
      }
      somebody_waits_ = true;
    }
    co_await moved_.after(seen);  // too much is held: until this entry is the head, or others have gone
  }
  if (moved) moved_.notify();
  if (full) co_await flush(false);
}

asyncfs::task<void> report::finish(std::string last) {
  {
    const std::lock_guard lock(mutex_);
    ready_ += last;
  }
  co_await flush(true);
}

asyncfs::task<std::error_code> report::write_whole(std::string_view text) {
  while (!text.empty()) {
    const std::string_view piece = pipe_ ? text.substr(0, unbroken(text)) : text;
    const auto written = co_await asyncfs::as_result(out_.write(std::as_bytes(std::span(piece))));
    if (!written) co_return written.error();
    text.remove_prefix(*written);
  }
  co_return std::error_code();
}

// One task writes at a time; the others wait only when it falls far behind, or at the very end.
asyncfs::task<void> report::flush(bool all) {
  for (;;) {
    const std::uint64_t seen = moved_.now();
    bool wait = false;
    std::string text;
    {
      const std::lock_guard lock(mutex_);
      if (error_) ready_.clear();
      if (writing_) {
        wait = all || ready_.size() >= most_unwritten;
        if (!wait) co_return;
      } else {
        if (ready_.size() < (all ? 1 : enough_to_write)) co_return;
        writing_ = true;
        text = std::exchange(ready_, std::move(spare_));
      }
    }
    if (wait) {
      co_await moved_.after(seen);
      continue;
    }
    // What is begun is written, also when the work that it came from is cancelled.
    asyncfs::cancel_scope unreached;
    const std::error_code failed = co_await write_whole(text).in(unreached);
    {
      const std::lock_guard lock(mutex_);
      writing_ = false;
      text.clear();
      spare_ = std::move(text);
      if (failed) error_ = failed;
      if (failed) failed_.store(true, std::memory_order_relaxed);
    }
    moved_.notify();
  }
}

}  // namespace tool
