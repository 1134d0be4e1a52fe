// An operation that does nothing but go through the engine: a yield that lets what is due complete first, and the
// yardstick for what an operation costs.
//
// Loop thread only. It fails only when its scope is cancelled: std::errc::operation_canceled.
#pragma once

#include <asyncfs/detail/kinds.hpp>

namespace asyncfs {

// `co_await nop();`
[[nodiscard]] inline auto nop() noexcept { return detail::plain<opcode::nop, void>({}); }

}  // namespace asyncfs
