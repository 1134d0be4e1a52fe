#include <asyncfs/testing/fault.hpp>

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "testing/core.hpp"

namespace asyncfs::testing {

namespace {

constexpr std::array<std::string_view, fault_kinds> names = {
    "short_read", "short_write", "interrupted", "again",      "no_space",    "io_error",   "quota",     "no_memory",
    "denied",     "delayed",     "reordered",   "cancel_won", "cancel_lost", "queue_full", "power_loss"};

constexpr std::uint64_t most_a_transfer = 0x7ffff000;  // as read(2)
constexpr auto at_position = static_cast<std::uint64_t>(-1);

// Which faults a request's system call can meet.
std::uint32_t possible(const request& work) {
  const auto bit = [](auto... kind) { return ((1u << static_cast<unsigned>(kind)) | ... | 0u); };
  using enum fault;
  const std::uint32_t cached = (work.flags & request::only_if_cached) != 0 ? bit(again) : 0;
  switch (work.code) {
    case opcode::read:
    case opcode::readv: return cached | bit(short_read, interrupted, io_error, no_memory);
    case opcode::recv: return bit(short_read, interrupted, no_memory);
    case opcode::write:
    case opcode::writev:
      return work.offset == at_position ? bit(short_write, interrupted, no_memory)
                                        : bit(short_write, interrupted, io_error, no_space, quota, no_memory);
    case opcode::send: return bit(short_write, interrupted, no_memory);
    case opcode::openat:
    case opcode::openat2: return cached | bit(interrupted, io_error, no_memory);
    case opcode::create: return bit(interrupted, io_error, no_memory, no_space, quota);
    case opcode::statx:
    case opcode::fstat:
    case opcode::getdents:
    case opcode::readlinkat:
    case opcode::fgetxattr:
    case opcode::getxattr:
    case opcode::flistxattr: return bit(io_error, no_memory);
    case opcode::list_directory: return cached | bit(io_error, no_memory);
    case opcode::mkdirat:
    case opcode::mknodat:
    case opcode::symlinkat:
    case opcode::linkat:
    case opcode::renameat: return bit(io_error, no_space, quota, no_memory);
    case opcode::unlinkat: return bit(io_error, no_memory);
    case opcode::fsync:
    case opcode::sync_file_range: return bit(io_error, no_space, quota);
    case opcode::fallocate: return bit(io_error, no_space, quota, denied, interrupted);
    case opcode::ftruncate: return bit(io_error, no_space, interrupted);
    case opcode::copy_file_range: return bit(short_write, io_error, no_space, no_memory, denied);
    case opcode::ficlone: return bit(denied, io_error, no_space);
    case opcode::fsetxattr:
    case opcode::setxattr: return bit(no_space, quota, io_error, denied);
    case opcode::fchmod:
    case opcode::fchmodat:
    case opcode::fchownat:
    case opcode::utimensat: return bit(io_error);
    case opcode::fadvise: return bit(denied);
    case opcode::close: return bit(io_error, quota);
    case opcode::socket:
    case opcode::pipe:
    case opcode::accept: return bit(no_memory);
    default: return 0;
  }
}

int error_of(fault kind) {
  switch (kind) {
    case fault::interrupted: return EINTR;
    case fault::again: return EAGAIN;
    case fault::no_space: return ENOSPC;
    case fault::io_error: return EIO;
    case fault::quota: return EDQUOT;
    case fault::no_memory: return ENOMEM;
    case fault::denied: return EOPNOTSUPP;
    default: return 0;
  }
}

}  // namespace

std::string_view name_of(fault kind) noexcept { return names[static_cast<std::size_t>(kind)]; }

fault_plan fault_plan::usual() noexcept {
  fault_plan plan;
  using enum fault;
  plan.set(short_read, 0.05).set(short_write, 0.05).set(interrupted, 0.02).set(again, 0.1);
  plan.set(no_space, 0.002).set(io_error, 0.002).set(quota, 0.001).set(no_memory, 0.001).set(denied, 0.05);
  plan.set(delayed, 0.005).set(queue_full, 0.02);
  return plan;
}

std::vector<std::string> fault_coverage::missing() const {
  std::vector<std::string> never;
  for (std::size_t i = 0; i < fault_kinds; ++i)
    if (hits[i] == 0) never.emplace_back(names[i]);
  return never;
}

std::uint64_t detail::bytes_wanted(const request& work) noexcept {
  if (work.code != opcode::readv && work.code != opcode::writev) return work.length;
  std::uint64_t all = 0;
  for (std::uint32_t i = 0; i < work.length && work.length <= IOV_MAX; ++i)
    all += work.pointer_at<const iovec>(work.address)[i].iov_len;
  return std::min<std::uint64_t>(all, most_a_transfer);
}

detail::misfortune detail::choose_misfortune(core& shared, const request& work, std::uint64_t number) {
  misfortune result;
  if (shared.denies(work.code)) {
    result.error = -EOPNOTSUPP;
    shared.meet(fault::denied, number, work.code);
    return result;
  }
  const std::uint32_t can_be = possible(work);
  if (can_be == 0) return result;
  for (std::size_t i = 0; i < fault_kinds; ++i) {
    const auto kind = static_cast<fault>(i);
    if ((can_be & (1u << i)) == 0 || !shared.random.happens(shared.options.faults.of(kind))) continue;
    if (kind == fault::short_read || kind == fault::short_write) {
      const std::uint64_t wanted = bytes_wanted(work);
      if (wanted < 2) continue;
      result.most_bytes = 1 + static_cast<std::uint32_t>(shared.random.below(wanted - 1));
    } else {
      result.error = -error_of(kind);
    }
    shared.meet(kind, number, work.code);
    return result;
  }
  return result;
}

}  // namespace asyncfs::testing
