#include "testing/event_log.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace asyncfs::testing::detail {

namespace {

// The path that a request names first; null when it names none.
const char* path_of(const request& work) {
  switch (work.code) {
    case opcode::symlinkat: return work.pointer_at<const char>(work.offset);
    case opcode::setxattr:
    case opcode::getxattr: return work.pointer_at<const char>(work.extra);
    case opcode::list_directory:
    case opcode::openat:
    case opcode::openat2:
    case opcode::create:
    case opcode::statx:
    case opcode::mkdirat:
    case opcode::mknodat:
    case opcode::unlinkat:
    case opcode::renameat:
    case opcode::linkat:
    case opcode::readlinkat:
    case opcode::fchmodat:
    case opcode::fchownat:
    case opcode::utimensat: return work.pointer_at<const char>(work.address);
    default: return nullptr;
  }
}

// Whether `offset` is a place in a file, and not an address.
bool has_offset(opcode code) {
  switch (code) {
    case opcode::read:
    case opcode::write:
    case opcode::readv:
    case opcode::writev:
    case opcode::ftruncate:
    case opcode::fallocate:
    case opcode::lseek:
    case opcode::copy_file_range: return true;
    default: return false;
  }
}

}  // namespace

void event_log::submitted(steady_time at, std::uint64_t operation, const request& work) {
  note(event::submitted, at, operation, work.code, static_cast<std::int64_t>(work.length));
  entry& one = kept_.back();
  if (work.code != opcode::socket) one.fd = work.fd;
  if (has_offset(work.code)) one.offset = work.offset;
  mix(one.offset);
  if (exact_) mix(static_cast<std::uint32_t>(one.fd));
  const char* const path = path_of(work);
  if (path == nullptr) return;
  const std::size_t length = std::strlen(path);
  if (exact_)
    for (std::size_t i = 0; i < length; ++i) mix(static_cast<unsigned char>(path[i]));
  const std::size_t shown = std::min(length, one.name.size() - 1);
  std::copy_n(path + length - shown, shown, one.name.begin());
}

std::string event_log::line(const entry& one) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(one.at.time_since_epoch()).count();
  char head[100];
  std::snprintf(head, sizeof head, "%6" PRId64 ".%06" PRId64 " ", us / 1'000'000, us % 1'000'000);
  std::string text = head;
  if (one.what == event::slept) return text + "the loop slept until now\n";
  text.append("#").append(std::to_string(one.operation)).append(" ").append(describe(one.code).name).append(" ");
  const std::string value = std::to_string(one.value);
  switch (one.what) {
    case event::submitted:
      text += "submitted";
      if (one.fd >= 0) text += ", descriptor " + std::to_string(one.fd);
      if (one.name[0] != '\0') text.append(", \"").append(one.name.data()).append("\"");
      if (has_offset(one.code))
        text += one.offset == ~std::uint64_t{0} ? ", in sequence" : ", at " + std::to_string(one.offset);
      if (one.value != 0 && one.name[0] == '\0') text += ", length " + value;
      break;
    case event::effect: text += "takes effect: " + value; break;
    case event::waits: text += "waits for a peer"; break;
    case event::completed:
      text += "completes with " + value;
      if (one.value < 0) text.append(" (").append(std::strerror(static_cast<int>(-one.value))).append(")");
      break;
    case event::cancel: text += "is asked to cancel"; break;
    case event::fault_met: text.append("meets ").append(name_of(static_cast<fault>(one.value))); break;
    case event::slept: break;
  }
  return text + "\n";
}

std::string event_log::text(std::size_t most) const {
  std::string all;
  for (std::size_t i = kept_.size() - std::min(most, kept_.size()); i < kept_.size(); ++i) all += line(kept_[i]);
  return all;
}

}  // namespace asyncfs::testing::detail
