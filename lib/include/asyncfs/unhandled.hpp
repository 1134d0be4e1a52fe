// Errors that nobody handled: of a future whose last handle was dropped before its error was taken.
//
// The handler is the process's. The default writes one line to standard error, which names where the work was spawned.
// Cancellation is no such error. It is called on the thread that dropped the handle, or the loop's; it must not throw.
#pragma once

#include <exception>
#include <source_location>

namespace [[gnu::visibility("default")]] asyncfs {

using unhandled_error_handler = void (*)(const std::exception_ptr& error, const std::source_location& spawned) noexcept;

// Any thread. Gives back the handler there was; null stands for the default.
unhandled_error_handler set_unhandled_error_handler(unhandled_error_handler handler) noexcept;

namespace detail {
void unhandled(const std::exception_ptr& error, const std::source_location& spawned) noexcept;
}

}  // namespace asyncfs
