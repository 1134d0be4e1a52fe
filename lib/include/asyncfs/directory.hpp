// Directory handles, and every operation that takes (directory, name).
//
// A name is one NUL-terminated path relative to the handle, an absolute one ignores it; it must live until the
// operation has completed. Nothing here follows a symbolic link in the last component unless it says so.
// Loop thread only. Errors are those of the system call named beside each.
#pragma once

#include <linux/openat2.h>

#include <array>
#include <climits>

#include <asyncfs/file.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

class directory;

namespace detail {

template <opcode Code, class T>
struct open_kind {
  using value_type = T;
  static constexpr opcode code = Code;
  int fd;
  const char* name;
  open_how how;

  void prepare(request& slot) const noexcept {
    slot.fd = fd;
    slot.address = request::pointer(name);
    slot.offset = request::pointer(&how);
    slot.length = sizeof how;
  }
  result<T> complete(const completion& event) const {
    if (event.value < 0) return failure(-event.value);
    return T(event.value);
  }
};

struct read_link_kind {
  using value_type = std::string;
  static constexpr opcode code = opcode::readlinkat;
  int fd;
  const char* name;
  mutable std::array<char, PATH_MAX> target;  // the kernel keeps no longer target

  void prepare(request& slot) const noexcept {
    slot.fd = fd;
    slot.address = request::pointer(name);
    slot.offset = request::pointer(target.data());
    slot.length = target.size();
  }
  result<std::string> complete(const completion& event) const {
    if (event.value < 0) return failure(-event.value);
    return std::string(target.data(), static_cast<std::size_t>(event.value));
  }
};

}  // namespace detail

class directory {
 public:
  // The process's current directory.
  directory() noexcept = default;
  explicit directory(int fd) noexcept : fd_(fd) {}

  [[nodiscard]] int fd() const noexcept { return fd_ ? fd_.fd() : AT_FDCWD; }
  [[nodiscard]] int release() noexcept { return fd_.release(); }

