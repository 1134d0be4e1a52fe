#include <asyncfs/unhandled.hpp>

#include <atomic>
#include <cstdio>
#include <system_error>

namespace asyncfs {

namespace {

std::atomic<unhandled_error_handler> chosen{nullptr};

void report(const char* what, const std::source_location& spawned) noexcept {
  std::fprintf(stderr, "asyncfs: nobody handled an error of what was spawned at %s:%u: %s\n", spawned.file_name(),
               static_cast<unsigned>(spawned.line()), what);
}

}  // namespace

unhandled_error_handler set_unhandled_error_handler(unhandled_error_handler handler) noexcept {
  return chosen.exchange(handler);
}

void detail::unhandled(const std::exception_ptr& error, const std::source_location& spawned) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const std::system_error& e) {
    if (e.code() == std::errc::operation_canceled) return;
    if (const auto handler = chosen.load()) return handler(error, spawned);
    report(e.what(), spawned);
  } catch (const std::exception& e) {
    if (const auto handler = chosen.load()) return handler(error, spawned);
    report(e.what(), spawned);
  } catch (...) {
    if (const auto handler = chosen.load()) return handler(error, spawned);
    report("an exception that is no std::exception", spawned);
  }
}

}  // namespace asyncfs
