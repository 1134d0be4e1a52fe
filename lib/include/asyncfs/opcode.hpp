// Every operation there is, in one table: what the kernel calls it, since when, where the kernel runs it, and the
// blocking system call that does the same. The prober, the engines' routing, the fallback, the tracer, `asyncfs probe`
// and the manual read this table and nothing else.
//
// Any thread; constant data. "Runs" was observed on Linux 6.18 (ext4, xfs, btrfs) and is a default for routing, never
// a promise. Kernel versions are those of io_uring_enter(2) and the kernel's history.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace [[gnu::visibility("default")]] asyncfs {

enum class opcode : std::uint8_t {
  nop = 0,
  readv = 1,
  writev = 2,
  fsync = 3,
  read_fixed = 4,
  write_fixed = 5,
  poll_add = 6,
  poll_remove = 7,
  sync_file_range = 8,
  sendmsg = 9,
  recvmsg = 10,
  timeout = 11,
  timeout_remove = 12,
  accept = 13,
  async_cancel = 14,
  link_timeout = 15,
  connect = 16,
  fallocate = 17,
  openat = 18,
  close = 19,
  files_update = 20,
  statx = 21,
  read = 22,
  write = 23,
  fadvise = 24,
  madvise = 25,
  send = 26,
  recv = 27,
  openat2 = 28,
  epoll_ctl = 29,
  splice = 30,
  provide_buffers = 31,
  remove_buffers = 32,
  tee = 33,
  shutdown = 34,
  renameat = 35,
  unlinkat = 36,
  mkdirat = 37,
  symlinkat = 38,
  linkat = 39,
  msg_ring = 40,
  fsetxattr = 41,
  setxattr = 42,
  fgetxattr = 43,
  getxattr = 44,
  socket = 45,
  uring_cmd = 46,
  send_zc = 47,
  sendmsg_zc = 48,
  read_multishot = 49,
  waitid = 50,
  futex_wait = 51,
  futex_wake = 52,
  futex_waitv = 53,
  fixed_fd_install = 54,
  ftruncate = 55,
  bind = 56,
  listen = 57,
  recv_zc = 58,
  epoll_wait = 59,
  readv_fixed = 60,
  writev_fixed = 61,
  pipe = 62,

  // Private numbers: no kernel opcode, or a form of one that the kernel runs differently.
  create = 0xC0,  // openat2 with O_CREAT, O_TRUNC or O_TMPFILE: always a kernel worker, so routed on its own
  fstat,
  getdents,
  list_directory,
  readlinkat,
  fchmod,
  fchmodat,
  fchownat,
  utimensat,
  copy_file_range,
  ficlone,
  lseek,
  mknodat,
  flistxattr,
  fremovexattr,
  getaddrinfo,
  call,
  signalfd,
  spawn,
  pidfd_send_signal,
};

struct kernel_version {
  std::uint8_t major = 0, minor = 0;
  constexpr bool operator==(const kernel_version&) const = default;
};

// Where the work of an operation is done.
enum class runs : std::uint8_t {
  in_ring,    // by the kernel inside io_uring_enter, or after readiness; no thread
  on_worker,  // by a kernel worker (ring) or one of ours
  in_place,   // by a plain system call on the loop's thread: it neither waits nor costs more than a hop
};

// What an operation that cannot proceed at once waits for.
enum class readiness : std::uint8_t { none, input, output };

struct opcode_info {
  opcode code;
  std::string_view name;
  kernel_version since;   // first kernel with it; 0.0: no kernel opcode
  runs where;             // default routing under the uring engine
  std::string_view twin;  // the blocking system call that does the same; empty: none
  readiness waits_for = readiness::none;
  bool ends_by_itself = true;  // false: may wait for a peer for ever, so it is not counted against the in-flight limit
  opcode kernel = code;        // the number the kernel knows it by
};

