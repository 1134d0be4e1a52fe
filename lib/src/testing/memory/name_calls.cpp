// Requests on names and attributes of a memory world.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "testing/memory/memory_world.hpp"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE (1 << 0)
#define RENAME_EXCHANGE (1 << 1)
#endif

namespace asyncfs::detail::memory {

namespace {

const char* text(const request& work, std::uint64_t field) { return work.pointer_at<const char>(field); }

unsigned char entry_type(const node& file) { return static_cast<unsigned char>((file.now.mode & S_IFMT) >> 12); }

// 0, or why no attribute can have this name.
std::int32_t refused_name(std::string_view name) {
  for (const std::string_view known : {"user.", "trusted.", "security.", "system."})
    if (name.starts_with(known)) return name == known ? -EINVAL : 0;
  return -EOPNOTSUPP;
}
bool is_name_length(std::string_view name) { return !name.empty() && name.size() <= 255; }

bool is_below(const node& below, const node& above) {
  for (const node* one = &below;; one = one->parent) {
    if (one == &above) return true;
    if (one->parent == one) return false;
  }
}

}  // namespace

// ---- making and removing -------------------------------------------------------------------------------------------

std::int32_t memory_world::mkdirat(const request& work) {
  const tree::place there = find_name(work.fd, text(work, work.address));
  if (there.file != nullptr) return -EEXIST;
  if (there.error != ENOENT || there.parent == nullptr) return -there.error;
  tree_->create(*there.parent, there.name, S_IFDIR | (work.length & 07777 & ~022u));
  return 0;
}

std::int32_t memory_world::mknodat(const request& work) {
  const tree::place there = find_name(work.fd, text(work, work.address));
  if (there.file != nullptr) return -EEXIST;
  if (there.error != ENOENT || there.parent == nullptr) return -there.error;
  std::uint32_t mode = work.length;
  if ((mode & S_IFMT) == 0) mode |= S_IFREG;
  if (S_ISDIR(mode)) return -EPERM;
  if (S_ISLNK(mode)) return -EINVAL;
  if (there.must_be_directory) return -ENOENT;
  node& made = tree_->create(*there.parent, there.name, (mode & S_IFMT) | (mode & 07777 & ~022u));
  made.device = work.offset;
  return 0;
}

std::int32_t memory_world::unlinkat(const request& work) {
  const tree::place there = find_name(work.fd, text(work, work.address));
  const bool directory = (work.options & AT_REMOVEDIR) != 0;
  if (there.error != 0) return -there.error;
  if (there.parent == nullptr) return directory ? (there.name == "." ? -EINVAL : -ENOTEMPTY) : -EISDIR;
  if (directory && !there.file->is_directory()) return -ENOTDIR;
  if (!directory && there.file->is_directory()) return -EISDIR;
  if (directory && !there.file->entries.empty()) return -ENOTEMPTY;
  tree_->unlink(*there.parent, there.name);
  return 0;
}

std::int32_t memory_world::renameat(const request& work) {
  const unsigned flags = work.options;
  if ((flags & ~static_cast<unsigned>(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0 ||
      flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
    return -EINVAL;
  const bool exchange = (flags & RENAME_EXCHANGE) != 0, keeps = (flags & RENAME_NOREPLACE) != 0;
  const tree::place from = find_name(work.fd, text(work, work.address));
  const tree::place to = find_name(static_cast<int>(work.length), text(work, work.offset));
  // In Linux's order: the ways there, what no name can be given to, what is there.
  for (const tree::place* one : {&from, &to})
    if (one->error != 0 && one->parent == nullptr) return -one->error;
  if (from.parent == nullptr) return -EBUSY;
  if (to.parent == nullptr) return keeps ? -EEXIST : -EBUSY;
  if (from.file == nullptr) return -ENOENT;
  if (to.file != nullptr && keeps) return -EEXIST;
  if (exchange && to.file == nullptr) return -ENOENT;
  if (exchange && to.must_be_directory && !to.file->is_directory()) return -ENOTDIR;
  const bool slash = from.must_be_directory || (!exchange && to.must_be_directory);
  if (slash && !from.file->is_directory()) return -ENOTDIR;
  if (from.file->is_directory() && is_below(*to.parent, *from.file)) return -EINVAL;
  if (to.file != nullptr && to.file->is_directory() && is_below(*from.parent, *to.file))
    return exchange ? -EINVAL : -ENOTEMPTY;
  if (to.file == from.file) return 0;
  if (to.file != nullptr && !exchange) {
    if (from.file->is_directory() && !to.file->is_directory()) return -ENOTDIR;
    if (!from.file->is_directory() && to.file->is_directory()) return -EISDIR;
    if (to.file->is_directory() && !to.file->entries.empty()) return -ENOTEMPTY;
  }
  tree_->rename(*from.parent, from.name, *to.parent, to.name, exchange);
  return 0;
}

std::int32_t memory_world::linkat(const request& work) {
  const std::string_view path = text(work, work.address);
  node* file = nullptr;
  if ((work.options & ~static_cast<std::uint32_t>(AT_EMPTY_PATH | AT_SYMLINK_FOLLOW)) != 0) return -EINVAL;
  if (path.empty() && (work.options & AT_EMPTY_PATH) != 0) {
    std::int32_t error = 0;
    file = file_at(work.fd, error);
    if (file == nullptr) return error;
  } else if (path.starts_with("/proc/self/fd/")) {  // how a nameless file gets its name
    std::int32_t error = 0;
    file = file_at(std::atoi(path.data() + 14), error);
    if (file == nullptr) return -ENOENT;
  } else {
    const tree::place from = find(work, work.address, (work.options & AT_SYMLINK_FOLLOW) != 0);
    if (from.error != 0) return -from.error;
    file = from.file;
  }
  const tree::place to = find_name(static_cast<int>(work.length), text(work, work.offset));
  if (to.file != nullptr) return -EEXIST;
  if (to.error != ENOENT || to.parent == nullptr) return -to.error;
  if (to.must_be_directory) return -ENOENT;
  if (file->is_directory()) return -EPERM;
  tree_->link(*to.parent, to.name, *file);
  return 0;
}

std::int32_t memory_world::symlinkat(const request& work) {
  const std::string target = text(work, work.address);
  if (target.empty()) return -ENOENT;
  if (target.size() >= 4096) return -ENAMETOOLONG;
  const tree::place there = find_name(work.fd, text(work, work.offset));
  if (there.file != nullptr) return -EEXIST;
  if (there.error != ENOENT || there.parent == nullptr) return -there.error;
  if (there.must_be_directory) return -ENOENT;
  node& made = tree_->create(*there.parent, there.name, S_IFLNK | 0777);
  made.target = target;
  return 0;
}

std::int32_t memory_world::readlinkat(const request& work) {
  node* file = nullptr;
  const bool of_descriptor = *text(work, work.address) == '\0';
  if (of_descriptor) {
    std::int32_t error = 0;
    file = file_at(work.fd, error);
    if (file == nullptr) return error;
  } else {
    const tree::place there = find(work, work.address, false);
    if (there.error != 0) return -there.error;
    file = there.file;
  }
  if (!file->is_link()) return of_descriptor ? -ENOENT : -EINVAL;
  const std::size_t count = std::min<std::size_t>(work.length, file->target.size());
  std::memcpy(work.pointer_at<char>(work.offset), file->target.data(), count);
  return static_cast<std::int32_t>(count);
}

// ---- listing -------------------------------------------------------------------------------------------------------

std::int32_t memory_world::read_entries(opened& from, std::byte* buffer, std::size_t capacity) {
  if ((from.flags & O_PATH) != 0) return -EBADF;
  if (from.file == nullptr || !from.file->is_directory()) return -ENOTDIR;
  if (from.file->is_dead()) return -ENOENT;
  std::size_t used = 0;
  // struct linux_dirent64: inode, offset, record length, type, name.
  const auto put = [&](const std::string& name, const node& file) {
    const std::size_t length = (19 + name.size() + 1 + 7) / 8 * 8;
    if (used + length > capacity) return false;
    std::byte* const record = buffer + used;
    std::memset(record, 0, length);
    const auto record_length = static_cast<std::uint16_t>(length);
    std::memcpy(record, &file.number, sizeof file.number);
    std::memcpy(record + 16, &record_length, sizeof record_length);
    record[18] = static_cast<std::byte>(entry_type(file));
    std::memcpy(record + 19, name.data(), name.size());
    used += length;
    return true;
  };
  const auto full = [&] { return used > 0 ? static_cast<std::int32_t>(used) : -EINVAL; };
  for (; from.dots_listed < 2; ++from.dots_listed)
    if (!put(from.dots_listed == 0 ? "." : "..", from.dots_listed == 0 ? *from.file : *from.file->parent))
      return full();
  const auto& all = from.file->entries;
  for (auto one = all.upper_bound(from.last_entry); one != all.end(); ++one) {
    if (!put(one->first, *one->second)) return full();
    from.last_entry = one->first;
  }
  return static_cast<std::int32_t>(used);
}

std::int32_t memory_world::getdents(const request& work) {
  opened* const one = at(work.fd);
  if (one == nullptr) return -EBADF;
  return read_entries(*one, work.pointer_at<std::byte>(work.address), work.length);
}

std::int32_t memory_world::list_directory(const request& work) {
  constexpr std::size_t largest_entry = 280;
  auto& list = *work.pointer_at<list_arguments>(work.offset);
  list.used = 0;
  if (list.directory < 0) {
    const std::uint64_t flags =
        static_cast<std::uint64_t>(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) & ~std::uint64_t{work.options};
    const std::int32_t fd = open(work.fd, text(work, work.address), flags, 0, 0);
    if (fd < 0) return fd;
    list.directory = fd;
  }
  opened* const one = at(list.directory);
  if (one == nullptr) return -EBADF;
  while (list.capacity - list.used >= largest_entry) {
    const std::int32_t bytes = read_entries(*one, list.buffer + list.used, list.capacity - list.used);
    if (bytes == -EINVAL && list.used > 0) return 0;
    if (bytes < 0) return bytes;
    if (bytes == 0) {
      list.at_end = true;
      return 0;
    }
    list.used += static_cast<std::size_t>(bytes);
  }
  return 0;
}

// ---- attributes ----------------------------------------------------------------------------------------------------

std::int32_t memory_world::set_mode(const request& work) {
  node* file = nullptr;
  std::int32_t error = 0;
  if (work.code == opcode::fchmod) {
    file = usable_file_at(work.fd, error);
    if (file == nullptr) return error;
  } else {
    const tree::place there = find(work, work.address, true);
    if (there.error != 0) return -there.error;
    file = there.file;
  }
  file->now.mode = (file->now.mode & S_IFMT) | (work.length & 07777);
  tree_->touch(*file, false);
  return 0;
}

std::int32_t memory_world::set_owner(const request& work) {
  node* file = nullptr;
  std::int32_t error = 0;
  if ((work.options & AT_EMPTY_PATH) != 0 && *text(work, work.address) == '\0') {
    file = file_at(work.fd, error);
    if (file == nullptr) return error;
  } else {
    const tree::place there = find(work, work.address, (work.options & AT_SYMLINK_NOFOLLOW) == 0);
    if (there.error != 0) return -there.error;
    file = there.file;
  }
  const auto user = static_cast<std::uint32_t>(work.offset), group = work.length;
  if (::geteuid() != 0 && user != ~0u && user != file->now.user) return -EPERM;
  if (user != ~0u) file->now.user = user;
  if (group != ~0u) file->now.group = group;
  // As Linux: what the old owner could do with them, a new one must not be given.
  if (!file->is_directory() && !file->is_link() && (file->now.mode & 0111) != 0)
    file->now.mode &= ~static_cast<std::uint32_t>(S_ISUID | ((file->now.mode & S_IXGRP) != 0 ? S_ISGID : 0));
  tree_->touch(*file, false);
  return 0;
}

std::int32_t memory_world::set_times(const request& work) {
  node* file = nullptr;
  std::int32_t error = 0;
  if (work.address == 0) {
    file = usable_file_at(work.fd, error);
    if (file == nullptr) return error;
  } else {
    const tree::place there = find(work, work.address, (work.options & AT_SYMLINK_NOFOLLOW) == 0);
    if (there.error != 0) return -there.error;
    file = there.file;
  }
  const auto* const times = work.pointer_at<const timespec>(work.offset);
  const auto take = [this](timestamp& into, const timespec& from) {
    if (from.tv_nsec == UTIME_OMIT) return true;
    if (from.tv_nsec == UTIME_NOW) {
      into.ns = tree_->now_ns;
      return true;
    }
    if (from.tv_nsec < 0 || from.tv_nsec >= 1'000'000'000) return false;
    into.ns = static_cast<std::int64_t>(from.tv_sec) * 1'000'000'000 + from.tv_nsec;
    return true;
  };
  attributes after = file->now;
  if (!take(after.accessed, times[0]) || !take(after.modified, times[1])) return -EINVAL;
  file->now = after;
  tree_->touch(*file, false);
  return 0;
}

std::int32_t memory_world::set_attribute(const request& work) {
  const std::string name = text(work, work.address);
  if (!is_name_length(name)) return -ERANGE;
  node* file = nullptr;
  std::int32_t error = 0;
  if (work.code == opcode::fsetxattr) {
    file = usable_file_at(work.fd, error);
    if (file == nullptr) return error;
  } else {
    const tree::place there = find(AT_FDCWD, text(work, work.extra), {});
    if (there.error != 0) return -there.error;
    file = there.file;
  }
  error = refused_name(name);
  if (error != 0) return error;
  if (name.starts_with("user.") && !file->is_regular() && !file->is_directory()) return -EPERM;
  const bool there = file->now.extended.contains(name);
  if ((work.options & XATTR_CREATE) != 0 && there) return -EEXIST;
  if ((work.options & XATTR_REPLACE) != 0 && !there) return -ENODATA;
  file->now.extended[name] = std::string(work.pointer_at<const char>(work.offset), work.length);
  tree_->touch(*file, false);
  return 0;
}

std::int32_t memory_world::get_attribute(const request& work) {
  const std::string name = text(work, work.address);
  if (!is_name_length(name)) return -ERANGE;
  node* file = nullptr;
  std::int32_t error = 0;
  if (work.code == opcode::fgetxattr) {
    file = usable_file_at(work.fd, error);
    if (file == nullptr) return error;
  } else {
    const tree::place there = find(AT_FDCWD, text(work, work.extra), {});
    if (there.error != 0) return -there.error;
    file = there.file;
  }
  error = refused_name(name);
  if (error != 0) return error;
  const auto found = file->now.extended.find(name);
  if (found == file->now.extended.end()) return -ENODATA;
  if (work.length == 0) return static_cast<std::int32_t>(found->second.size());
  if (found->second.size() > work.length) return -ERANGE;
  std::memcpy(work.pointer_at<char>(work.offset), found->second.data(), found->second.size());
  return static_cast<std::int32_t>(found->second.size());
}

std::int32_t memory_world::list_attributes(const request& work) {
  std::int32_t error = 0;
  node* const file = usable_file_at(work.fd, error);
  if (file == nullptr) return error;
  std::string all;
  for (const auto& [name, value] : file->now.extended) all.append(name).push_back('\0');
  if (work.length == 0) return static_cast<std::int32_t>(all.size());
  if (all.size() > work.length) return -ERANGE;
  std::memcpy(work.pointer_at<char>(work.address), all.data(), all.size());
  return static_cast<std::int32_t>(all.size());
}

std::int32_t memory_world::remove_attribute(const request& work) {
  const std::string name = text(work, work.address);
  if (!is_name_length(name)) return -ERANGE;
  std::int32_t error = 0;
  node* const file = usable_file_at(work.fd, error);
  if (file == nullptr) return error;
  error = refused_name(name);
  if (error != 0) return error;
  if (file->now.extended.erase(name) == 0) return -ENODATA;
  tree_->touch(*file, false);
  return 0;
}

}  // namespace asyncfs::detail::memory
