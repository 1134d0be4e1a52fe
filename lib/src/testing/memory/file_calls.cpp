// Requests on open files of a memory world, and opening them.
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "testing/memory/memory_world.hpp"

namespace asyncfs::detail::memory {

namespace {

constexpr auto at_position = static_cast<std::uint64_t>(-1);

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
  return open(work.fd, work.pointer_at<const char>(work.address), work.options, work.length, 0);
}

std::int32_t memory_world::openat2(const request& work) {
  const auto& how = *work.pointer_at<const open_how>(work.offset);
  return open(work.fd, work.pointer_at<const char>(work.address), how.flags, static_cast<std::uint32_t>(how.mode),
              how.resolve);
}

std::int32_t memory_world::open(int fd, std::string_view path, std::uint64_t flags, std::uint32_t mode,
                                std::uint64_t resolve) {
  const int bits = static_cast<int>(flags);
  const bool nameless = (bits & O_TMPFILE) == O_TMPFILE;
  const bool creates = (bits & O_CREAT) != 0 && !nameless;
  const bool exclusive = creates && (bits & O_EXCL) != 0;
  tree::place there = find(fd, path, {.follow_last = (bits & O_NOFOLLOW) == 0 && !exclusive, .resolve = resolve});
  const auto give_file = [&](node& file) {
    return give(std::make_shared<opened>(opened{.file = &file, .flags = bits & ~(O_CREAT | O_EXCL | O_TRUNC)}));
  };
  if (nameless) {
    if (there.error != 0) return -there.error;
    if (!there.file->is_directory()) return -ENOTDIR;
    if (!writes(bits)) return -EINVAL;
    return give_file(tree_->create_nameless(S_IFREG | (mode & 07777)));
  }
  if (there.error == ENOENT && creates && there.parent != nullptr) {
    if (there.must_be_directory) return -EISDIR;
    if ((bits & O_DIRECTORY) != 0) return -EINVAL;
    return give_file(tree_->create(*there.parent, there.name, S_IFREG | (mode & 07777 & ~022u)));
  }
  if (there.error != 0) return -there.error;
  node& file = *there.file;
  if (exclusive) return -EEXIST;
  if (file.is_link() && (bits & O_PATH) == 0) return -ELOOP;
  if ((bits & O_DIRECTORY) != 0 && !file.is_directory()) return -ENOTDIR;
  if (file.is_directory() && (bits & O_PATH) == 0 && (writes(bits) || creates)) return -EISDIR;
  if (file.is(S_IFSOCK) && (bits & O_PATH) == 0) return -ENXIO;
  if ((bits & O_TRUNC) != 0 && file.is_regular()) {
    static_cast<void>(tree_->resize(file, 0));
    tree_->touch(file, true);
  }
  return give_file(file);
}

std::int32_t memory_world::statx(const request& work) {
  node* file = nullptr;
  const opened* stream_end = nullptr;
  const auto* path = work.pointer_at<const char>(work.address);
  const bool self = work.code == opcode::fstat || ((work.options & AT_EMPTY_PATH) != 0 && *path == '\0');
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
  out.stx_size = file->is_directory() ? 4096 : file->data.size();
  out.stx_blocks = (file->data.size() + 511) / 512;
  fill(out.stx_atime, file->now.accessed);
  fill(out.stx_mtime, file->now.modified);
  fill(out.stx_ctime, file->now.changed);
  out.stx_rdev_major = static_cast<std::uint32_t>(file->device >> 8);
  out.stx_rdev_minor = static_cast<std::uint32_t>(file->device & 0xff);
  out.stx_dev_major = 0;
  out.stx_dev_minor = 77;
  return 0;
}

// ---- transfers -----------------------------------------------------------------------------------------------------

std::int32_t memory_world::transfer(const request& work) {
  opened* const one = at(work.fd);
  if (one == nullptr) return -EBADF;
  const bool is_receive = work.code == opcode::recv, is_send = work.code == opcode::send;
  if ((is_receive || is_send) && (!one->end || !one->end->is_socket)) return -ENOTSOCK;
  const bool to_memory = is_receive || work.code == opcode::read || work.code == opcode::readv;
  const bool many = work.code == opcode::readv || work.code == opcode::writev;
  if ((one->flags & O_PATH) != 0) return -EBADF;
  if (one->sink == nullptr && (to_memory ? !reads(one->flags) : !writes(one->flags))) return -EBADF;
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
  if (offset != at_position && static_cast<std::int64_t>(offset) < 0) return -EINVAL;
  const std::uint64_t begin = offset == at_position ? from.position : offset;
  const std::string& all = from.file->data;
  const std::size_t count = begin >= all.size() ? 0 : std::min<std::size_t>(length, all.size() - begin);
  if (count > 0) std::memcpy(data, all.data() + begin, count);
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
  if (offset != at_position && static_cast<std::int64_t>(offset) < 0) return -EINVAL;
  if (length == 0) return 0;
  std::uint64_t begin = offset == at_position ? to.position : offset;
  if ((to.flags & O_APPEND) != 0) begin = file.data.size();
  std::size_t count = length;
  if (begin + count > file.data.size() && !tree_->resize(file, begin + count)) {
    // As much as there is room for, as a device does.
    const std::uint64_t room = tree_->capacity - std::min(tree_->capacity, tree_->used());
    if (file.data.size() + room <= begin) return -ENOSPC;
    count = static_cast<std::size_t>(file.data.size() + room - begin);
    if (!tree_->resize(file, begin + count)) return -ENOSPC;
  }
  std::memcpy(file.data.data() + begin, data, count);
  tree_->touch(file, true);
  if (offset == at_position) to.position = begin + count;
  if ((to.flags & O_DSYNC) != 0) tree_->sync(file, false);
  return static_cast<std::int32_t>(count);
}

std::int32_t memory_world::copy_file_range(const request& work) {
  opened* const to = at(work.fd);
  opened* const from = at(work.file_index);
  if (to == nullptr || from == nullptr) return -EBADF;
  if (to->file == nullptr || from->file == nullptr) return -EINVAL;
  if (to->file->is_directory() || from->file->is_directory()) return -EISDIR;
  if (!to->file->is_regular() || !from->file->is_regular()) return -EINVAL;
  if (!writes(to->flags) || !reads(from->flags) || (to->flags & O_APPEND) != 0) return -EBADF;
  if (work.address >= from->file->data.size()) return 0;
  const std::string piece = from->file->data.substr(work.address, work.length);
  return write_from(*to, work.offset, piece.data(), piece.size(), 0);
}

std::int32_t memory_world::seek(const request& work) {
  opened* const one = at(work.fd);
  if (one == nullptr) return -EBADF;
  if (one->file == nullptr) return -ESPIPE;
  const std::uint64_t size = one->file->data.size();
  const auto offset = static_cast<std::int64_t>(work.offset);
  std::uint64_t found = 0;
  switch (static_cast<int>(work.length)) {
    case SEEK_SET: found = work.offset; break;
    case SEEK_CUR: found = one->position + work.offset; break;
    case SEEK_END: found = size + work.offset; break;
    // Pages of zeros are holes here, so that holes are met with.
    case SEEK_DATA:
    case SEEK_HOLE: {
      if (offset < 0 || work.offset >= size) return -ENXIO;
      const bool wants_data = static_cast<int>(work.length) == SEEK_DATA;
      const auto is_hole = [&](std::uint64_t page) {
        const std::uint64_t end = std::min(page + 4096, size);
        return std::all_of(one->file->data.begin() + static_cast<std::ptrdiff_t>(page),
                           one->file->data.begin() + static_cast<std::ptrdiff_t>(end), [](char c) { return c == 0; });
      };
      found = work.offset;
      for (std::uint64_t page = found / 4096 * 4096; page < size; page += 4096) {
        if (is_hole(page) != wants_data) {
          found = std::max(found, page);
          one->position = found;
          *work.pointer_at<std::uint64_t>(work.address) = found;
          return 0;
        }
      }
      if (wants_data) return -ENXIO;
      found = size;
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
  node* const file = file_at(work.fd, error);
  if (file == nullptr) return error;
  if (!file->is_regular() && !file->is_directory()) return -EINVAL;
  tree_->sync(*file, (work.options & 1u) != 0);
  return 0;
}

std::int32_t memory_world::fallocate(const request& work) {
  std::int32_t error = 0;
  node* const file = file_at(work.fd, error);
  if (file == nullptr) return error == -EINVAL ? -ESPIPE : error;
  if (!writes(at(work.fd)->flags)) return -EBADF;
  if (!file->is_regular()) return file->is_directory() ? -EISDIR : -ENODEV;
  const std::uint64_t offset = work.offset, length = work.address;
  if (length == 0 || static_cast<std::int64_t>(offset) < 0 || static_cast<std::int64_t>(length) < 0) return -EINVAL;
  const auto mode = static_cast<int>(work.length);
  if (mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) {
    for (std::uint64_t i = offset; i < std::min<std::uint64_t>(offset + length, file->data.size()); ++i)
      file->data[i] = '\0';
    tree_->touch(*file, true);
    return 0;
  }
  if (mode == FALLOC_FL_KEEP_SIZE) {
    const std::uint64_t more = offset + length > file->data.size() ? offset + length - file->data.size() : 0;
    return more > tree_->capacity - std::min(tree_->capacity, tree_->used()) ? -ENOSPC : 0;
  }
  if (mode != 0) return -EOPNOTSUPP;
  if (offset + length > file->data.size() && !tree_->resize(*file, offset + length)) return -ENOSPC;
  tree_->touch(*file, true);
  return 0;
}

std::int32_t memory_world::ftruncate(const request& work) {
  std::int32_t error = 0;
  node* const file = file_at(work.fd, error);
  if (file == nullptr) return error;
  if (!writes(at(work.fd)->flags) || !file->is_regular() || static_cast<std::int64_t>(work.offset) < 0) return -EINVAL;
  if (!tree_->resize(*file, work.offset)) return -ENOSPC;
  tree_->touch(*file, true);
  return 0;
}

}  // namespace asyncfs::detail::memory
