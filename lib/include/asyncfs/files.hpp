// Whole files: read one, write one, copy the data of one.
//
// Tasks on the loop's thread. Paths must live until the task has ended. They throw std::system_error that names the
// operation; add the path where you know it. Cancelling ends them between two transfers, with the file as far as it got.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <asyncfs/directory.hpp>
#include <asyncfs/task.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

// All bytes up to the end of the file, whatever size it claims to have (files in /proc claim 0). EFBIG past `limit`.
task<std::string> read_file(const directory& at, const char* name, std::size_t limit = std::size_t{1} << 32);
inline task<std::string> read_file(const char* path) { return read_file(here(), path); }

// Creates or empties the file, and writes all of `bytes`, which must live until the end. Not atomic: a reader may see
// part of it; write under another name and rename for that.
task<void> write_file(const directory& at, const char* name, std::string_view bytes, std::uint32_t mode = 0666);
inline task<void> write_file(const char* path, std::string_view bytes) { return write_file(here(), path, bytes); }

// What a transfer leaves in the page cache: what passes through it, or only what was there before, where the kernel and
// the file system can do that (file::read_uncached_at); elsewhere it is the same as `fill`.
enum class page_cache : std::uint8_t { fill, spare };

// As file::read_at: how many bytes came, 0 at the end of the file.
task<std::size_t> read_at(const file& from, std::span<std::byte> buffer, std::uint64_t offset, page_cache how);
// Writes all of the buffer at the offset, however short single transfers are. ENOSPC when the device takes nothing.
task<void> write_all_at(const file& to, std::span<const std::byte> bytes, std::uint64_t offset,
                        page_cache how = page_cache::fill);

enum class reflink : std::uint8_t { never, automatic, always };
enum class sparse : std::uint8_t { never, automatic };

// Told, on the loop's thread, of every piece that was copied or shared; holes are none. What it awaits delays the next
// piece, and what it throws ends the copy.
class copy_observer {
 public:
  virtual task<void> copied(std::uint64_t bytes) = 0;

 protected:
  ~copy_observer() = default;
};

struct copy_options {
  asyncfs::reflink reflink =
      asyncfs::reflink::automatic;  // `always`: fail with the file system's error instead of copying
  asyncfs::sparse sparse = asyncfs::sparse::automatic;  // keep holes that the source reports
  copy_observer* observer = nullptr;                    // the caller's, to the end of the copy
  std::size_t most_at_once = std::size_t{64} << 20;     // bytes; a cancel gets in between
  page_cache cache = page_cache::fill;                  // `spare`: never inside the kernel, which knows no such thing
};
struct copy_outcome {
  std::uint64_t bytes = 0;  // the size of the copy
  bool reflinked = false;
};

// Makes the empty file `to` hold what `from` holds: data and holes, shared where the file system can. The source's
// position may move. Reads to the real end of the source: a source that grows or shrinks meanwhile gives what was read,
// and its owner compares file_status before and after to know.
task<copy_outcome> copy_file(const file& from, const file& to, copy_options options = {});

}  // namespace asyncfs
