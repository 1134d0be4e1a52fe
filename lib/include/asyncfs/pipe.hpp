// Pipes (pipe(7)): bytes in at one end, out at the other.
//
//   asyncfs::pipe_ends ends = co_await asyncfs::open_pipe();
//   co_await asyncfs::write_all(ends.writer, bytes);
//   co_await ends.writer.close();
//   std::string text = co_await asyncfs::read_to_end(ends.reader);
//
// Loop thread only. Buffers must live until the operation has completed. Transfers may be short, and wait for the other
// end as long as it takes: cancel their scope to end them early; bytes that went are then reported, not lost. Descriptors
// are close-on-exec, and closed with their owner.
//
// A write to a pipe that nobody reads fails with EPIPE and raises no signal: while a loop runs on a thread, SIGPIPE is
// blocked there, and one that was raised meanwhile is taken back. (Ring writes have no MSG_NOSIGNAL, and a handler or
// SIG_IGN for the whole process is not a library's to set.) Threads and programs that are started on the loop's thread
// inherit that mask; process.hpp gives children a clean one.
#pragma once

#include <array>
#include <string>

#include <asyncfs/file.hpp>
#include <asyncfs/task.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

class pipe_reader {
 public:
  pipe_reader() noexcept = default;
  explicit pipe_reader(int fd) noexcept : end_(fd) {}

  [[nodiscard]] int fd() const noexcept { return end_.fd(); }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(end_); }
  [[nodiscard]] int release() noexcept { return end_.release(); }

  // read(2): bytes that came, 0 once the pipe is empty and nobody can write to it any more.
  auto read(std::span<std::byte> buffer) const noexcept { return end_.read(buffer); }
  // close(2). The descriptor is gone whatever the outcome, also when the operation is dropped unstarted.
  auto close() noexcept { return end_.close(); }

 private:
  file end_;
};

class pipe_writer {
 public:
  pipe_writer() noexcept = default;
  explicit pipe_writer(int fd) noexcept : end_(fd) {}

  [[nodiscard]] int fd() const noexcept { return end_.fd(); }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(end_); }
  [[nodiscard]] int release() noexcept { return end_.release(); }

  // write(2): bytes that went. EPIPE: nobody reads.
  auto write(std::span<const std::byte> buffer) const noexcept { return end_.write(buffer); }
  // close(2). The descriptor is gone whatever the outcome, also when the operation is dropped unstarted.
  auto close() noexcept { return end_.close(); }

 private:
  file end_;
};

struct pipe_ends {
  pipe_reader reader;
  pipe_writer writer;
};

namespace detail {

struct pipe_kind {
  using value_type = pipe_ends;
  static constexpr opcode code = opcode::pipe;
  mutable std::array<int, 2> ends{-1, -1};

  void prepare(request& slot) const noexcept {
    slot.fd = 0;  // what the kernel's own opcode wants
    slot.address = request::pointer(ends.data());
    slot.options = O_CLOEXEC;
  }
  result<pipe_ends> complete(const completion& event) const {
    if (event.value < 0) return failure(-event.value);
    return pipe_ends{.reader = pipe_reader(ends[0]), .writer = pipe_writer(ends[1])};
  }
};

}  // namespace detail

// pipe2(2). EMFILE, ENFILE: no descriptors left.
[[nodiscard]] inline auto open_pipe() noexcept { return operation(detail::pipe_kind()); }

// Writes all of the bytes, which must live until the task has ended.
task<void> write_all(const pipe_writer& to, std::span<const std::byte> bytes);
// All bytes until the other end is closed. EFBIG past `limit`: what was read is lost.
task<std::string> read_to_end(const pipe_reader& from, std::size_t limit = std::size_t{1} << 32);

}  // namespace asyncfs
