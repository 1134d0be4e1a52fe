#include "hash/large_files.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

namespace tool {

namespace {

constexpr std::size_t few = 8;  // as many may be read at once on the smallest machine: disks want to be asked ahead

}  // namespace

large_files::large_files(std::size_t cpus) : at_once(std::max(few, cpus)), extra_(std::max<std::size_t>(cpus, 1) - 1) {}

std::unique_ptr<std::byte[]> large_files::take() {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) {
    free_.reserve(made_ + 1);  // has room for all there are: giving back does not fail
    auto bytes = std::make_unique_for_overwrite<std::byte[]>(piece_bytes);
    ++made_;
    return bytes;
  }
  auto bytes = std::move(free_.back());
  free_.pop_back();
  return bytes;
}

void large_files::give_back(std::unique_ptr<std::byte[]> bytes) noexcept {
  const std::lock_guard lock(mutex_);
  free_.push_back(std::move(bytes));
}

std::size_t large_files::take_extra() {
  const std::lock_guard lock(mutex_);
  return std::exchange(extra_, 0);
}

void large_files::give_back_extra(std::size_t extra) {
  const std::lock_guard lock(mutex_);
  extra_ += extra;
}

}  // namespace tool
