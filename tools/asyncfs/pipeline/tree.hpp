// The pipeline under every command: walk → work → report, on several loops at once.
//
// A command says what it does with one entry; this decides how many are worked on at a time. Each loop starts with few
// files in flight, whose buffers stay in the CPU's cache, and takes more while it finds itself waiting for a device.
#pragma once

#include <asyncfs/run.hpp>
#include <asyncfs/walk.hpp>
#include <functional>
#include <string>
#include <vector>

#include "message.hpp"
#include "pipeline/report.hpp"

namespace tool {

struct tree_options {
  asyncfs::loop_options loop;  // of each: its engine, and who observes it
  unsigned jobs = 0;           // loops; 0: one a CPU
  unsigned depth = 0;          // files in flight a loop; 0: as the device asks
};

// What a command does with one entry. Called by one worker for one entry after the other; it must deliver to the report
// exactly once with `last`, and names its own failures.
using visitor = std::function<asyncfs::task<void>(asyncfs::walk_entry&)>;
// Makes one worker's visitor, with the buffers it needs.
using visitor_maker = std::function<visitor()>;

struct tree_work {
  std::vector<asyncfs::walk_root> roots;
  asyncfs::walk_options walk;
  // Called once on every loop: what it makes may hold what the loop's workers share.
  std::function<visitor_maker()> make_crew;
  // Runs on every loop after its workers have ended; optional.
  std::function<asyncfs::task<void>()> afterwards{};
  // Operations that this command had better do in place (engine_options::run).
  std::vector<asyncfs::opcode> in_place{};
};

// Runs one task in a loop that does everything in place: what is decided before the tree is walked.
template <class T>
T run_ahead(const tree_options& options, asyncfs::task<T> work) {
  asyncfs::loop_options how = options.loop;
  how.engine.kind = asyncfs::engine_kind::sync;
  return asyncfs::run(std::move(work), how);
}

// Walks the roots and visits what is found. Throws std::system_error when no loop can be set up.
void run_tree(const tree_options& options, tree_work work, report& out);

}  // namespace tool
