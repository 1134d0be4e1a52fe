// The commands: what each takes, and what it returns to the shell.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hash/algorithm.hpp"
#include "hash/tree_digest.hpp"
#include "pipeline/tree.hpp"

namespace tool {

struct copy_command {
  tree_options tree;
  std::vector<std::string> paths;  // sources, then the destination
};
struct hash_command {
  tree_options tree;
  std::vector<algorithm> which;    // none: the default, or as a list says
  std::vector<std::string> paths;  // none, or "-": standard input
  bool tagged = false, untagged = false, zero = false;
  std::optional<tree_scope> tree_digest;  // one for each path, of all that is in it
  bool duplicates = false;                // groups of files with the same content
  bool no_recursive = false;              // directories are refused
  bool follow = false;                    // links below the paths stand for what they lead to
  // -c: the paths are lists.
  bool check = false, ignore_missing = false, strict = false, status = false, quiet = false, warn = false;
  bool exact = false;                 // with -c: files that no list names are failures too,
  std::vector<std::string> exact_in;  // in these directories; none: where the listed files are
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
  asyncfs::engine_kind engine = asyncfs::engine_kind::automatic;
};

// Exit statuses. copy: 0 all equal, 1 something failed. hash: 0, 1. grep: 0 found, 1 not, 2 error. Usage: 2.
int run(const copy_command& command, messages& say);
int run(const hash_command& command, messages& say);
int run(const grep_command& command, messages& say);
int run(const probe_command& command, messages& say);

}  // namespace tool