inline constexpr auto opcode_table = std::to_array<opcode_info>({
    {opcode::nop, "nop", {5, 1}, runs::in_ring, "nop"},
    {opcode::readv, "readv", {5, 1}, runs::in_ring, "preadv2", readiness::input},
    {opcode::writev, "writev", {5, 1}, runs::on_worker, "pwritev2", readiness::output},
    {opcode::fsync, "fsync", {5, 1}, runs::on_worker, "fsync"},
    {opcode::read_fixed, "read_fixed", {5, 1}, runs::in_ring, ""},
    {opcode::write_fixed, "write_fixed", {5, 1}, runs::on_worker, ""},
    {opcode::poll_add, "poll_add", {5, 1}, runs::in_ring, "poll", readiness::input, false},
    {opcode::poll_remove, "poll_remove", {5, 1}, runs::in_ring, ""},
    {opcode::sync_file_range, "sync_file_range", {5, 2}, runs::on_worker, "sync_file_range"},
    {opcode::sendmsg, "sendmsg", {5, 3}, runs::in_ring, "sendmsg", readiness::output, false},
    {opcode::recvmsg, "recvmsg", {5, 3}, runs::in_ring, "recvmsg", readiness::input, false},
    {opcode::timeout, "timeout", {5, 4}, runs::in_ring, "", readiness::none, false},
    {opcode::timeout_remove, "timeout_remove", {5, 5}, runs::in_ring, ""},
    {opcode::accept, "accept", {5, 5}, runs::in_ring, "accept4", readiness::input, false},
    {opcode::async_cancel, "async_cancel", {5, 5}, runs::in_ring, ""},
    {opcode::link_timeout, "link_timeout", {5, 5}, runs::in_ring, "", readiness::none, false},
    {opcode::connect, "connect", {5, 5}, runs::in_ring, "connect", readiness::output, false},
    {opcode::fallocate, "fallocate", {5, 6}, runs::on_worker, "fallocate"},
    {opcode::openat, "openat", {5, 6}, runs::in_ring, "openat"},
    {opcode::close, "close", {5, 6}, runs::in_ring, "close"},
    {opcode::files_update, "files_update", {5, 6}, runs::in_ring, ""},
    {opcode::statx, "statx", {5, 6}, runs::on_worker, "statx"},
    {opcode::read, "read", {5, 6}, runs::in_ring, "preadv2", readiness::input},
    {opcode::write, "write", {5, 6}, runs::in_ring, "pwritev2", readiness::output},
    {opcode::fadvise, "fadvise", {5, 6}, runs::in_ring, "posix_fadvise"},
    {opcode::madvise, "madvise", {5, 6}, runs::on_worker, "madvise"},
    {opcode::send, "send", {5, 6}, runs::in_ring, "send", readiness::output, false},
    {opcode::recv, "recv", {5, 6}, runs::in_ring, "recv", readiness::input, false},
    {opcode::openat2, "openat2", {5, 6}, runs::in_ring, "openat2"},
    {opcode::epoll_ctl, "epoll_ctl", {5, 6}, runs::in_ring, "epoll_ctl"},
    {opcode::splice, "splice", {5, 7}, runs::on_worker, "splice"},
    {opcode::provide_buffers, "provide_buffers", {5, 7}, runs::in_ring, ""},
    {opcode::remove_buffers, "remove_buffers", {5, 7}, runs::in_ring, ""},
    {opcode::tee, "tee", {5, 8}, runs::on_worker, "tee"},
    {opcode::shutdown, "shutdown", {5, 11}, runs::in_place, "shutdown"},
    {opcode::renameat, "renameat", {5, 11}, runs::on_worker, "renameat2"},
    {opcode::unlinkat, "unlinkat", {5, 11}, runs::on_worker, "unlinkat"},
    {opcode::mkdirat, "mkdirat", {5, 15}, runs::on_worker, "mkdirat"},
    {opcode::symlinkat, "symlinkat", {5, 15}, runs::on_worker, "symlinkat"},
    {opcode::linkat, "linkat", {5, 15}, runs::on_worker, "linkat"},
    {opcode::msg_ring, "msg_ring", {5, 18}, runs::in_ring, ""},
    {opcode::fsetxattr, "fsetxattr", {5, 19}, runs::on_worker, "fsetxattr"},
    {opcode::setxattr, "setxattr", {5, 19}, runs::on_worker, "setxattr"},
    {opcode::fgetxattr, "fgetxattr", {5, 19}, runs::on_worker, "fgetxattr"},
    {opcode::getxattr, "getxattr", {5, 19}, runs::on_worker, "getxattr"},
    {opcode::socket, "socket", {5, 19}, runs::in_ring, "socket"},
    {opcode::uring_cmd, "uring_cmd", {5, 19}, runs::in_ring, ""},
    {opcode::send_zc, "send_zc", {6, 0}, runs::in_ring, "", readiness::output, false},
    {opcode::sendmsg_zc, "sendmsg_zc", {6, 1}, runs::in_ring, "", readiness::output, false},
    {opcode::read_multishot, "read_multishot", {6, 7}, runs::in_ring, "", readiness::input, false},
    {opcode::waitid, "waitid", {6, 7}, runs::in_ring, "waitid", readiness::none, false},
    {opcode::futex_wait, "futex_wait", {6, 7}, runs::in_ring, "", readiness::none, false},
    {opcode::futex_wake, "futex_wake", {6, 7}, runs::in_ring, ""},
    {opcode::futex_waitv, "futex_waitv", {6, 7}, runs::in_ring, "", readiness::none, false},
    {opcode::fixed_fd_install, "fixed_fd_install", {6, 8}, runs::in_ring, ""},
    {opcode::ftruncate, "ftruncate", {6, 9}, runs::on_worker, "ftruncate"},
    {opcode::bind, "bind", {6, 11}, runs::in_place, "bind"},
    {opcode::listen, "listen", {6, 11}, runs::in_place, "listen"},
    {opcode::recv_zc, "recv_zc", {6, 15}, runs::in_ring, "", readiness::input, false},
    {opcode::epoll_wait, "epoll_wait", {6, 15}, runs::in_ring, "", readiness::input, false},
    {opcode::readv_fixed, "readv_fixed", {6, 15}, runs::in_ring, ""},
    {opcode::writev_fixed, "writev_fixed", {6, 15}, runs::on_worker, ""},
    {opcode::pipe, "pipe", {6, 16}, runs::in_place, "pipe2"},

    {opcode::create, "create", {5, 6}, runs::on_worker, "openat2", readiness::none, true, opcode::openat2},
    {opcode::fstat, "fstat", {}, runs::in_place, "statx"},
    {opcode::getdents, "getdents", {}, runs::on_worker, "getdents64"},
    {opcode::list_directory, "list_directory", {}, runs::on_worker, "openat2, statx, getdents64"},
    {opcode::readlinkat, "readlinkat", {}, runs::on_worker, "readlinkat"},
    {opcode::fchmod, "fchmod", {}, runs::on_worker, "fchmod"},
    {opcode::fchmodat, "fchmodat", {}, runs::on_worker, "fchmodat"},
    {opcode::fchownat, "fchownat", {}, runs::on_worker, "fchownat"},
    {opcode::utimensat, "utimensat", {}, runs::on_worker, "utimensat"},
    {opcode::copy_file_range, "copy_file_range", {}, runs::on_worker, "copy_file_range"},
    {opcode::ficlone, "ficlone", {}, runs::on_worker, "ioctl FICLONE"},
    {opcode::lseek, "lseek", {}, runs::on_worker, "lseek"},
    {opcode::mknodat, "mknodat", {}, runs::on_worker, "mknodat"},
    {opcode::flistxattr, "flistxattr", {}, runs::on_worker, "flistxattr"},
    {opcode::fremovexattr, "fremovexattr", {}, runs::on_worker, "fremovexattr"},
    {opcode::getaddrinfo, "getaddrinfo", {}, runs::on_worker, "getaddrinfo"},
    {opcode::call, "call", {}, runs::on_worker, "a function"},
    {opcode::signalfd, "signalfd", {}, runs::in_place, "signalfd"},
    {opcode::spawn, "spawn", {}, runs::on_worker, "posix_spawn, pidfd_open"},
    {opcode::pidfd_send_signal, "pidfd_send_signal", {}, runs::in_place, "pidfd_send_signal"},
});

namespace detail {
inline constexpr auto opcode_index = [] {
  std::array<std::uint8_t, 256> index{};
  index.fill(0xff);
  for (std::size_t i = 0; i < opcode_table.size(); ++i)
    index[static_cast<std::uint8_t>(opcode_table[i].code)] = static_cast<std::uint8_t>(i);
  return index;
}();
}  // namespace detail

// The table's row for an opcode; every enumerator has one.
[[nodiscard]] constexpr const opcode_info& describe(opcode code) noexcept {
  return opcode_table[detail::opcode_index[static_cast<std::uint8_t>(code)]];
}

}  // namespace asyncfs
