// An operation that does nothing but go through the engine: a yield that lets what is due complete first, and the
// yardstick for what an operation costs.
//
// Loop thread only. It fails only when its scope is cancelled: std::errc::operation_canceled.
#pragma once

#include <asyncfs/operation.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

namespace detail {

struct nop_kind {
  using value_type = void;
  static constexpr asyncfs::opcode code = opcode::nop;

  void prepare(request&) const noexcept {}  // an empty request says it all
  result<void> complete(const completion& event) const {
    if (event.value < 0) return failure(-event.value);
    return {};
  }
};

}  // namespace detail

// `co_await nop();`
[[nodiscard]] inline auto nop() noexcept { return operation(detail::nop_kind()); }

}  // namespace asyncfs
