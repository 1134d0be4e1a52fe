// Open files and what can be done with one: every call describes an operation (operation.hpp).
//
// Loop thread only. Buffers, names and iovecs must live until the operation has completed. Transfers may be short, and
// never touch the file's own position unless the name says so. Errors are those of the system call named beside each.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <chrono>
#include <cstddef>
#include <span>
#include <string>

#include <asyncfs/descriptor.hpp>
#include <asyncfs/detail/kinds.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

// Nanosecond times as the file system keeps them.
struct file_time {
  std::int64_t seconds = 0;
  std::uint32_t nanoseconds = 0;
  auto operator<=>(const file_time&) const = default;
};

// What statx(2) says of a file.
struct file_status {
  std::uint64_t device = 0, inode = 0, size = 0, blocks = 0;  // blocks of 512 bytes
  std::uint64_t special_device = 0;                           // of a device node
  std::uint32_t mode = 0, links = 0, user = 0, group = 0, block_size = 0;
  file_time accessed, modified, changed;

  [[nodiscard]] bool is_regular() const noexcept { return S_ISREG(mode); }
  [[nodiscard]] bool is_directory() const noexcept { return S_ISDIR(mode); }
  [[nodiscard]] bool is_link() const noexcept { return S_ISLNK(mode); }
  [[nodiscard]] bool same_file(const file_status& other) const noexcept {
    return device == other.device && inode == other.inode;
  }
};

namespace detail {

// statx into the operation's own memory. Of an open file this is opcode::fstat, by name opcode::statx.
template <opcode Code>
struct status_kind {
  using value_type = file_status;
  static constexpr opcode code = Code;
  int fd;
  const char* name;
  int flags;
  mutable struct statx raw{};

  void prepare(request& slot) const noexcept {
    slot.fd = fd;
    slot.address = request::pointer(name);
    slot.offset = request::pointer(&raw);
    slot.length = STATX_BASIC_STATS;
    slot.options = static_cast<std::uint32_t>(flags);
  }
  result<file_status> complete(const completion& event) const;
};
extern template struct status_kind<opcode::fstat>;
extern template struct status_kind<opcode::statx>;

template <opcode Code>
struct times_kind {
  using value_type = void;
  static constexpr opcode code = Code;
  int fd;
  const char* name;
  timespec times[2];
  int flags;

  void prepare(request& slot) const noexcept {
    slot.fd = fd;
    slot.address = request::pointer(name);
    slot.offset = request::pointer(times);
    slot.options = static_cast<std::uint32_t>(flags);
  }
  result<void> complete(const completion& event) const {
    if (event.value < 0) return failure(-event.value);
    return {};
  }
};

struct seek_kind {
  using value_type = std::uint64_t;
  static constexpr opcode code = opcode::lseek;
  int fd;
  std::uint64_t from;
  int whence;
  mutable std::uint64_t position = 0;

  void prepare(request& slot) const noexcept {
    slot.fd = fd;
    slot.offset = from;
    slot.length = static_cast<std::uint32_t>(whence);
    slot.address = request::pointer(&position);
  }
  result<std::uint64_t> complete(const completion& event) const {
    if (event.value < 0) return failure(-event.value);
    return position;
  }
};

inline constexpr std::uint32_t leave_no_cache = 0x80;  // RWF_DONTCACHE, which older headers do not have

inline timespec to_timespec(file_time t) noexcept {
  return {.tv_sec = t.seconds, .tv_nsec = static_cast<long>(t.nanoseconds)};
}

}  // namespace detail

// No transfer is larger than this, as in read(2); ask again for the rest.
inline constexpr std::size_t most_per_transfer = 0x7ffff000;
inline constexpr std::uint64_t stream_position = static_cast<std::uint64_t>(-1);

class file {
 public:
  file() noexcept = default;
  explicit file(int fd) noexcept : fd_(fd) {}

  [[nodiscard]] int fd() const noexcept { return fd_.fd(); }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
  [[nodiscard]] int release() noexcept { return fd_.release(); }

