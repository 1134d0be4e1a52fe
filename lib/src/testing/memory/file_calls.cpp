// Requests on open files of a memory world, and opening them.
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <numeric>
#include <span>

#include "testing/memory/memory_world.hpp"

namespace asyncfs::detail::memory {

namespace {

constexpr auto at_position = static_cast<std::uint64_t>(-1);
constexpr std::uint64_t largest_file = std::uint64_t{1} << 44;  // as ext4

std::int64_t seconds_of(timestamp t) { return t.ns / 1'000'000'000; }
std::uint32_t nanoseconds_of(timestamp t) { return static_cast<std::uint32_t>(t.ns % 1'000'000'000); }

void fill(statx_timestamp& to, timestamp from) {
  to.tv_sec = seconds_of(from);
  to.tv_nsec = nanoseconds_of(from);
}

bool writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY; }
bool reads(int flags) { return (flags & O_ACCMODE) != O_WRONLY; }

}  // namespace

// ---- opening -------------------------------------------------------------------------------------------------------

std::int32_t memory_world::openat(const request& work) {
  std::uint64_t flags = work.options;
  if ((flags & O_PATH) != 0) flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;  // openat(2) ignores the others
  return open(work.fd, work.pointer_at<const char>(work.address), flags, work.length, 0);
}

std::int32_t memory_world::openat2(const request& work) {
  constexpr std::uint64_t known_resolve = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
                                          RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED;
  constexpr std::uint64_t path_flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  const auto& how = *work.pointer_at<const open_how>(work.offset);
  const bool creates = (how.flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) != 0;
  if ((how.resolve & ~known_resolve) != 0 || (how.flags >> 32) != 0) return -EINVAL;
  if ((how.flags & O_PATH) != 0 && (how.flags & ~path_flags) != 0) return -EINVAL;
  if ((!creates && how.mode != 0) || (how.mode & ~std::uint64_t{07777}) != 0) return -EINVAL;
  return open(work.fd, work.pointer_at<const char>(work.address), how.flags, static_cast<std::uint32_t>(how.mode),
              how.resolve);
}

std::int32_t memory_world::open(int fd, std::string_view path, std::uint64_t flags, std::uint32_t mode,
                                std::uint64_t resolve) {
  const int bits = static_cast<int>(flags);
  const bool nameless = (bits & O_TMPFILE) == O_TMPFILE;
  const bool creates = (bits & O_CREAT) != 0 && !nameless;
  const bool exclusive = creates && (bits & O_EXCL) != 0;
  if (creates && (bits & O_DIRECTORY) != 0) return -EINVAL;  // since 6.4, whatever there is
  const bool follows = (bits & O_NOFOLLOW) == 0 && !exclusive;
  tree::place there = find(fd, path, {.follow_last = follows, .follow_slash = !creates, .resolve = resolve});
  const auto give_file = [&](node& file) {
    return give({.file = &file, .flags = bits & ~(O_CREAT | O_EXCL | O_TRUNC), .path = std::string(path)});
  };
  const std::uint32_t new_mode = S_IFREG | (mode & 07777 & ~022u);
  if (nameless) {
    if (there.error != 0) return -there.error;
    if (!there.file->is_directory()) return -ENOTDIR;
    if (!writes(bits)) return -EINVAL;
    return give_file(tree_->create_nameless(new_mode));
  }
  if (creates && there.parent != nullptr && there.must_be_directory) return -EISDIR;
  if (there.error == ENOENT && creates && there.parent != nullptr)
    return give_file(tree_->create(*there.parent, there.name, new_mode));
  if (there.error != 0) return -there.error;
  node& file = *there.file;
  if (exclusive) return -EEXIST;
  if ((bits & O_DIRECTORY) != 0 && !file.is_directory()) return -ENOTDIR;
  if ((bits & O_PATH) != 0) return give_file(file);
  if (file.is_link()) return -ELOOP;
  if (file.is_directory() && (writes(bits) || creates)) return -EISDIR;
  if (file.is(S_IFSOCK) || file.is(S_IFBLK) || file.is(S_IFCHR)) return -ENXIO;
  if (file.is(S_IFIFO)) return open_fifo(file, bits);
  if ((bits & O_TRUNC) != 0) tree_->resize(file, 0);
  return give_file(file);
}

std::int32_t memory_world::open_path(std::string_view path, int flags) {
  return open(AT_FDCWD, path, static_cast<std::uint64_t>(flags & ~O_CREAT), 0, 0);
}

// As with O_NONBLOCK: whoever reads need not wait for a writer, and nobody can write without a reader.
std::int32_t memory_world::open_fifo(node& file, int flags) {
  if (!reads(flags) && (!file.fifo || file.fifo->readers == 0)) return -ENXIO;
  return give({.file = &file, .flags = flags, .end = streams_.open_fifo(file.fifo, reads(flags), writes(flags))});
}

std::int32_t memory_world::statx(const request& work) {
  node* file = nullptr;
  const opened* stream_end = nullptr;
  const auto* path = work.pointer_at<const char>(work.address);
  const bool no_name = (work.options & AT_EMPTY_PATH) != 0 && (path == nullptr || *path == '\0');
  const bool self = work.code == opcode::fstat || no_name;
  if (self && work.fd != AT_FDCWD) {
    opened* const one = at(work.fd);
    if (one == nullptr) return -EBADF;
    file = one->file;
    stream_end = one;
  } else if (self) {
    file = &tree_->root();
  } else {
    const tree::place there = find(work, work.address, (work.options & AT_SYMLINK_NOFOLLOW) == 0);
    if (there.error != 0) return -there.error;
    file = there.file;
  }
  auto& out = *work.pointer_at<struct statx>(work.offset);
  out = {};
  out.stx_mask = STATX_BASIC_STATS;
  out.stx_blksize = 4096;
  if (file == nullptr) {
    const bool is_socket = stream_end->end && stream_end->end->is_socket;
    out.stx_mode = static_cast<std::uint16_t>((is_socket ? S_IFSOCK : S_IFIFO) | 0600);
    return 0;
  }
  out.stx_nlink = file->links;
  out.stx_uid = file->now.user;
  out.stx_gid = file->now.group;
  out.stx_mode = static_cast<std::uint16_t>(file->now.mode);
  out.stx_ino = file->number;
  out.stx_size = file->is_directory() ? pages::page_size : file->is_link() ? file->target.size() : file->data.size();
  out.stx_blocks = file->data.count() * (pages::page_size / 512);
  fill(out.stx_atime, file->now.accessed);
  fill(out.stx_mtime, file->now.modified);
  fill(out.stx_ctime, file->now.changed);
  out.stx_rdev_major = static_cast<std::uint32_t>(file->device >> 8);
  out.stx_rdev_minor = static_cast<std::uint32_t>(file->device & 0xff);
  out.stx_dev_major = 0;
  out.stx_dev_minor = 77;
  return 0;
}

namespace {

std::size_t bytes_of(const request& work) {
  if (work.code != opcode::readv && work.code != opcode::writev) return work.length;
  const std::span pieces(work.pointer_at<const iovec>(work.address), work.length);
  return std::accumulate(pieces.begin(), pieces.end(), std::size_t{0},
                         [](std::size_t sum, const iovec& one) { return sum + one.iov_len; });
}

}  // namespace

// ---- transfers -----------------------------------------------------------------------------------------------------

std::int32_t memory_world::transfer(const request& work) {
  opened* const one = at(work.fd);
  if (one == nullptr) return -EBADF;
  const bool is_receive = work.code == opcode::recv, is_send = work.code == opcode::send;
  if ((is_receive || is_send) && (!one->end || !one->end->is_socket)) return -ENOTSOCK;
  const bool to_memory = is_receive || work.code == opcode::read || work.code == opcode::readv;
  const bool many = work.code == opcode::readv || work.code == opcode::writev;
  if ((one->flags & O_PATH) != 0) return -EBADF;
  if (many && work.length > IOV_MAX) return -EINVAL;
  if (work.offset != at_position && static_cast<std::int64_t>(work.offset) < 0) return -EINVAL;
  if (one->sink == nullptr && (to_memory ? !reads(one->flags) : !writes(one->flags))) return -EBADF;
  if (!is_receive && !is_send && bytes_of(work) == 0) return 0;
  const iovec single{work.pointer_at<void>(work.address), work.length};
  const iovec* const pieces = many ? work.pointer_at<const iovec>(work.address) : &single;
  const std::size_t count = many ? work.length : 1;
  const int flags = is_receive || is_send ? static_cast<int>(work.options) : 0;
  std::int32_t total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    auto* const data = static_cast<char*>(pieces[i].iov_base);
    const std::uint64_t offset = work.offset == at_position || is_receive || is_send
                                     ? at_position
                                     : work.offset + static_cast<std::uint64_t>(total);
    const std::int32_t moved = to_memory ? read_into(*one, offset, data, pieces[i].iov_len, flags)
                                         : write_from(*one, offset, data, pieces[i].iov_len, flags);
    if (moved < 0) return total > 0 ? total : moved;
    total += moved;
    if (static_cast<std::size_t>(moved) < pieces[i].iov_len) break;
  }
  if (total > 0) waits_on_ = 0;
  return total;
}

std::int32_t memory_world::read_into(opened& from, std::uint64_t offset, char* data, std::size_t length, int flags) {
  if (from.sink != nullptr) return 0;
  if (from.end) {
    if (offset != at_position) return -ESPIPE;
    return streams_.read(*from.end, data, length, (flags & MSG_PEEK) != 0, waits_on_);
  }
  if (from.file->is_directory()) return -EISDIR;
  const std::size_t count = from.file->data.read(offset == at_position ? from.position : offset, data, length);
  if (offset == at_position) from.position += count;
  return static_cast<std::int32_t>(count);
}

std::int32_t memory_world::write_from(opened& to, std::uint64_t offset, const char* data, std::size_t length, int) {
  if (to.sink != nullptr) {
    to.sink->append(data, length);
    return static_cast<std::int32_t>(length);
  }
  if (to.end) {
    if (offset != at_position) return -ESPIPE;
    return streams_.write(*to.end, data, length, waits_on_);
  }
  node& file = *to.file;
  if (length == 0) return 0;
  std::uint64_t begin = offset == at_position ? to.position : offset;
  if ((to.flags & O_APPEND) != 0) begin = file.data.size();
  if (begin + length > largest_file) return -EFBIG;
  const std::size_t count = tree_->write(file, begin, {data, length});
  if (count == 0) return -ENOSPC;
  if (offset == at_position) to.position = begin + count;
  if ((to.flags & O_DSYNC) != 0) tree_->sync(file, (to.flags & O_SYNC) != O_SYNC);
  return static_cast<std::int32_t>(count);
}

std::int32_t memory_world::copy_file_range(const request& work) {
  opened* const to = at(work.fd);
  opened* const from = at(work.file_index);
  if (to == nullptr || from == nullptr || ((to->flags | from->flags) & O_PATH) != 0) return -EBADF;
  if (to->file == nullptr || from->file == nullptr) return -EINVAL;
  if (to->file->is_directory() || from->file->is_directory()) return -EISDIR;
  if (!to->file->is_regular() || !from->file->is_regular()) return -EINVAL;
  if (!writes(to->flags) || !reads(from->flags) || (to->flags & O_APPEND) != 0) return -EBADF;
  const std::uint64_t source = work.address, target = work.offset, size = from->file->data.size();
  if (static_cast<std::int64_t>(source) < 0 || static_cast<std::int64_t>(target) < 0) return -EINVAL;
  const std::uint64_t wanted = source < size ? std::min<std::uint64_t>(work.length, size - source) : 0;
  if (to->file == from->file && source < target + wanted && target < source + wanted) return -EINVAL;
  std::uint64_t done = 0;
  std::array<char, pages::page_size> piece;
  while (done < wanted) {
    const std::size_t count = std::min<std::uint64_t>(piece.size(), wanted - done);
    from->file->data.read(source + done, piece.data(), count);
    const std::int32_t moved = write_from(*to, target + done, piece.data(), count, 0);
    if (moved < 0) return done > 0 ? static_cast<std::int32_t>(done) : moved;
    done += static_cast<std::uint64_t>(moved);
  }
  return static_cast<std::int32_t>(done);
}

std::int32_t memory_world::clone(const request& work) {
  opened* const to = at(work.fd);
  opened* const from = at(work.file_index);
  if (to == nullptr || from == nullptr || ((to->flags | from->flags) & O_PATH) != 0) return -EBADF;
  if (from->file == nullptr || to->file == nullptr) return -EXDEV;
  if (from->file->is_directory() || to->file->is_directory()) return -EISDIR;
  if (!from->file->is_regular() || !to->file->is_regular()) return -EINVAL;
  if (!writes(to->flags) || !reads(from->flags)) return -EBADF;
  if (!reflinks) return -EOPNOTSUPP;
  tree_->share(*from->file, *to->file);
  return 0;
}

std::int32_t memory_world::seek(const request& work) {
  opened* const one = at(work.fd);
  if (one == nullptr || (one->flags & O_PATH) != 0) return -EBADF;
  if (one->file == nullptr || one->end) return -ESPIPE;
  const std::uint64_t size = one->file->data.size();
  const auto offset = static_cast<std::int64_t>(work.offset);
  std::uint64_t found = 0;
  switch (static_cast<int>(work.length)) {
    case SEEK_SET: found = work.offset; break;
    case SEEK_CUR: found = one->position + work.offset; break;
    case SEEK_END: found = size + work.offset; break;
    case SEEK_DATA:
    case SEEK_HOLE: {
      if (offset < 0 || work.offset >= size) return -ENXIO;
      const bool wants_data = static_cast<int>(work.length) == SEEK_DATA;
      found = wants_data ? one->file->data.next_data(work.offset) : one->file->data.next_hole(work.offset);
      if (wants_data && found >= size) return -ENXIO;
      break;
    }
    default: return -EINVAL;
  }
  if (static_cast<std::int64_t>(found) < 0) return -EINVAL;
  one->position = found;
  *work.pointer_at<std::uint64_t>(work.address) = found;
  return 0;
}

// ---- sizes and durability ------------------------------------------------------------------------------------------

std::int32_t memory_world::fsync(const request& work) {
  std::int32_t error = 0;
  node* const file = usable_file_at(work.fd, error);
  if (file == nullptr) return error;
  if (!file->is_regular() && !file->is_directory()) return -EINVAL;
  tree_->sync(*file, (work.options & 1u) != 0);
  return 0;
}

std::int32_t memory_world::fallocate(const request& work) {
  std::int32_t error = 0;
  node* const file = usable_file_at(work.fd, error);
  if (file == nullptr) return error == -EINVAL ? -ESPIPE : error;
  const std::uint64_t offset = work.offset, length = work.address;
  if (length == 0 || static_cast<std::int64_t>(offset) < 0 || static_cast<std::int64_t>(length) < 0) return -EINVAL;
  const auto mode = static_cast<int>(work.length);
  const bool known = mode == 0 || mode == FALLOC_FL_KEEP_SIZE || mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
  if (!known) return -EOPNOTSUPP;
  if (!writes(at(work.fd)->flags)) return -EBADF;
  if (!file->is_regular()) return file->is_directory() ? -EISDIR : -ENODEV;
  if (mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) {
    if (offset < file->data.size()) tree_->punch(*file, offset, std::min(length, file->data.size() - offset));
    return 0;
  }
  if (offset + length > largest_file) return -EFBIG;
  if (!tree_->allocate(*file, offset, length)) return -ENOSPC;
  if (mode == 0 && offset + length > file->data.size()) tree_->resize(*file, offset + length);
  return 0;
}

std::int32_t memory_world::ftruncate(const request& work) {
  std::int32_t error = 0;
  node* const file = usable_file_at(work.fd, error);
  if (file == nullptr) return error;
  if (!writes(at(work.fd)->flags) || !file->is_regular() || static_cast<std::int64_t>(work.offset) < 0) return -EINVAL;
  if (work.offset > largest_file) return -EFBIG;
  tree_->resize(*file, work.offset);
  return 0;
}

}  // namespace asyncfs::detail::memory
