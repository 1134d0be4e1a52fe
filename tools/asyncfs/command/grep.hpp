// What `asyncfs grep` takes.
#pragma once

#include <string>
#include <vector>

#include "pipeline/tree.hpp"

namespace tool {

struct grep_command {
  tree_options tree;
  std::string pattern;
  std::vector<std::string> paths;
  bool ignore_case = false, fixed = false, numbers = false, count = false, names_only = false;
  bool sorted = false;   // --sort path
  int unrestricted = 0;  // how many -u
};

// The exit status: 0 found, 1 not, 2 something failed.
int run(const grep_command& command, messages& say);

}  // namespace tool
