// Compares files with lists of their digests, as `sha256sum -c` does, many files at once.
#pragma once

#include "command/hash.hpp"

namespace tool {

// The command's paths are the lists. Returns the exit status.
int check_lists(const hash_command& command, messages& say);

}  // namespace tool
