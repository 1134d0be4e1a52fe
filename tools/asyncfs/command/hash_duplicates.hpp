// Groups of files with the same content.
#pragma once

#include "command/hash.hpp"

namespace tool {

int print_duplicates(const hash_command& command, messages& say);

}  // namespace tool
