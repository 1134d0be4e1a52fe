// Buffers to read files into, for the tasks of one loop: the one that was given back last is given out next, while it is
// in the CPU's cache. Loop thread only.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

namespace tool {

class read_buffers {
 public:
  static constexpr std::size_t bytes_each = std::size_t{64} << 10;  // stays in the second-level cache

  // Given back when it is destroyed. The pool must outlive it.
  class lease {
   public:
    explicit lease(read_buffers& from) : from_(from), bytes_(from.take()) {}
    lease(const lease&) = delete;
    lease& operator=(const lease&) = delete;
    ~lease() { from_.free_.push_back(bytes_); }
    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {bytes_, bytes_each}; }

   private:
    read_buffers& from_;
    std::byte* bytes_;
  };

 private:
  // They come as many at once as a huge page holds (madvise(2), MADV_HUGEPAGE): one page fault for all of them.
  static constexpr std::size_t huge_page = std::size_t{2} << 20, at_once = huge_page / bytes_each;
  std::byte* take();

  struct release {
    void operator()(std::byte* page) const noexcept { std::free(page); }
  };
  std::vector<std::unique_ptr<std::byte, release>> pages_;
  std::vector<std::byte*> free_;  // has room for all there are
};

}  // namespace tool
