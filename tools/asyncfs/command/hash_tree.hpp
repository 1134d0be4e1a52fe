// One digest for a whole tree: --tree, and lines of such digests in lists.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "command/hash.hpp"
#include "hash/tree_digest.hpp"

namespace tool {

struct tree_request {
  std::string path;
  tree_scope scope;
  std::vector<algorithm> which;
};
struct tree_result {
  std::vector<digest_value> values{};  // in the order of the algorithms; none: it could not be done
  bool missing = false;                // there is nothing at the path; all other reasons were said
};
// In the order of the requests, which are worked on side by side.
std::vector<tree_result> hash_trees(const hash_command& command, std::span<const tree_request> requests, messages& say,
                                    tree_summary& part_of);

int print_trees(const hash_command& command, messages& say);

}  // namespace tool
