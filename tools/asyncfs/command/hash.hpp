// What `asyncfs hash` takes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hash/algorithm.hpp"
#include "hash/tree_digest.hpp"
#include "pipeline/tree.hpp"

namespace tool {

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

// The exit status: 0 all is well, 1 something is not as listed, or failed.
int run(const hash_command& command, messages& say);

}  // namespace tool
