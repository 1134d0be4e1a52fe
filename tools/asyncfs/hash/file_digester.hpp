// Digests whole files, by any number of algorithms in one pass, and proves that they stood still meanwhile.
#pragma once

#include <asyncfs/file.hpp>
#include <asyncfs/task.hpp>

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "hash/lane_queue.hpp"
#include "hash/large_files.hpp"
#include "hash/read_buffers.hpp"
#include "pipeline/job.hpp"
#include "pipeline/stability.hpp"

namespace tool {

// What the workers of one loop share. Loop thread only.
class loop_share {
 public:
  loop_share(job& of, std::shared_ptr<large_files> of_job) noexcept : whole(of), large(std::move(of_job)) {}
  job& whole;
  // The thread's vector lanes; null where they gain nothing.
  lane_queue* lanes_of(algorithm which);
  read_buffers buffers;
  const std::shared_ptr<large_files> large;  // all loops share it

 private:
  struct maybe {
    bool asked = false;
    std::unique_ptr<lane_queue> queue;
  };
  std::array<maybe, algorithm_table.size()> lanes_;
};

// One worker's: it digests one file after the other.
class file_digester {
 public:
  explicit file_digester(std::shared_ptr<loop_share> share);

  struct outcome {
    enum class kind : std::uint8_t { done, unreadable, changed } what = kind::done;
    std::error_code error{};                 // of reading
    std::uint64_t size = 0;                  // bytes that were digested
    std::span<const digest_value> values{};  // in the order of the algorithms, until the next file
    asyncfs::file_status status{};           // when it is done, of a file: taken after the last read
  };
  // From the beginning; `source` was opened after `begun`. What cannot be read twice, a pipe, is taken as it comes; files
  // that have changed meanwhile are read again, once.
  asyncfs::task<outcome> digest(const asyncfs::file& source, stability begun, std::span<const algorithm> which);
  // From where it is, once, whatever it is: standard input.
  asyncfs::task<outcome> digest_stream(const asyncfs::file& source, std::span<const algorithm> which);

 private:
  struct reading {
    std::error_code error{};
    std::uint64_t size = 0;
    asyncfs::file_status status{};  // taken after the last read
  };
  struct extent {
    std::uint64_t begin, end;
  };
  void begin(std::span<const algorithm> which);
  void end(std::span<const algorithm> which);
  asyncfs::task<reading> read_all(const asyncfs::file& source, std::span<const algorithm> which);
  static asyncfs::task<extent> next_extent(const asyncfs::file& source, std::uint64_t from);
  asyncfs::task<reading> read_large(const asyncfs::file& source, std::span<const algorithm> which,
                                    std::uint64_t offset);
  asyncfs::task<reading> read_on(const asyncfs::file& source, std::span<const algorithm> which, std::uint64_t offset);
  void add_here(std::span<const std::byte> bytes, std::span<const algorithm> which);
  asyncfs::task<void> add(std::span<const std::byte> bytes, std::span<const algorithm> which, bool last);
  asyncfs::task<void> add_zeros(std::uint64_t count, std::span<const algorithm> which);
  bool better_beside(std::span<const algorithm> which);

  std::shared_ptr<loop_share> share_;
  std::span<std::byte> buffer_;  // while a file is digested
  std::array<std::unique_ptr<class digest>, algorithm_table.size()> digests_;
  std::vector<digest_value> values_;
};

}  // namespace tool
