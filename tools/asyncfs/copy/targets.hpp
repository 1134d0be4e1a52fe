// Where each source goes, decided before anything is copied: cp's rules, and its refusals.
//
// On a loop of its own, before the others start. Refusals compare (device, inode), never names.
#pragma once

#include <asyncfs/directory.hpp>
#include <asyncfs/task.hpp>
#include <memory>
#include <string>
#include <vector>

#include "message.hpp"

namespace tool {

struct copy_target {
  std::string source;                          // as the user gave it
  std::string shown;                           // the target's path, for messages
  std::shared_ptr<asyncfs::directory> parent;  // an open directory
  std::string name;                            // in it; "." when the parent itself is the target
};

// One target a source; a source that is refused is reported, and left out. `last` is cp's DESTINATION.
// Paths and messages outlive the task.
[[nodiscard]] asyncfs::task<std::vector<copy_target>> choose_targets(const std::vector<std::string>& paths,
                                                                     messages& say);

}  // namespace tool
