// Large files: read and digested at the same time, on more than one CPU where the algorithm allows.
//
// Buffers are a few MiB a file, so there should be few such files at once (large_files::at_once).
#pragma once

#include <asyncfs/file.hpp>
#include <asyncfs/task.hpp>

#include <functional>
#include <span>

#include "hash/digest.hpp"
#include "hash/large_files.hpp"
#include "pipeline/job.hpp"

namespace tool {

struct large_reading {
  std::error_code error{};
  std::uint64_t size = 0;  // where the reading ended
};

using piece_taker = std::function<void(std::span<const std::byte>)>;

// Reads the file from `offset` to its end; gives piece after piece to `add`, in order, on a computing thread, while the
// next one is read.
asyncfs::task<large_reading> read_beside(job& whole, large_files& all, const asyncfs::file& source,
                                         std::uint64_t offset, piece_taker add);
// The same for digests that cost less than handing pieces to another thread: gives them to `add` here, and reads in place
// what the cache holds.
asyncfs::task<large_reading> read_here(job& whole, large_files& all, const asyncfs::file& source, std::uint64_t offset,
                                       piece_taker add);

// The BLAKE3 digest of the whole file, its subtrees spread over the computing threads. Only with has_blake3_tree.
asyncfs::task<large_reading> digest_blake3_spread(job& whole, large_files& all, const asyncfs::file& source,
                                                  digest_value& into);

}  // namespace tool
