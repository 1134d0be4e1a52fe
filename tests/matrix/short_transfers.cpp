// Transfers that move less than was asked for: the count is the caller's, and what transfers all goes on until it has.
#include <asyncfs/poll.hpp>

#include <poll.h>
#include <sys/uio.h>

#include "cells.hpp"

namespace matrix {

namespace {

constexpr std::size_t most_bytes = 3;  // at once

bool is_ready(int fd, short events) {
  pollfd one{fd, events, 0};
  return ::poll(&one, 1, 0) == 1;
}

// Carries a transfer out in the engine's place, but no more than a few bytes of it. Nothing when it would have to wait.
std::int64_t transfer_little(const asyncfs::request& work) {
  const std::size_t length = std::min<std::size_t>(work.length, most_bytes);
  void* const bytes = work.pointer_at<void>(work.address);
  const bool at_position = work.offset == asyncfs::stream_position;
  const auto offset = static_cast<off_t>(work.offset);
  switch (work.code) {
    case opcode::read: return at_position ? ::read(work.fd, bytes, length) : ::pread(work.fd, bytes, length, offset);
    case opcode::write: return at_position ? ::write(work.fd, bytes, length) : ::pwrite(work.fd, bytes, length, offset);
    case opcode::recv: return ::recv(work.fd, bytes, length, MSG_DONTWAIT);
    case opcode::send: return ::send(work.fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    case opcode::readv:
    case opcode::writev: {
      iovec piece{work.pointer_at<iovec>(work.address)->iov_base, most_bytes};
      return work.code == opcode::readv ? ::preadv(work.fd, &piece, 1, offset) : ::pwritev(work.fd, &piece, 1, offset);
    }
    case opcode::copy_file_range: {
      auto from = static_cast<off_t>(work.address);
      off_t to = offset;
      return ::copy_file_range(work.file_index, &from, work.fd, &to, length, 0);
    }
    default: return -1;
  }
}

bool is_transfer(opcode code) {
  switch (code) {
    case opcode::read:
    case opcode::write:
    case opcode::recv:
    case opcode::send:
    case opcode::readv:
    case opcode::writev:
    case opcode::copy_file_range: return true;
    default: return false;
  }
}

// Makes every transfer of an engine a short one, and counts them. On files in memory the simulation does it.
class short_transfers {
 public:
  short_transfers() {
    faults_.inject = [this](const asyncfs::request& work) { return verdict(work); };
  }
  [[nodiscard]] const asyncfs::engine_faults* faults() const noexcept { return &faults_; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  bool active = false;
  bool in_memory = false;

  static void in_simulation(tests::engine_under_test& engine) {
    using asyncfs::testing::fault;
    if (engine.in_memory()) engine.simulated->faults.set(fault::short_read, 1).set(fault::short_write, 1);
  }

 private:
  std::optional<std::int32_t> verdict(const asyncfs::request& work) {
    if (!active || !is_transfer(work.code)) return std::nullopt;
    ++count_;
    if (in_memory) return std::nullopt;
    const short events = asyncfs::describe(work.code).waits_for == asyncfs::readiness::output ? POLLOUT : POLLIN;
    if (!is_ready(work.fd, events)) return std::nullopt;
    const std::int64_t value = transfer_little(work);
    return static_cast<std::int32_t>(value >= 0 ? value : -errno);
  }
  asyncfs::engine_faults faults_;
  std::size_t count_ = 0;
};

task<void> is_short(place& at, const row& what, short_transfers& shortens) {
  subject s(at);
  shortens.active = false;
  shortens.in_memory = at.memory != nullptr;
  co_await make_ready(s, what);
  const std::size_t before = shortens.count();
  shortens.active = true;
  const outcome how = co_await what.attempt(s);
  shortens.active = false;
  CHECK(shortens.count() == before + 1);
  CHECK(how.error == 0);
  CHECK(how.value > 0);
  CHECK(how.value < what.value);
  if (at.memory == nullptr) CHECK(how.value == most_bytes);
  co_await check_effect(s, what, how);
  if (what.balanced != nullptr) {
    shortens.in_memory = false;
    const bool balanced = co_await what.balanced(s, static_cast<std::size_t>(how.value));
    CHECK(balanced);
  }
}

// ---- what goes on until everything is transferred ------------------------------------------------------------------

const std::string& long_text() {
  static const std::string text = [] {
    std::string made;
    for (int i = 0; made.size() < 400; ++i) made += std::to_string(i) + " ";
    return made;
  }();
  return text;
}
std::span<const std::byte> all_bytes() { return tests::bytes_of(long_text()); }

task<void> read_whole_file(place& at) {
  const std::string text = co_await asyncfs::read_file(at.dir, "text");
  CHECK(text == long_text());
}
task<void> write_whole_file(place& at) { co_await asyncfs::write_file(at.dir, "copy", long_text()); }
task<void> write_all_at_offset(place& at) {
  const asyncfs::file copy = co_await at.dir.create("copy", O_RDWR | O_TRUNC, 0600);
  co_await asyncfs::write_all_at(copy, all_bytes(), 0);
}
task<void> copy_whole_file(place& at) {
  const asyncfs::file from = co_await at.dir.open("text");
  const asyncfs::file to = co_await at.dir.create("copy", O_RDWR | O_TRUNC, 0600);
  const asyncfs::copy_outcome how = co_await asyncfs::copy_file(from, to, {.reflink = asyncfs::reflink::never});
  CHECK(how.bytes == long_text().size());
}
task<void> through_a_pipe(place& at) {
  const auto ends = at.make_pipe();
  const asyncfs::pipe_reader reader(ends.first);
  asyncfs::pipe_writer writer(ends.second);
  co_await asyncfs::write_all(writer, all_bytes());
  co_await writer.close();
  const std::string text = co_await asyncfs::read_to_end(reader);
  CHECK(text == long_text());
}
task<void> through_a_connection(place& at) {
  const auto ends = at.make_socket_pair();
  const asyncfs::socket near(ends.first), far(ends.second);
  co_await asyncfs::send_all(near, all_bytes());
  std::string text(long_text().size(), '\0');
  const std::size_t received = co_await asyncfs::receive_all(far, std::as_writable_bytes(std::span(text)));
  CHECK(received == text.size());
  CHECK(text == long_text());
}

struct helper {
  const char* name;
  task<void> (*transfers)(place&);
  bool makes_a_copy;
};
constexpr std::array<helper, 6> helpers = {{{"read_file", read_whole_file, false},
                                            {"write_file", write_whole_file, true},
                                            {"write_all_at", write_all_at_offset, true},
                                            {"copy_file", copy_whole_file, true},
                                            {"write_all, read_to_end", through_a_pipe, false},
                                            {"send_all, receive_all", through_a_connection, false}}};

task<void> all_is_transferred(place& at, short_transfers& shortens) {
  shortens.in_memory = at.memory != nullptr;
  for (const helper& one : helpers) {
    INFO(one.name);
    shortens.active = false;
    co_await asyncfs::write_file(at.dir, "text", long_text());
    const std::size_t before = shortens.count();
    shortens.active = true;
    co_await one.transfers(at);
    shortens.active = false;
    CHECK(shortens.count() > before + 1);
    if (!one.makes_a_copy) continue;
    const std::string copy = co_await asyncfs::read_file(at.dir, "copy");
    CHECK(copy == long_text());
  }
}

}  // namespace

TEST_CASE("a short transfer is the caller's to see, on every engine") {
  short_transfers shortens;
  const auto test = [&](place& at, const row& what) { return is_short(at, what, shortens); };
  for_every_row(
      cell::short_transfer, [](const row& what) { return what.is_transfer; }, test, short_transfers::in_simulation,
      shortens.faults());
}

TEST_CASE("what transfers all goes on after short transfers until it has, on every engine") {
  short_transfers shortens;
  for_every_engine([&](place& at) { return all_is_transferred(at, shortens); }, short_transfers::in_simulation,
                   shortens.faults());
}

}  // namespace matrix
