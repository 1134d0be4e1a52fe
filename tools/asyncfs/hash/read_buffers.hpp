// Buffers to read files into, for the tasks of one loop: the one that was given back last is given out next, while it is
// in the CPU's cache. Loop thread only.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace tool {

class read_buffers {
 public:
  // Holds nine of ten files of a source tree; on a cold disk hundreds are in flight.
  static constexpr std::size_t bytes_each = std::size_t{32} << 10;

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
  std::byte* take();

  std::vector<std::unique_ptr<std::byte[]>> all_;
  std::vector<std::byte*> free_;  // has room for all there are
};

}  // namespace tool
