// What large files share while they are read in large pieces, whatever loops they are on: how many there are at once, and
// buffers. Their memory so grows with the number of CPUs, and not with its square.
//
// Any thread.
#pragma once

#include <asyncfs/semaphore.hpp>
#include <asyncfs/short_lock.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace tool {

class large_files {
 public:
  // Handing one over costs little beside digesting it.
  static constexpr std::size_t piece_bytes = std::size_t{1} << 20;

  explicit large_files(std::size_t cpus);

  // Permits for files that are large.
  asyncfs::semaphore at_once;

  // Given back when it is destroyed, to be given out next: its pages are there, and were used a moment ago.
  class buffer {
   public:
    explicit buffer(large_files& from) : from_(from), bytes_(from.take()) {}
    buffer(const buffer&) = delete;
    buffer& operator=(const buffer&) = delete;
    ~buffer() { from_.give_back(std::move(bytes_)); }
    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {bytes_.get(), piece_bytes}; }

   private:
    large_files& from_;
    std::unique_ptr<std::byte[]> bytes_;
  };

  // How many pieces of one file are to be in hand at once: for one alone as many as there are CPUs, and the one that is
  // read; for more at least two each.
  class pieces {
   public:
    explicit pieces(large_files& of) : of_(of), extra_(of.take_extra()) {}
    pieces(const pieces&) = delete;
    pieces& operator=(const pieces&) = delete;
    ~pieces() { of_.give_back_extra(extra_); }
    [[nodiscard]] std::size_t count() const noexcept { return 2 + extra_; }

   private:
    large_files& of_;
    const std::size_t extra_;
  };

 private:
  std::unique_ptr<std::byte[]> take();
  void give_back(std::unique_ptr<std::byte[]> bytes) noexcept;
  std::size_t take_extra();
  void give_back_extra(std::size_t extra);

  asyncfs::short_lock mutex_;
  std::vector<std::unique_ptr<std::byte[]>> free_;
  std::size_t made_ = 0;
  std::size_t extra_;
};

}  // namespace tool
