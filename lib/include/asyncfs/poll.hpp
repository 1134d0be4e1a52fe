// Waiting until a descriptor is ready, for what has no operation of its own: other libraries' sockets, devices, pidfds.
//
//   const int events = co_await asyncfs::poll(fd, POLLIN | POLLPRI);
//
// One shot. Gives the events that hold: those of poll(2) that were asked for, and POLLERR, POLLHUP and POLLRDHUP whether
// asked for or not. They may be over by the time the task goes on. A regular file is always ready. The descriptor must
// stay open until the end; cancelling ends the wait early. Loop thread only. EBADF: not an open descriptor. EINVAL: what
// is asked for can never come, as POLLPRI on a regular file.
#pragma once

#include <poll.h>

#include <asyncfs/detail/kinds.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

// `events` as in pollfd::events.
[[nodiscard]] inline auto poll(int fd, int events) noexcept {
  return detail::plain<opcode::poll_add, int>({.fd = fd, .options = static_cast<std::uint32_t>(events)});
}

}  // namespace asyncfs
