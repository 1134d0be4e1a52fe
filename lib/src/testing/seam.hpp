// Where plain calls on descriptors (a destructor's close, a socket's options) find the simulated world, if there is one.
//
// Descriptors of memory worlds are numbers no kernel gives out. A world is the current one of the thread that it was
// made on, while it lives.
#pragma once

#include <sys/socket.h>

#include <cstdint>

namespace asyncfs::detail {

inline constexpr int first_simulated_descriptor = 1 << 30;

class simulated_descriptors {
 public:
  virtual void close(int fd) noexcept = 0;
  // As the system calls: 0, or minus errno.
  virtual std::int32_t local_address(int fd, sockaddr* address, socklen_t* size) noexcept = 0;
  virtual std::int32_t set_option(int fd) noexcept = 0;

  [[nodiscard]] static simulated_descriptors*& current() noexcept;
  // The world of a descriptor; null for the kernel's.
  [[nodiscard]] static simulated_descriptors* of(int fd) noexcept {
    return fd < first_simulated_descriptor ? nullptr : current();
  }

 protected:
  ~simulated_descriptors() = default;
};

// close(2), of either kind.
void close_descriptor(int fd) noexcept;

}  // namespace asyncfs::detail
