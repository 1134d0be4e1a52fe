// Whole walks, and what they found.
#pragma once

#include <asyncfs/asyncfs.hpp>

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

#include "../support/engines.hpp"

namespace tests {

struct found_entry {
  std::string path;
  std::uint64_t sequence;
  std::error_code error;
  std::string operation;
  unsigned char type;
  bool followed;
};

inline asyncfs::task<void> collect(asyncfs::walk& tree, std::vector<found_entry>& found, std::mutex& mutex) {
  for (;;) {
    auto entry = co_await tree.next();
    if (!entry) co_return;
    const std::lock_guard lock(mutex);
    found.push_back({entry->path(), entry->sequence(), entry->error, std::string(entry->operation), entry->type(),
                     entry->followed()});
  }
}

inline asyncfs::task<void> walk_on_loop(asyncfs::walk& tree, std::vector<found_entry>& found, std::mutex& mutex) {
  std::vector<asyncfs::task<void>> hands;
  for (int i = 0; i < 4; ++i) hands.push_back(tree.drive());
  for (int i = 0; i < 5; ++i) hands.push_back(collect(tree, found, mutex));
  co_await asyncfs::when_all(std::move(hands));
}

// In the order of the walk.
inline std::vector<found_entry> walk_all(std::vector<asyncfs::walk_root> roots, asyncfs::walk_options how,
                                         std::size_t loops, const asyncfs::loop_options& options) {
  asyncfs::walk tree(std::move(roots), std::move(how));
  std::vector<found_entry> found;
  std::mutex mutex;
  asyncfs::run_on(loops, [&](std::size_t) { return walk_on_loop(tree, found, mutex); }, options);
  std::ranges::sort(found, {}, &found_entry::sequence);
  return found;
}

inline std::vector<std::string> paths_of(const std::vector<found_entry>& found) {
  std::vector<std::string> paths;
  for (const found_entry& one : found) paths.push_back(one.path);
  return paths;
}

// A simulation runs on one thread; trees in memory are walked in tests/sim.
inline bool left_out(const engine_under_test& engine, std::size_t loops) {
  if (engine.in_memory()) leave_out("files in memory: a tree that std::filesystem made");
  if (engine.simulated && loops > 1) leave_out("the simulator: loops on several threads");
  return engine.in_memory() || (engine.simulated && loops > 1);
}

}  // namespace tests
