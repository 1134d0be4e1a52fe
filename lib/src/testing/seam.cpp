#include "testing/seam.hpp"

#include <unistd.h>

namespace asyncfs::detail {

simulated_descriptors*& simulated_descriptors::current() noexcept {
  thread_local simulated_descriptors* here = nullptr;
  return here;
}

void close_descriptor(int fd) noexcept {
  if (fd < first_simulated_descriptor) [[likely]] {
    ::close(fd);
    return;
  }
  if (simulated_descriptors* world = simulated_descriptors::current()) world->close(fd);
}

}  // namespace asyncfs::detail
