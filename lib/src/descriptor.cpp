#include <asyncfs/descriptor.hpp>

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <climits>

#include "testing/seam.hpp"

namespace asyncfs {

void descriptor::reset() noexcept {
  if (fd_ >= 0) detail::close_descriptor(std::exchange(fd_, -1));
}

void reserve_descriptors(std::size_t count) noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t highest = std::min({rlim_t{count}, limit.rlim_cur, rlim_t{INT_MAX}});
  if (highest == 0) return;
  // The table grows at once to hold the number asked for.
  const descriptor any(::open("/", O_PATH | O_CLOEXEC));
  const descriptor last(any ? ::fcntl(any.fd(), F_DUPFD_CLOEXEC, static_cast<int>(highest - 1)) : -1);
}

}  // namespace asyncfs
