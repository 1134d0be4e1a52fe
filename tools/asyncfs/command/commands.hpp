// The commands: what each takes, and what it returns to the shell.
#pragma once

#include <string>
#include <vector>

#include "hash/digest.hpp"
#include "pipeline/tree.hpp"

namespace tool {

struct copy_command {
  tree_options tree;
  std::vector<std::string> paths;  // sources, then the destination
};
struct hash_command {
  tree_options tree;
  algorithm which = algorithm::sha256;
  std::vector<std::string> paths;
};
struct grep_command {
  tree_options tree;
  std::string pattern;
  std::vector<std::string> paths;
  bool ignore_case = false, fixed = false, numbers = false, count = false, names_only = false;
  bool sorted = false;   // --sort path
  int unrestricted = 0;  // how many -u
};
struct probe_command {
  std::string engine = "auto";
  std::string path;
};

// Exit statuses. copy: 0 all equal, 1 something failed. hash: 0, 1. grep: 0 found, 1 not, 2 error. Usage: 2.
int run(const copy_command& command, messages& say);
int run(const hash_command& command, messages& say);
int run(const grep_command& command, messages& say);
int run(const probe_command& command);

}  // namespace tool
