// An eventfd that one thread sleeps on and any thread may ring.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace asyncfs::detail {

class bell {
 public:
  explicit bell(int flags) : fd_(::eventfd(0, EFD_CLOEXEC | flags)) {
    if (fd_ < 0) throw std::system_error(errno, std::system_category(), "eventfd");
  }
  bell(const bell&) = delete;
  bell& operator=(const bell&) = delete;
  ~bell() { ::close(fd_); }

  [[nodiscard]] int fd() const noexcept { return fd_; }
  void ring() const noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);  // fails only when rung 2^64 times unheard
  }
  void silence() const noexcept {
    std::uint64_t rung = 0;
    [[maybe_unused]] const auto bytes = ::read(fd_, &rung, sizeof rung);
  }

 private:
  int fd_;
};

}  // namespace asyncfs::detail