  // pread(2), pwrite(2): bytes moved, 0 at the end of the file.
  auto read_at(std::span<std::byte> buffer, std::uint64_t offset) const noexcept {
    return detail::plain<opcode::read, std::size_t>(transfer(buffer.data(), buffer.size(), offset));
  }
  // preadv2(2) with RWF_NOWAIT: bytes that the cache holds, at once, on the loop's thread. EAGAIN: none of them, ask
  // `read_at`; EOPNOTSUPP: the file system cannot tell.
  auto read_cached_at(std::span<std::byte> buffer, std::uint64_t offset) const noexcept {
    return operation(detail::cached_kind<opcode::read, std::size_t>{{transfer(buffer.data(), buffer.size(), offset)}});
  }
  // preadv2(2) with RWF_DONTCACHE, since Linux 6.14: what the page cache did not hold before, it does not hold afterwards.
  // EOPNOTSUPP: the kernel or the file system cannot do that.
  auto read_uncached_at(std::span<std::byte> buffer, std::uint64_t offset) const noexcept {
    detail::plain_request work = transfer(buffer.data(), buffer.size(), offset);
    work.options = detail::leave_no_cache;
    return detail::plain<opcode::read, std::size_t>(work);
  }
  auto write_at(std::span<const std::byte> buffer, std::uint64_t offset) const noexcept {
    return detail::plain<opcode::write, std::size_t>(transfer(buffer.data(), buffer.size(), offset));
  }
  // pwritev2(2) with RWF_DONTCACHE, since Linux 6.14: begins to write to the device at once, and drops what was written from
  // the page cache once it is there. EOPNOTSUPP: the kernel or the file system cannot do that.
  auto write_uncached_at(std::span<const std::byte> buffer, std::uint64_t offset) const noexcept {
    detail::plain_request work = transfer(buffer.data(), buffer.size(), offset);
    work.options = detail::leave_no_cache;
    return detail::plain<opcode::write, std::size_t>(work);
  }
  // read(2), write(2) at the file's own position: pipes, terminals, sequential files.
  auto read(std::span<std::byte> buffer) const noexcept {
    return operation(
        detail::stream_kind<opcode::read, std::size_t>{{transfer(buffer.data(), buffer.size(), stream_position)}});
  }
  auto write(std::span<const std::byte> buffer) const noexcept {
    return operation(
        detail::stream_kind<opcode::write, std::size_t>{{transfer(buffer.data(), buffer.size(), stream_position)}});
  }
  // preadv(2), pwritev(2): at most 1024 pieces.
  auto readv_at(std::span<const iovec> pieces, std::uint64_t offset) const noexcept {
    return detail::plain<opcode::readv, std::size_t>(transfer(pieces.data(), pieces.size(), offset));
  }
  auto writev_at(std::span<const iovec> pieces, std::uint64_t offset) const noexcept {
    return detail::plain<opcode::writev, std::size_t>(transfer(pieces.data(), pieces.size(), offset));
  }

  auto sync() const noexcept { return detail::plain<opcode::fsync, void>({.fd = fd()}); }  // fsync(2)
  auto sync_data() const noexcept {
    return detail::plain<opcode::fsync, void>({.fd = fd(), .options = 1});
  }  // fdatasync(2)
  auto allocate(int mode, std::uint64_t offset, std::uint64_t bytes) const noexcept {  // fallocate(2)
    return detail::plain<opcode::fallocate, void>(
        {.fd = fd(), .offset = offset, .address = bytes, .length = static_cast<std::uint32_t>(mode)});
  }
  auto truncate(std::uint64_t size) const noexcept {  // ftruncate(2)
    return detail::plain<opcode::ftruncate, void>({.fd = fd(), .offset = size});
  }
  auto advise(std::uint64_t offset, std::uint32_t bytes, int advice) const noexcept {  // posix_fadvise(2)
    return detail::plain<opcode::fadvise, void>(
        {.fd = fd(), .offset = offset, .length = bytes, .options = static_cast<std::uint32_t>(advice)});
  }

