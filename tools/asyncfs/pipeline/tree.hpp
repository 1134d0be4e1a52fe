// The pipeline under every command: walk → work → report, on several loops at once.
//
// A command says what it does with one entry; this decides which entries those are, and how many are worked on at a
// time. Each loop starts with few files in flight, whose buffers stay in the CPU's cache, and takes more while it finds
// itself waiting for a device. What all commands have in common is done here: filters, lists of paths, shards, progress,
// statistics, interruption.
#pragma once

#include <asyncfs/run.hpp>
#include <asyncfs/walk.hpp>
#include <functional>
#include <string>
#include <vector>

#include "message.hpp"
#include "pipeline/job.hpp"
#include "pipeline/report.hpp"
#include "pipeline/statistics.hpp"
#include "pipeline/tree_options.hpp"

namespace tool {

// What a command does with one entry. Called by one worker for one entry after the other; it names its own failures, and
// returns what is to be printed: all of it, or what is left after it has delivered parts to the report.
using visitor = std::function<asyncfs::task<std::string>(asyncfs::walk_entry&)>;
// Makes one worker's visitor, with the buffers it needs.
using visitor_maker = std::function<visitor()>;
// Called once on every loop: what it makes may hold what the loop's workers share.
using crew_maker = std::function<visitor_maker(workplace&)>;

// The last line of --json, with statistics where they are asked for.
[[nodiscard]] std::string json_summary(const tree_options& options, const tree_summary& of, bool failed);
// Says what --stats asks for, unless the summary of --json does.
void tell_statistics(const tree_options& options, const tree_summary& of, messages& say);

struct tree_work {
  std::vector<asyncfs::walk_root> roots;
  asyncfs::walk_options walk;
  crew_maker make_crew;
  // Runs on every loop after its workers have ended; optional.
  std::function<asyncfs::task<void>()> afterwards{};
  // Operations that this command had better do in place (engine_options::run).
  std::vector<asyncfs::opcode> in_place{};
  // The root that stands for a path of --files-from; by default the path.
  std::function<asyncfs::walk_root(std::string)> root_named{};
  // Interruption cuts visits short, by cancelling them; else each is ended, and looks at workplace::until_interrupted.
  bool may_be_cut_short = true;
  // Results go to standard output: progress would stand among them on a terminal.
  bool prints_results = true;
  // Of a pass that is not all there is: its summary is added here, to be told by the command when all have ended, or by
  // the pass that is interrupted.
  tree_summary* part_of = nullptr;
  bool counts_files = true;  // false: an earlier pass has counted them
  // The last line of --json, where it is not json_summary.
  std::function<std::string(const tree_summary&)> last_line{};
  // What to tell who interrupts.
  std::string_view after_interruption{};
};

// Thrown when a signal ended the work early, in order, which was said. The process should die of that signal.
struct interrupted {
  int signal;
};

// Runs one task in a loop that does everything in place: what is decided before the tree is walked.
template <class T>
T run_ahead(const tree_options& options, asyncfs::task<T> work) {
  asyncfs::loop_options how = options.loop;
  how.engine.kind = asyncfs::engine_kind::sync;
  return asyncfs::run(std::move(work), how);
}

// All paths of a list, for commands that must know them before they begin. Throws std::system_error that names the list.
[[nodiscard]] std::vector<std::string> read_paths(const tree_options& options, messages& say);

// Walks the roots and visits what is found. Throws std::system_error when no loop can be set up, and `interrupted`.
tree_summary run_tree(const tree_options& options, tree_work work, report& out, messages& say);

}  // namespace tool
