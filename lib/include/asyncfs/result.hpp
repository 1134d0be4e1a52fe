// The one error convention of the library: a value, or a std::error_code.
//
// Any thread; no state. An operation that was cancelled fails with `std::errc::operation_canceled` like any other
// failure, so a completion is never lost.
#pragma once

#include <expected>
#include <system_error>

namespace [[gnu::visibility("default")]] asyncfs {

template <class T>
using result = std::expected<T, std::error_code>;

// A failed result from a positive errno value.
[[nodiscard]] inline std::unexpected<std::error_code> failure(int errno_value) {
  return std::unexpected(std::error_code(errno_value, std::system_category()));
}

// A failed result from an error that another result holds.
[[nodiscard]] inline std::unexpected<std::error_code> failure(std::error_code error) { return std::unexpected(error); }

// True for an operation that ended because somebody cancelled it.
[[nodiscard]] inline bool is_cancelled(const std::error_code& error) { return error == std::errc::operation_canceled; }

}  // namespace asyncfs
