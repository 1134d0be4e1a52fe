// Starts a child process: what opcode::spawn does.
#pragma once

#include <cstdint>

#include <asyncfs/request.hpp>

namespace asyncfs::detail {

// A pidfd of the child, close-on-exec, with what.pid set; or -1 and errno, also when only the program could not be
// executed, and then there is no child. Any thread; blocks until the child has executed the program. ECHILD: somebody
// else reaped the child already (the program ignores SIGCHLD, or waits for any child).
[[nodiscard]] std::int64_t spawn_program(spawn_arguments& what) noexcept;

}  // namespace asyncfs::detail
