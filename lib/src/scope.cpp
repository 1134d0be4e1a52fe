#include <asyncfs/scope.hpp>

#include <cstdio>
#include <cstdlib>
#include <system_error>

#include <asyncfs/detail/joint.hpp>

namespace asyncfs {

bool detail::is_cancellation(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const std::system_error& e) {
    return e.code() == std::errc::operation_canceled;
  } catch (...) {
    return false;
  }
}

bool scope::ended_as_told(const std::exception_ptr& error) const noexcept {
  return quiet_ && detail::is_cancellation(error);
}

void scope::fail(std::exception_ptr error) noexcept {
  if (first_error_) return;
  first_error_ = std::move(error);
  cancelling_.cancel();
}

void scope::take_in(std::exception_ptr error) noexcept {
  if (first_error_ || ended_as_told(error)) return;
  if (on_error_ && !(cancelled() && detail::is_cancellation(error))) {
    try {
      return on_error_(std::move(error));
    } catch (...) {
      error = std::current_exception();
    }
  }
  fail(std::move(error));
}

void scope::destroyed_while_running() noexcept {
  std::fprintf(stderr, "asyncfs: a scope was destroyed while its tasks run; co_await join() first\n");
  std::abort();
}

}  // namespace asyncfs
