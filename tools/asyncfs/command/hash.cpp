// asyncfs hash: digests of files, or what lists of digests say of them.

#include "command/commands.hpp"
#include "command/hash_check.hpp"
#include "command/hash_sums.hpp"

namespace tool {

int run(const hash_command& command, messages& say) {
  return command.check ? check_lists(command, say) : print_sums(command, say);
}

}  // namespace tool
