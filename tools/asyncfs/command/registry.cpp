#include "command/registry.hpp"

namespace tool {

std::vector<command_line> all_commands() {
  std::vector<command_line> all;
#define ASYNCFS_ADD(name) all.push_back(name##_command_line());
  FOR_EACH_COMMAND(ASYNCFS_ADD)
#undef ASYNCFS_ADD
  return all;
}

}  // namespace tool
