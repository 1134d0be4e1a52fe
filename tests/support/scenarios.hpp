// What users of the library do, as a list: each a preparation by plain system calls, and a task that works on what was
// prepared. For tests that make one thing after the other go wrong in each.
//
// A scenario that returns has done all it was to do, and checked it; one that cannot throws what the library threw, and
// has left nothing behind: no operation in flight, no descriptor. `wrong_outcome` is neither: something was lost.
#pragma once

#include <asyncfs/asyncfs.hpp>

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "engines.hpp"

namespace tests {

struct wrong_outcome : std::logic_error {
  using std::logic_error::logic_error;
};

struct scenario {
  std::string_view name;
  void (*prepare)(const std::string& path);  // null: an empty directory will do
  asyncfs::task<void> (*run)(place& at);
};

[[nodiscard]] std::span<const scenario> scenarios();

}  // namespace tests
