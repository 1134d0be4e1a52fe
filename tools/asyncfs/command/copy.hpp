// What `asyncfs copy` takes.
#pragma once

#include <string>
#include <vector>

#include "pipeline/tree.hpp"

namespace tool {

struct copy_command {
  tree_options tree;
  std::vector<std::string> paths;  // sources, then the destination
};

// The exit status: 0 all is equal, 1 something failed.
int run(const copy_command& command, messages& say);

}  // namespace tool
