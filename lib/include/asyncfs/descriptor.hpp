// A file descriptor with one owner.
//
// Closing in the destructor is a plain close(2); `close()` of the classes built on it is an operation that reports the
// error (a network file system may say only then that a write failed). Closing cancels nothing: operations in flight
// keep the open file until they end.
#pragma once

#include <cstddef>
#include <utility>

namespace [[gnu::visibility("default")]] asyncfs {

class descriptor {
 public:
  descriptor() noexcept = default;
  explicit descriptor(int fd) noexcept : fd_(fd) {}
  descriptor(descriptor&& other) noexcept : fd_(other.release()) {}
  descriptor& operator=(descriptor&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = other.release();
    }
    return *this;
  }
  ~descriptor() { reset(); }

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
  // Gives ownership up.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept;

 private:
  int fd_ = -1;
};

// Makes room for `count` descriptors in the process's table, as far as RLIMIT_NOFILE allows (F_DUPFD_CLOEXEC, fcntl(2)).
// The kernel doubles the table when it is full, and in a process of several threads has everyone who opens one more wait
// for an RCU grace period each time, 5 to 16 ms on Linux 6.18. Any thread, best before there is a second one. Eight bytes a
// descriptor stay allocated, in the kernel, until the process ends. Only speed depends on it, so it reports no errors.
void reserve_descriptors(std::size_t count) noexcept;

}  // namespace asyncfs