  // openat(2) of something that exists. O_CLOEXEC is added.
  auto open(const char* name, int flags = O_RDONLY) const noexcept {
    return detail::plain<opcode::openat, file>(
        {.fd = fd(), .address = request::pointer(name), .options = static_cast<std::uint32_t>(flags | O_CLOEXEC)});
  }
  auto open_directory(const char* name, int flags = O_NOFOLLOW) const noexcept {
    return detail::plain<opcode::openat, directory>(
        {.fd = fd(),
         .address = request::pointer(name),
         .options = static_cast<std::uint32_t>(flags | O_RDONLY | O_DIRECTORY | O_CLOEXEC)});
  }
  // openat2(2) with RESOLVE_* bits: EXDEV when the path leaves the handle under RESOLVE_BENEATH. 5.6.
  auto open_resolved(const char* path, int flags, std::uint64_t resolve) const noexcept {
    return operation(detail::open_kind<opcode::openat2, file>{
        fd(), path, {.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC), .mode = 0, .resolve = resolve}});
  }
  // openat(2) with O_CREAT; add O_EXCL to refuse what exists, O_TRUNC to empty it. O_TMPFILE makes a nameless file.
  auto create(const char* name, int flags, std::uint32_t mode) const noexcept {
    const int creating = (flags & O_TMPFILE) == O_TMPFILE ? flags : flags | O_CREAT;
    return operation(detail::open_kind<opcode::create, file>{
        fd(), name, {.flags = static_cast<std::uint64_t>(creating | O_CLOEXEC), .mode = mode, .resolve = 0}});
  }

  auto status(const char* name) const noexcept {  // statx(2), of a link itself
    return operation(detail::status_kind<opcode::statx>{.fd = fd(), .name = name, .flags = AT_SYMLINK_NOFOLLOW});
  }
  auto status_followed(const char* name) const noexcept {  // statx(2), of a link's target
    return operation(detail::status_kind<opcode::statx>{.fd = fd(), .name = name, .flags = 0});
  }
  auto status() const noexcept {  // fstat(2), of the directory
    return operation(detail::status_kind<opcode::fstat>{.fd = fd(), .name = "", .flags = AT_EMPTY_PATH});
  }
  auto make_directory(const char* name, std::uint32_t mode) const noexcept {  // mkdirat(2)
    return detail::plain<opcode::mkdirat, void>({.fd = fd(), .address = request::pointer(name), .length = mode});
  }
  auto make_node(const char* name, std::uint32_t mode, std::uint64_t device) const noexcept {  // mknodat(2)
    return detail::plain<opcode::mknodat, void>(
        {.fd = fd(), .offset = device, .address = request::pointer(name), .length = mode});
  }
  auto remove(const char* name) const noexcept {  // unlinkat(2)
    return detail::plain<opcode::unlinkat, void>({.fd = fd(), .address = request::pointer(name)});
  }
  auto remove_directory(const char* name) const noexcept {  // unlinkat(2), AT_REMOVEDIR
    return detail::plain<opcode::unlinkat, void>(
        {.fd = fd(), .address = request::pointer(name), .options = AT_REMOVEDIR});
  }
  // renameat2(2); `flags` as RENAME_NOREPLACE, RENAME_EXCHANGE.
  auto rename(const char* name, const directory& to, const char* new_name, unsigned flags = 0) const noexcept {
    return detail::plain<opcode::renameat, void>({.fd = fd(),
                                                  .offset = request::pointer(new_name),
                                                  .address = request::pointer(name),
                                                  .length = static_cast<std::uint32_t>(to.fd()),
                                                  .options = flags});
  }
  auto link(const char* name, const directory& to, const char* new_name, int flags = 0) const noexcept {  // linkat(2)
    return detail::plain<opcode::linkat, void>({.fd = fd(),
                                                .offset = request::pointer(new_name),
                                                .address = request::pointer(name),
                                                .length = static_cast<std::uint32_t>(to.fd()),
                                                .options = static_cast<std::uint32_t>(flags)});
  }
  auto symlink(const char* target, const char* name) const noexcept {  // symlinkat(2)
    return detail::plain<opcode::symlinkat, void>(
        {.fd = fd(), .offset = request::pointer(name), .address = request::pointer(target)});
  }
  auto read_link(const char* name) const noexcept {  // readlinkat(2)
    return operation(detail::read_link_kind{fd(), name, {}});
  }
  auto set_mode(const char* name, std::uint32_t mode) const noexcept {  // fchmodat(2): follows links
    return detail::plain<opcode::fchmodat, void>({.fd = fd(), .address = request::pointer(name), .length = mode});
  }
  auto set_owner(const char* name, std::uint32_t user,
                 std::uint32_t group) const noexcept {  // fchownat(2), of a link itself
    return detail::plain<opcode::fchownat, void>({.fd = fd(),
                                                  .offset = user,
                                                  .address = request::pointer(name),
                                                  .length = group,
                                                  .options = AT_SYMLINK_NOFOLLOW});
  }
  auto set_times(const char* name, file_time accessed,
                 file_time modified) const noexcept {  // utimensat(2), of a link itself
    return operation(detail::times_kind<opcode::utimensat>{
        fd(), name, {detail::to_timespec(accessed), detail::to_timespec(modified)}, AT_SYMLINK_NOFOLLOW});
  }
  // The same of the directory itself: fchmod(2), fchown(2), futimens(3).
  auto set_mode_of_self(std::uint32_t mode) const noexcept {
    return detail::plain<opcode::fchmod, void>({.fd = fd(), .length = mode});
  }
  auto set_owner_of_self(std::uint32_t user, std::uint32_t group) const noexcept {
    return detail::plain<opcode::fchownat, void>(
        {.fd = fd(), .offset = user, .address = request::pointer(""), .length = group, .options = AT_EMPTY_PATH});
  }
  auto set_times_of_self(file_time accessed, file_time modified) const noexcept {
    return operation(detail::times_kind<opcode::utimensat>{
        fd(), nullptr, {detail::to_timespec(accessed), detail::to_timespec(modified)}, 0});
  }
  auto get_attribute(const char* path, const char* name,
                     std::span<std::byte> value) const noexcept {  // getxattr(2): from the current directory
    return detail::plain<opcode::getxattr, std::size_t>({.offset = request::pointer(value.data()),
                                                         .address = request::pointer(name),
                                                         .length = static_cast<std::uint32_t>(value.size()),
                                                         .extra = request::pointer(path)});
  }
  // getdents64(2): raw entries, for `entries_in`; 0 at the end.
  auto read_entries(std::span<std::byte> buffer) const noexcept {
    return detail::plain<opcode::getdents, std::size_t>(
        {.fd = fd(), .address = request::pointer(buffer.data()), .length = static_cast<std::uint32_t>(buffer.size())});
  }
  // Opens `name` (unless list.directory is open already) and reads entries until the buffer is nearly full or the
  // directory ends: a whole directory in one hop to a worker. `list` must live until completion; its `directory` is
  // the caller's to close.
  struct list_options {
    bool follow = false;          // a symbolic link to a directory is opened
    bool only_if_cached = false;  // at once, on the loop's thread; EAGAIN when the directory is not in the cache (5.12)
  };
  auto list(const char* name, list_arguments& list, list_options options) const noexcept {
    return detail::plain<opcode::list_directory, void>(
        {.flags = options.only_if_cached ? request::only_if_cached : std::uint8_t{0},
         .fd = fd(),
         .offset = request::pointer(&list),
         .address = request::pointer(name),
         .options = options.follow ? static_cast<std::uint32_t>(O_NOFOLLOW) : 0u});
  }

 private:
  descriptor fd_;
};

// One entry of a directory; the name lies in the buffer that was read.
struct directory_entry {
  const char* name;  // NUL-terminated
  std::uint64_t inode;
  unsigned char type;  // DT_REG, DT_DIR, DT_LNK ... or DT_UNKNOWN, which calls for a status
};

// Calls fn(directory_entry) for each raw entry but "." and "..".
template <class F>
void for_each_entry(std::span<const std::byte> raw, F&& fn) {
  // struct linux_dirent64: inode, offset, record length, type, name.
  for (std::size_t at = 0; at + 19 < raw.size();) {
    const std::byte* record = raw.data() + at;
    std::uint64_t inode;
    std::uint16_t length;
    __builtin_memcpy(&inode, record, sizeof inode);
    __builtin_memcpy(&length, record + 16, sizeof length);
    const char* name = reinterpret_cast<const char*>(record + 19);
    const bool self = name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
    if (!self) fn(directory_entry{name, inode, static_cast<unsigned char>(record[18])});
    at += length;
  }
}

// The current directory, for paths that the user gave.
[[nodiscard]] inline const directory& here() noexcept {
  static const directory current;
  return current;
}
inline auto open(const char* path, int flags = O_RDONLY) noexcept { return here().open(path, flags); }
inline auto create(const char* path, int flags = O_WRONLY | O_TRUNC, std::uint32_t mode = 0666) noexcept {
  return here().create(path, flags, mode);
}

}  // namespace asyncfs
