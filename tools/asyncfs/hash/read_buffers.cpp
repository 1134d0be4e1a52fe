#include "hash/read_buffers.hpp"

namespace tool {

// From ordinary memory: for a huge page, which would save seven of eight page faults, the kernel may have to move
// other pages about first, for as long as that takes.
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
