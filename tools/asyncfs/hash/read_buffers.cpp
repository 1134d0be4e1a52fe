#include "hash/read_buffers.hpp"

#include <sys/mman.h>

#include <new>

namespace tool {

std::byte* read_buffers::take() {
  if (free_.empty()) {
    free_.reserve((pages_.size() + 1) * at_once);
    auto& page = pages_.emplace_back(static_cast<std::byte*>(std::aligned_alloc(huge_page, huge_page)));
    if (!page) {
      pages_.pop_back();
      throw std::bad_alloc();
    }
    static_cast<void>(::madvise(page.get(), huge_page, MADV_HUGEPAGE));  // where there are none, small ones do
    for (std::size_t i = at_once; i-- > 0;) free_.push_back(page.get() + i * bytes_each);
  }
  std::byte* const taken = free_.back();
  free_.pop_back();
  return taken;
}

}  // namespace tool
