// Carries out a request with the blocking system call that does the same (opcode_info::twin).
//
// Any thread. Used by workers, by the sync engine, and for whatever the kernel's ring refuses.
#pragma once

#include <cstdint>

#include <asyncfs/request.hpp>

namespace asyncfs::detail {

// The system call's result, or minus errno. Blocks as long as the call does; EINTR is retried. Opening a FIFO does not
// wait for its other end, as in the ring: to write to one that nobody reads is ENXIO.
[[nodiscard]] std::int32_t perform(const request& work) noexcept;

// The same without ever waiting: -EAGAIN when it would have to; for a connection -EINPROGRESS, and -EAGAIN when there
// is no readiness to wait for. Only for requests with a readiness to wait for, and for cached reads and opens.
[[nodiscard]] std::int32_t attempt(const request& work) noexcept;

// Whether the request may have to wait for a peer, and so needs an engine that can give it up: not for a worker.
[[nodiscard]] bool may_wait_for_a_peer(const request& work) noexcept;

}  // namespace asyncfs::detail
