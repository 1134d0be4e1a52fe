#include "hash/read_buffers.hpp"

namespace tool {

// Not from huge pages: they take a page fault where these take sixteen, but where memory is fragmented the kernel moves
// other pages about until it has one, which was seen to take 40 ms.
std::byte* read_buffers::take() {
  if (free_.empty()) {
    free_.reserve(all_.size() + 1);
    all_.push_back(std::make_unique_for_overwrite<std::byte[]>(bytes_each));
    return all_.back().get();
  }
  std::byte* const taken = free_.back();
  free_.pop_back();
  return taken;
}

}  // namespace tool
