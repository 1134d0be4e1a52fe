// Whether a file stood still while it was read.
#pragma once

#include <asyncfs/directory.hpp>

namespace tool {

// How much an open file may be trusted to stand still.
struct stability {
  asyncfs::file_time opened;
  // Now, as file systems stamp their changes.
  [[nodiscard]] static stability begin() noexcept;
  // True when a change since `opened` would show in the time of the last change.
  [[nodiscard]] bool proves_unchanged(const asyncfs::file_status& after) const noexcept;
};

}  // namespace tool
