// Real files under a simulation: its orders and faults, the kernel's effects.
#pragma once

#include <memory>

#include "testing/world.hpp"

namespace asyncfs::detail {

[[nodiscard]] std::unique_ptr<world> make_real_world();

}  // namespace asyncfs::detail
