// How far a job is, on the terminal, and what terminals are shown at all.
#pragma once

#include <asyncfs/walk.hpp>

#include "pipeline/job.hpp"

namespace tool {

// Whether to show it: on a terminal that no results go to, unless the user decides.
[[nodiscard]] bool shows_progress(when wanted, bool results_on_standard_output);

// Whether results on standard output have colours; see NO_COLOR.
[[nodiscard]] bool has_colours(when wanted);

// Shows it until cancelled, and then nothing. Jobs that are soon over show nothing.
asyncfs::task<void> show_progress(job& of, asyncfs::walk& tree, bool at_once);

// "1.2 GiB"
[[nodiscard]] std::string in_units(double bytes);
// "12,345"
[[nodiscard]] std::string grouped(std::uint64_t number);

}  // namespace tool