  auto status() const noexcept {  // fstat(2)
    return operation(detail::status_kind<opcode::fstat>{.fd = fd(), .name = "", .flags = AT_EMPTY_PATH});
  }
  auto set_mode(std::uint32_t mode) const noexcept {  // fchmod(2)
    return detail::plain<opcode::fchmod, void>({.fd = fd(), .length = mode});
  }
  auto set_owner(std::uint32_t user, std::uint32_t group) const noexcept {  // fchown(2)
    return detail::plain<opcode::fchownat, void>(
        {.fd = fd(), .offset = user, .address = request::pointer(""), .length = group, .options = AT_EMPTY_PATH});
  }
  auto set_times(file_time accessed, file_time modified) const noexcept {  // futimens(3)
    return operation(detail::times_kind<opcode::utimensat>{
        fd(), nullptr, {detail::to_timespec(accessed), detail::to_timespec(modified)}, 0});
  }

  // Extended attributes: flistxattr(2) fills NUL-separated names; an empty buffer asks for the size needed.
  auto list_attributes(std::span<char> names) const noexcept {
    return detail::plain<opcode::flistxattr, std::size_t>(
        {.fd = fd(), .address = request::pointer(names.data()), .length = static_cast<std::uint32_t>(names.size())});
  }
  auto attribute(const char* name, std::span<std::byte> value) const noexcept {  // fgetxattr(2)
    return detail::plain<opcode::fgetxattr, std::size_t>({.fd = fd(),
                                                          .offset = request::pointer(value.data()),
                                                          .address = request::pointer(name),
                                                          .length = static_cast<std::uint32_t>(value.size())});
  }
  auto set_attribute(const char* name, std::span<const std::byte> value,
                     int flags = 0) const noexcept {  // fsetxattr(2)
    return detail::plain<opcode::fsetxattr, void>({.fd = fd(),
                                                   .offset = request::pointer(value.data()),
                                                   .address = request::pointer(name),
                                                   .length = static_cast<std::uint32_t>(value.size()),
                                                   .options = static_cast<std::uint32_t>(flags)});
  }
  auto remove_attribute(const char* name) const noexcept {  // fremovexattr(2)
    return detail::plain<opcode::fremovexattr, void>({.fd = fd(), .address = request::pointer(name)});
  }

  // lseek(2) with SEEK_DATA or SEEK_HOLE: where the next data or hole begins. ENXIO: none. Moves the file's position.
  auto next_data(std::uint64_t from) const noexcept { return operation(detail::seek_kind{fd(), from, SEEK_DATA}); }
  auto next_hole(std::uint64_t from) const noexcept { return operation(detail::seek_kind{fd(), from, SEEK_HOLE}); }
  // copy_file_range(2) into another file; bytes copied, 0 at the end of this one.
  auto copy_range_to(const file& to, std::uint64_t from, std::uint64_t at, std::size_t bytes) const noexcept {
    return detail::plain<opcode::copy_file_range, std::size_t>(
        {.fd = to.fd(), .offset = at, .address = from, .length = clamp(bytes), .file_index = fd()});
  }
  // ioctl_ficlone(2): shares all data. EOPNOTSUPP, EXDEV, EINVAL: not between these two.
  auto clone_to(const file& to) const noexcept {
    return detail::plain<opcode::ficlone, void>({.fd = to.fd(), .file_index = fd()});
  }

  // close(2). The descriptor is closed whatever the outcome, also when the operation is cancelled or dropped unstarted.
  auto close() noexcept { return operation(detail::close_kind{std::move(fd_)}); }

 private:
  static std::uint32_t clamp(std::size_t bytes) noexcept {
    return static_cast<std::uint32_t>(bytes < most_per_transfer ? bytes : most_per_transfer);
  }
  template <class T>
  detail::plain_request transfer(T* data, std::size_t count, std::uint64_t offset) const noexcept {
    return {.fd = fd(), .offset = offset, .address = request::pointer(data), .length = clamp(count)};
  }
  descriptor fd_;
};

}  // namespace asyncfs
