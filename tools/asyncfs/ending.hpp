// How the process ends when it does not end by itself.
#pragma once

namespace tool {

// As a signal ends other tools; whoever started it sees that in its status.
[[noreturn]] void die_of(int signal);

}  // namespace tool
