#include "pipeline/job.hpp"

#include <asyncfs/awaitable.hpp>
#include <asyncfs/files.hpp>
#include <asyncfs/timer.hpp>

#include <algorithm>
#include <mutex>

namespace tool {

namespace {

// What was not read while nobody asked may be made up for, so that the time between two pieces is not lost.
constexpr std::chrono::milliseconds longest_lag{250};

}  // namespace

// Pieces are given the time in turns, each as much as it takes at the rate.
asyncfs::task<void> job::pace(std::uint64_t bytes) {
  const asyncfs::task_context at = co_await asyncfs::this_task;
  const auto takes = std::chrono::nanoseconds(
      static_cast<std::int64_t>(static_cast<double>(bytes) * 1e9 / static_cast<double>(options.bytes_a_second)));
  asyncfs::steady_time until;
  {
    const std::lock_guard lock(mutex_);
    const asyncfs::steady_time now = at.home.now();
    // Nothing can be made up for at the beginning.
    free_from_ = (free_from_ ? std::max(*free_from_, now - longest_lag) : now) + takes;
    until = *free_from_;
  }
  co_await asyncfs::sleep_until(until);
}

asyncfs::task<asyncfs::result<std::size_t>> job::read_at(const asyncfs::file& from, std::span<std::byte> buffer,
                                                         std::uint64_t offset) {
  if (options.bytes_a_second != 0) buffer = buffer.first(std::min(buffer.size(), most_at_once_when_paced));
  asyncfs::result<std::size_t> got = 0;
  if (options.direct && offset != asyncfs::stream_position)
    got = co_await asyncfs::as_result(asyncfs::read_at(from, buffer, offset, asyncfs::page_cache::spare));
  else
    got = co_await asyncfs::as_result(from.read_at(buffer, offset));
  if (got && moved(*got)) co_await pace(*got);
  co_return got;
}

}  // namespace tool
