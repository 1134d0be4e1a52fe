#include "engine/perform.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <netdb.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <span>

#include "engine/spawn_program.hpp"

namespace asyncfs::detail {

namespace {

using twin = std::int64_t (*)(const request&);

constexpr auto at_position = static_cast<std::uint64_t>(-1);  // offset of requests on the file's own position
constexpr std::size_t largest_entry = 280;                    // struct linux_dirent64 with a name of 255 bytes

const char* path(const request& r, std::uint64_t field) { return r.pointer_at<const char>(field); }

std::int64_t readv_with(const request& r, int flags) {
  return ::preadv2(r.fd, r.pointer_at<const iovec>(r.address), static_cast<int>(r.length), static_cast<off_t>(r.offset),
                   flags);
}

std::int64_t writev_with(const request& r, int flags) {
  return ::pwritev2(r.fd, r.pointer_at<const iovec>(r.address), static_cast<int>(r.length),
                    static_cast<off_t>(r.offset), flags);
}

std::int64_t read_with(const request& r, int flags) {
  iovec piece{r.pointer_at<void>(r.address), r.length};
  return ::preadv2(r.fd, &piece, 1, static_cast<off_t>(r.offset), flags);
}

std::int64_t write_with(const request& r, int flags) {
  iovec piece{r.pointer_at<void>(r.address), r.length};
  return ::pwritev2(r.fd, &piece, 1, static_cast<off_t>(r.offset), flags);
}

// Opens with O_NONBLOCK, and takes it off again: a FIFO or a line without a peer would keep the thread for ever, beyond
// any cancel. The ring does the same. EAGAIN, from a lease that is being broken, is the caller's to deal with.
template <class Open>
std::int64_t open_at_once(std::uint64_t flags, Open&& open_as) {
  if ((flags & (O_NONBLOCK | O_PATH | O_DIRECTORY)) != 0) return open_as(flags);
  const std::int64_t fd = open_as(flags | O_NONBLOCK);
  if (fd >= 0) ::fcntl(static_cast<int>(fd), F_SETFL, static_cast<int>(flags));
  return fd;
}

std::int64_t open_with(const request& r, std::uint64_t resolve) {
  open_how how = *r.pointer_at<const open_how>(r.offset);
  how.resolve |= resolve;
  const auto open_as = [&](std::uint64_t flags) {
    how.flags = flags;
    return ::syscall(SYS_openat2, r.fd, path(r, r.address), &how, sizeof how);
  };
  const std::uint64_t flags = how.flags;
  const std::int64_t fd = open_at_once(flags, open_as);
  return fd < 0 && errno == EAGAIN && (how.resolve & RESOLVE_CACHED) == 0 ? open_as(flags) : fd;
}

std::int64_t list_with(const request& r, std::uint64_t resolve) {
  auto& list = *r.pointer_at<list_arguments>(r.offset);
  list.used = 0;
  if (list.directory < 0) {
    // A directory that is a link, or is something else by now, is refused rather than followed.
    open_how how{.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                 .mode = 0,
                 .resolve = resolve};
    how.flags &= ~static_cast<std::uint64_t>(r.options);
    const auto fd = ::syscall(SYS_openat2, r.fd, path(r, r.address), &how, sizeof how);
    if (fd < 0) return fd;
    list.directory = static_cast<std::int32_t>(fd);
  }
  while (list.capacity - list.used >= largest_entry) {
    const auto bytes = ::syscall(SYS_getdents64, list.directory, list.buffer + list.used, list.capacity - list.used);
    if (bytes < 0 && errno == EINVAL && list.used > 0) return 0;  // the next entry does not fit what is left
    if (bytes < 0) return bytes;
    if (bytes == 0) {
      list.at_end = true;
      return 0;
    }
    list.used += static_cast<std::size_t>(bytes);
  }
  return 0;
}

// How often this thread has slept so far.
long sleeps_of_thread() {
  rusage used{};
  ::getrusage(RUSAGE_THREAD, &used);
  return used.ru_nvcsw;
}

// A directory that is in the cache may have entries that are not, and getdents64 cannot be told not to wait for them.
std::int64_t list_cached(const request& r) {
  const long before = sleeps_of_thread();
  const std::int64_t listed = list_with(r, RESOLVE_CACHED);
  r.pointer_at<list_arguments>(r.offset)->waited = sleeps_of_thread() != before;
  return listed;
}

// The ring tells of a peer that hung up whether asked or not, and calls a descriptor that is none an error.
std::int64_t poll_for(const request& r, int timeout_ms) {
  pollfd one{r.fd, static_cast<short>(r.options | POLLRDHUP), POLLNVAL};
  const int ready = r.fd < 0 ? 0 : ::poll(&one, 1, timeout_ms);
  if ((one.revents & POLLNVAL) != 0)
    errno = EBADF;
  else if (ready == 0)
    errno = EAGAIN;
  else if (ready > 0)
    return one.revents;
  return -1;
}

std::int64_t connect_now(const request& r) {
  return ::connect(r.fd, r.pointer_at<const sockaddr>(r.address), static_cast<socklen_t>(r.offset));
}

std::int64_t accept_now(const request& r) {
  return ::accept4(r.fd, r.pointer_at<sockaddr>(r.address), r.pointer_at<socklen_t>(r.offset),
                   static_cast<int>(r.options));
}

constexpr auto twins = [] {
  std::array<twin, 256> t{};
  const auto set = [&t](opcode code, twin call) { t[static_cast<std::uint8_t>(code)] = call; };
  set(opcode::nop, [](const request&) -> std::int64_t { return 0; });
  set(opcode::readv, [](const request& r) { return readv_with(r, static_cast<int>(r.options)); });
  set(opcode::writev, [](const request& r) { return writev_with(r, static_cast<int>(r.options)); });
  set(opcode::read, [](const request& r) { return read_with(r, static_cast<int>(r.options)); });
  set(opcode::write, [](const request& r) { return write_with(r, static_cast<int>(r.options)); });
  set(opcode::fsync, [](const request& r) -> std::int64_t {
    return (r.options & 1u) != 0 ? ::fdatasync(r.fd) : ::fsync(r.fd);  // IORING_FSYNC_DATASYNC
  });
  set(opcode::sync_file_range, [](const request& r) -> std::int64_t {
    return ::sync_file_range(r.fd, static_cast<off_t>(r.offset), r.length, r.options);
  });
  set(opcode::poll_add, [](const request& r) { return poll_for(r, -1); });
  set(opcode::sendmsg, [](const request& r) -> std::int64_t {
    return ::sendmsg(r.fd, r.pointer_at<const msghdr>(r.address), static_cast<int>(r.options));
  });
  set(opcode::recvmsg, [](const request& r) -> std::int64_t {
    return ::recvmsg(r.fd, r.pointer_at<msghdr>(r.address), static_cast<int>(r.options));
  });
  set(opcode::accept, accept_now);
  set(opcode::connect, connect_now);
  set(opcode::fallocate, [](const request& r) -> std::int64_t {
    return ::fallocate(r.fd, static_cast<int>(r.length), static_cast<off_t>(r.offset), static_cast<off_t>(r.address));
  });
  set(opcode::openat, [](const request& r) -> std::int64_t {
    const auto open_as = [&r](std::uint64_t flags) -> std::int64_t {
      return ::openat(r.fd, path(r, r.address), static_cast<int>(flags), static_cast<mode_t>(r.length));
    };
    const std::int64_t fd = open_at_once(r.options, open_as);
    return fd < 0 && errno == EAGAIN ? open_as(r.options) : fd;
  });
  set(opcode::openat2, [](const request& r) { return open_with(r, 0); });
  set(opcode::create, [](const request& r) { return open_with(r, 0); });
  set(opcode::close, [](const request& r) -> std::int64_t { return ::close(r.fd); });
  set(opcode::statx, [](const request& r) -> std::int64_t {
    return ::statx(r.fd, path(r, r.address), static_cast<int>(r.options), r.length,
                   r.pointer_at<struct statx>(r.offset));
  });
  set(opcode::fstat, [](const request& r) -> std::int64_t {
    return ::statx(r.fd, "", AT_EMPTY_PATH, r.length, r.pointer_at<struct statx>(r.offset));
  });
  set(opcode::fadvise, [](const request& r) -> std::int64_t {
    const int error = ::posix_fadvise(r.fd, static_cast<off_t>(r.offset), r.length, static_cast<int>(r.options));
    errno = error;
    return error == 0 ? 0 : -1;
  });
  set(opcode::madvise, [](const request& r) -> std::int64_t {
    return ::madvise(r.pointer_at<void>(r.address), r.length, static_cast<int>(r.options));
  });
  set(opcode::send, [](const request& r) -> std::int64_t {
    return ::send(r.fd, r.pointer_at<const void>(r.address), r.length, static_cast<int>(r.options));
  });
  set(opcode::recv, [](const request& r) -> std::int64_t {
    return ::recv(r.fd, r.pointer_at<void>(r.address), r.length, static_cast<int>(r.options));
  });
  set(opcode::epoll_ctl, [](const request& r) -> std::int64_t {
    return ::epoll_ctl(r.fd, static_cast<int>(r.length), static_cast<int>(r.offset),
                       r.pointer_at<epoll_event>(r.address));
  });
  set(opcode::splice, [](const request& r) -> std::int64_t {
    auto in = static_cast<off64_t>(r.address);
    auto out = static_cast<off64_t>(r.offset);
    return ::splice(r.file_index, r.address == at_position ? nullptr : &in, r.fd,
                    r.offset == at_position ? nullptr : &out, r.length, r.options);
  });
  set(opcode::tee, [](const request& r) -> std::int64_t { return ::tee(r.file_index, r.fd, r.length, r.options); });
  set(opcode::shutdown, [](const request& r) -> std::int64_t { return ::shutdown(r.fd, static_cast<int>(r.length)); });
  set(opcode::renameat, [](const request& r) -> std::int64_t {
    return ::renameat2(r.fd, path(r, r.address), static_cast<int>(r.length), path(r, r.offset), r.options);
  });
  set(opcode::unlinkat, [](const request& r) -> std::int64_t {
    return ::unlinkat(r.fd, path(r, r.address), static_cast<int>(r.options));
  });
  set(opcode::mkdirat, [](const request& r) -> std::int64_t { return ::mkdirat(r.fd, path(r, r.address), r.length); });
  set(opcode::symlinkat,
      [](const request& r) -> std::int64_t { return ::symlinkat(path(r, r.address), r.fd, path(r, r.offset)); });
  set(opcode::linkat, [](const request& r) -> std::int64_t {
    return ::linkat(r.fd, path(r, r.address), static_cast<int>(r.length), path(r, r.offset),
                    static_cast<int>(r.options));
  });
  set(opcode::fsetxattr, [](const request& r) -> std::int64_t {
    return ::fsetxattr(r.fd, path(r, r.address), r.pointer_at<const void>(r.offset), r.length,
                       static_cast<int>(r.options));
  });
  set(opcode::setxattr, [](const request& r) -> std::int64_t {
    return ::setxattr(path(r, r.extra), path(r, r.address), r.pointer_at<const void>(r.offset), r.length,
                      static_cast<int>(r.options));
  });
  set(opcode::fgetxattr, [](const request& r) -> std::int64_t {
    return ::fgetxattr(r.fd, path(r, r.address), r.pointer_at<void>(r.offset), r.length);
  });
  set(opcode::getxattr, [](const request& r) -> std::int64_t {
    return ::getxattr(path(r, r.extra), path(r, r.address), r.pointer_at<void>(r.offset), r.length);
  });
  set(opcode::socket, [](const request& r) -> std::int64_t {
    return ::socket(r.fd, static_cast<int>(r.offset), static_cast<int>(r.length));
  });
  set(opcode::waitid, [](const request& r) -> std::int64_t {
    return ::waitid(static_cast<idtype_t>(r.length), static_cast<id_t>(r.fd), r.pointer_at<siginfo_t>(r.offset),
                    r.file_index);
  });
  set(opcode::ftruncate,
      [](const request& r) -> std::int64_t { return ::ftruncate(r.fd, static_cast<off_t>(r.offset)); });
  set(opcode::bind, [](const request& r) -> std::int64_t {
    return ::bind(r.fd, r.pointer_at<const sockaddr>(r.address), static_cast<socklen_t>(r.offset));
  });
  set(opcode::listen, [](const request& r) -> std::int64_t { return ::listen(r.fd, static_cast<int>(r.length)); });
  set(opcode::pipe, [](const request& r) -> std::int64_t {
    return ::pipe2(r.pointer_at<int>(r.address), static_cast<int>(r.options));
  });
  set(opcode::getdents, [](const request& r) -> std::int64_t {
    return ::syscall(SYS_getdents64, r.fd, r.pointer_at<void>(r.address), r.length);
  });
  set(opcode::list_directory, [](const request& r) { return list_with(r, 0); });
  set(opcode::readlinkat, [](const request& r) -> std::int64_t {
    return ::readlinkat(r.fd, path(r, r.address), r.pointer_at<char>(r.offset), r.length);
  });
  set(opcode::fchmod, [](const request& r) -> std::int64_t { return ::fchmod(r.fd, r.length); });
  set(opcode::fchmodat,
      [](const request& r) -> std::int64_t { return ::fchmodat(r.fd, path(r, r.address), r.length, 0); });
  set(opcode::fchownat, [](const request& r) -> std::int64_t {
    return ::fchownat(r.fd, path(r, r.address), static_cast<uid_t>(r.offset), static_cast<gid_t>(r.length),
                      static_cast<int>(r.options));
  });
  set(opcode::utimensat, [](const request& r) -> std::int64_t {
    // utimensat(2) of the open file itself is futimens(3): the C library refuses a null name.
    if (r.address == 0) return ::futimens(r.fd, r.pointer_at<const timespec>(r.offset));
    return ::utimensat(r.fd, path(r, r.address), r.pointer_at<const timespec>(r.offset), static_cast<int>(r.options));
  });
  set(opcode::copy_file_range, [](const request& r) -> std::int64_t {
    auto in = static_cast<off64_t>(r.address);
    auto out = static_cast<off64_t>(r.offset);
    return ::copy_file_range(r.file_index, &in, r.fd, &out, r.length, 0);
  });
  set(opcode::ficlone, [](const request& r) -> std::int64_t { return ::ioctl(r.fd, FICLONE, r.file_index); });
  set(opcode::lseek, [](const request& r) -> std::int64_t {
    const off_t position = ::lseek(r.fd, static_cast<off_t>(r.offset), static_cast<int>(r.length));
    if (position < 0) return -1;
    *r.pointer_at<std::uint64_t>(r.address) = static_cast<std::uint64_t>(position);
    return 0;
  });
  set(opcode::mknodat, [](const request& r) -> std::int64_t {
    return ::mknodat(r.fd, path(r, r.address), r.length, static_cast<dev_t>(r.offset));
  });
  set(opcode::flistxattr,
      [](const request& r) -> std::int64_t { return ::flistxattr(r.fd, r.pointer_at<char>(r.address), r.length); });
  set(opcode::fremovexattr, [](const request& r) -> std::int64_t { return ::fremovexattr(r.fd, path(r, r.address)); });
  set(opcode::call, [](const request& r) -> std::int64_t {
    const auto& wanted = *r.pointer_at<const call_arguments>(r.address);
    const std::int32_t value = wanted.function(wanted.argument);
    if (value < 0) errno = -value;
    return value < 0 ? -1 : value;
  });
  set(opcode::signalfd, [](const request& r) -> std::int64_t {
    return ::signalfd(r.fd, r.pointer_at<const sigset_t>(r.address), static_cast<int>(r.options));
  });
  set(opcode::spawn, [](const request& r) { return spawn_program(*r.pointer_at<spawn_arguments>(r.address)); });
  set(opcode::pidfd_send_signal,
      [](const request& r) -> std::int64_t { return ::syscall(SYS_pidfd_send_signal, r.fd, r.length, nullptr, 0); });
  return t;
}();

template <class Call>
std::int32_t finish(const request& work, Call&& call) noexcept {
  for (;;) {
    const std::int64_t value = call(work);
    if (value >= 0) return static_cast<std::int32_t>(value);
    // close(2): the descriptor is gone even after EINTR, so closing again could hit somebody else's.
    if (errno != EINTR || work.code == opcode::close) return -errno;
  }
}

// A FIFO that is ready takes this much without waiting, and no more is sure.
std::int64_t write_a_piece(const request& r, int flags) {
  iovec piece{r.pointer_at<void>(r.address), r.length};
  if (r.code == opcode::writev) {
    const std::span pieces(r.pointer_at<const iovec>(r.address), r.length);
    const auto first = std::ranges::find_if(pieces, [](const iovec& one) { return one.iov_len != 0; });
    if (first == pieces.end()) return 0;
    piece = *first;
  }
  piece.iov_len = std::min<std::size_t>(piece.iov_len, PIPE_BUF);
  return ::pwritev2(r.fd, &piece, 1, -1, flags);
}

// RWF_NOWAIT where the file knows it; else, on the stream position, readiness is asked first.
std::int32_t without_waiting(const request& work, std::int64_t (*transfer)(const request&, int),
                             short readiness) noexcept {
  const auto flags = static_cast<int>(work.options);
  const std::int32_t value = finish(work, [&](const request& r) { return transfer(r, flags | RWF_NOWAIT); });
  if (value != -EOPNOTSUPP || work.offset != at_position) return value;
  pollfd one{work.fd, readiness, 0};
  if (::poll(&one, 1, 0) == 0) return -EAGAIN;
  return finish(work,
                [&](const request& r) { return readiness == POLLOUT ? write_a_piece(r, flags) : transfer(r, flags); });
}

// RESOLVE_CACHED is since 5.12, and openat2 refuses flags that openat ignores: neither says anything about the file.
std::int32_t open_cached(const request& work) noexcept {
  const std::int32_t value = finish(work, [](const request& r) { return open_with(r, RESOLVE_CACHED); });
  return value == -EINVAL || value == -ENOSYS ? -EAGAIN : value;
}

}  // namespace

std::int32_t perform(const request& work) noexcept {
  const twin call = twins[static_cast<std::uint8_t>(work.code)];
  return call == nullptr ? -EOPNOTSUPP : finish(work, call);
}

bool may_wait_for_a_peer(const request& work) noexcept {
  if (describe(work.code).waits_for == readiness::none) return false;
  switch (work.code) {
    case opcode::read:
    case opcode::write:
    case opcode::readv:
    case opcode::writev: return work.offset == at_position;  // at an offset they are for files, which are always ready
    case opcode::send:
    case opcode::recv:
    case opcode::sendmsg:
    case opcode::recvmsg: return (work.options & MSG_DONTWAIT) == 0;
    default: return true;
  }
}

std::int32_t attempt(const request& work) noexcept {
  switch (work.code) {
    case opcode::read: return without_waiting(work, read_with, POLLIN);
    case opcode::write: return without_waiting(work, write_with, POLLOUT);
    case opcode::readv: return without_waiting(work, readv_with, POLLIN);
    case opcode::writev: return without_waiting(work, writev_with, POLLOUT);
    case opcode::openat: {
      const open_how how{.flags = work.options, .mode = work.length, .resolve = 0};
      request by_how = work;
      by_how.offset = request::pointer(&how);
      return open_cached(by_how);
    }
    case opcode::openat2: return open_cached(work);
    // A directory whose name is in the cache nearly always has its entries there too; where not, it is told.
    case opcode::list_directory: return finish(work, list_cached);
    case opcode::send:
    case opcode::recv:
    case opcode::sendmsg:
    case opcode::recvmsg: {
      request now = work;
      now.options |= MSG_DONTWAIT;
      return perform(now);
    }
    case opcode::connect: {
      // `extra` is set by the engine once the connection was started. Asking again then gives the outcome, and lets
      // the socket know that it was heard (SO_ERROR would not).
      const std::int32_t value = perform(work);
      return work.extra != 0 && value == -EALREADY ? -EINPROGRESS : value;
    }
    case opcode::poll_add: return finish(work, [](const request& r) { return poll_for(r, 0); });
    default: return perform(work);
  }
}

}  // namespace asyncfs::detail
