#include <asyncfs/operation.hpp>

#include <cstdio>
#include <cstdlib>
#include <system_error>

#include <asyncfs/detail/parked.hpp>

namespace asyncfs::detail {

void throw_failure(const std::error_code& error, std::string_view what) {
  throw std::system_error(error, std::string(what));
}

void destroyed_with_waiters(const char* what) noexcept {
  std::fprintf(
      stderr,
      "asyncfs: %s was destroyed while tasks wait for it; cancel their scope, or close it, and join them first\n",
      what);
  std::abort();
}

void nothing_to_await(const std::source_location& at) noexcept {
  std::fprintf(stderr,
               "asyncfs: %s:%u awaits or runs a task that is empty, or has ended before; a task is awaited once\n",
               at.file_name(), static_cast<unsigned>(at.line()));
  std::abort();
}

}  // namespace asyncfs::detail
