// What the kernel offers beyond the oldest headers this library builds with (linux-libc-dev 6.1, liburing 2.3),
// declared here under our own names so that newer headers do not collide, and checked.
#pragma once

#include <linux/io_uring.h>
#include <linux/openat2.h>

#include <cstddef>
#include <cstdint>

#include <asyncfs/request.hpp>

namespace asyncfs::kernel {

// Bits of io_uring_sqe::rw_flags for IORING_OP_NOP (6.10): complete with sqe->len as the result.
inline constexpr std::uint32_t nop_inject_result = 1u << 0;
inline constexpr std::uint16_t accept_multishot = 1u << 0;
inline constexpr std::uint16_t recv_multishot = 1u << 1;
inline constexpr std::uint16_t probe_supported = 1u << 0;

// `request` is the kernel's submission entry, field by field.
static_assert(sizeof(request) == sizeof(io_uring_sqe));
static_assert(offsetof(request, code) == offsetof(io_uring_sqe, opcode));
static_assert(offsetof(request, flags) == offsetof(io_uring_sqe, flags));
static_assert(offsetof(request, priority) == offsetof(io_uring_sqe, ioprio));
static_assert(offsetof(request, fd) == offsetof(io_uring_sqe, fd));
static_assert(offsetof(request, offset) == offsetof(io_uring_sqe, off));
static_assert(offsetof(request, address) == offsetof(io_uring_sqe, addr));
static_assert(offsetof(request, length) == offsetof(io_uring_sqe, len));
static_assert(offsetof(request, options) == offsetof(io_uring_sqe, rw_flags));
static_assert(offsetof(request, user_data) == offsetof(io_uring_sqe, user_data));
static_assert(offsetof(request, buffer) == offsetof(io_uring_sqe, buf_index));
static_assert(offsetof(request, personality) == offsetof(io_uring_sqe, personality));
static_assert(offsetof(request, file_index) == offsetof(io_uring_sqe, file_index));
static_assert(offsetof(request, extra) == offsetof(io_uring_sqe, addr3));

static_assert(sizeof(completion) == sizeof(io_uring_cqe));
static_assert(offsetof(completion, user_data) == offsetof(io_uring_cqe, user_data));
static_assert(offsetof(completion, value) == offsetof(io_uring_cqe, res));
static_assert(offsetof(completion, flags) == offsetof(io_uring_cqe, flags));
static_assert(completion::has_buffer == IORING_CQE_F_BUFFER && completion::more == IORING_CQE_F_MORE);
static_assert(completion::notification == IORING_CQE_F_NOTIF);

// The numbers of opcodes that the build headers know must be those of the table.
static_assert(static_cast<int>(opcode::send_zc) == IORING_OP_SEND_ZC);
static_assert(static_cast<int>(opcode::statx) == IORING_OP_STATX);
static_assert(static_cast<int>(opcode::socket) == IORING_OP_SOCKET);
static_assert(static_cast<int>(opcode::getxattr) == IORING_OP_GETXATTR);

}  // namespace asyncfs::kernel
