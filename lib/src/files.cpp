#include <asyncfs/files.hpp>

#include <cerrno>
#include <memory>

namespace asyncfs {

namespace {

constexpr std::size_t read_piece = std::size_t{64} << 10;
constexpr std::size_t copy_piece = std::size_t{256} << 10;

[[noreturn]] void fail(const std::error_code& error, const char* what) { throw std::system_error(error, what); }

bool cannot_share(const std::error_code& error) {
  return error == std::errc::operation_not_supported || error == std::errc::cross_device_link ||
         error == std::errc::invalid_argument || error == std::errc::inappropriate_io_control_operation ||
         error == std::errc::operation_not_permitted || error == std::errc::text_file_busy ||
         error == std::errc::function_not_supported;
}

// Copies [begin, end) through memory; ends early at the end of the source. Returns where it ended.
task<std::uint64_t> copy_through_memory(const file& from, const file& to, std::uint64_t begin, std::uint64_t end,
                                        const copy_options& options) {
  const std::size_t piece = std::min(copy_piece, options.most_at_once);
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(piece);
  while (begin < end) {
    const std::size_t wanted = std::min<std::uint64_t>(piece, end - begin);
    const std::size_t got = co_await read_at(from, {buffer.get(), wanted}, begin, options.cache);
    if (got == 0) break;
    co_await write_all_at(to, {buffer.get(), got}, begin, options.cache);
    begin += got;
    if (options.observer != nullptr) co_await options.observer->copied(got);
  }
  co_return begin;
}

// Copies [begin, end), inside the kernel where it can. copy_file_range that moves nothing at once does not mean the
// end: some file systems (proc, some network ones) say so for files they can only read, so reading has the last word.
task<std::uint64_t> copy_span(const file& from, const file& to, std::uint64_t begin, std::uint64_t end, bool& in_kernel,
                              const copy_options& options) {
  while (in_kernel && begin < end) {
    const std::size_t wanted = std::min<std::uint64_t>(options.most_at_once, end - begin);
    const auto moved = co_await as_result(from.copy_range_to(to, begin, begin, wanted));
    if (!moved && !cannot_share(moved.error())) fail(moved.error(), "copy_file_range");
    if (!moved || *moved == 0) in_kernel = false;
    if (!moved) continue;
    begin += *moved;
    if (options.observer != nullptr) co_await options.observer->copied(*moved);
  }
  co_return co_await copy_through_memory(from, to, begin, end, options);
}

constexpr std::uint64_t no_end = static_cast<std::uint64_t>(-1) >> 1;

}  // namespace

task<std::size_t> read_at(const file& from, std::span<std::byte> buffer, std::uint64_t offset, page_cache how) {
  if (how == page_cache::spare) {
    const auto got = co_await as_result(from.read_uncached_at(buffer, offset));
    if (got) co_return *got;
    if (got.error() != std::errc::operation_not_supported) fail(got.error(), "read");
  }
  const std::size_t got = co_await from.read_at(buffer, offset);
  co_return got;
}

task<void> write_all_at(const file& to, std::span<const std::byte> bytes, std::uint64_t offset, page_cache how) {
  while (!bytes.empty()) {
    std::size_t written = 0;
    if (how == page_cache::spare) {
      const auto uncached = co_await as_result(to.write_uncached_at(bytes, offset));
      if (uncached) written = *uncached;
      if (!uncached && uncached.error() != std::errc::operation_not_supported) fail(uncached.error(), "write");
      if (!uncached) how = page_cache::fill;
    }
    if (how == page_cache::fill) written = co_await to.write_at(bytes, offset);
    if (written == 0) fail(failure(ENOSPC).error(), "write");
    bytes = bytes.subspan(written);
    offset += written;
  }
}

task<std::string> read_file(const directory& at, const char* name, std::size_t limit) {
  const file source = co_await at.open(name);
  const file_status status = co_await source.status();
  std::string content;
  std::size_t used = 0;
  const std::size_t most = std::min(limit, content.max_size() - 1) + 1;
  // One byte more than the size: the end shows in the same read.
  content.resize(std::min<std::size_t>(std::max<std::size_t>(status.size + 1, 512), most));
  for (;;) {
    if (used > limit) fail(failure(EFBIG).error(), "read");
    if (used == content.size()) content.resize(std::min(std::max(content.size() * 2, read_piece), most));
    const std::span<std::byte> rest(reinterpret_cast<std::byte*>(content.data()) + used, content.size() - used);
    const std::size_t got = co_await source.read_at(rest, used);
    if (got == 0) break;
    used += got;
  }
  content.resize(used);
  co_return content;
}

task<void> write_file(const directory& at, const char* name, std::string_view bytes, std::uint32_t mode) {
  file target = co_await at.create(name, O_WRONLY | O_TRUNC, mode);
  co_await write_all_at(target, std::as_bytes(std::span(bytes)), 0);
  co_await target.close();
}

task<copy_outcome> copy_file(const file& from, const file& to, copy_options options) {
  if (options.reflink != reflink::never) {
    const auto shared = co_await as_result(from.clone_to(to));
    if (shared) {
      const file_status status = co_await to.status();
      if (options.observer != nullptr) co_await options.observer->copied(status.size);
      co_return copy_outcome{.bytes = status.size, .reflinked = true};
    }
    if (options.reflink == reflink::always || !cannot_share(shared.error())) fail(shared.error(), "clone");
  }
  const file_status status = co_await from.status();
  bool in_kernel = status.is_regular() && status.size > 0 && options.cache == page_cache::fill;
  // Fewer blocks than the size needs: there are holes to keep.
  const bool has_holes =
      options.sparse == sparse::automatic && status.is_regular() && status.blocks * 512 < status.size;
  std::uint64_t position = 0;
  while (has_holes && position < status.size) {
    const auto data = co_await as_result(from.next_data(position));
    if (!data && data.error().value() == ENXIO) {
      position = status.size;  // a hole to the end
      break;
    }
    if (!data) break;  // this file system does not tell: copied as data
    const auto hole = co_await as_result(from.next_hole(*data));
    if (!hole || *hole <= position) break;  // a file that changes under us must not keep us here
    const std::uint64_t end = co_await copy_span(from, to, *data, *hole, in_kernel, options);
    position = end;
    if (end < *hole) break;  // the source has shrunk
  }
  position = co_await copy_span(from, to, position, no_end, in_kernel, options);  // also what it has grown by
  if (has_holes) co_await to.truncate(position);
  co_return copy_outcome{.bytes = position, .reflinked = false};
}

}  // namespace asyncfs
