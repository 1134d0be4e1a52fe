// Prints the digests of files, in the order of their paths.
#pragma once

#include "command/hash.hpp"

namespace tool {

int print_sums(const hash_command& command, messages& say);

}  // namespace tool
