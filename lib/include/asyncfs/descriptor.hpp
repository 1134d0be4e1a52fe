// A file descriptor with one owner.
//
// Closing in the destructor is a plain close(2); `close()` of the classes built on it is an operation that reports the
// error (a network file system may say only then that a write failed). Closing cancels nothing: operations in flight
// keep the open file until they end.
#pragma once

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

}  // namespace asyncfs
