// Adds up the sizes of all regular files below a directory, with a loop on every CPU.
//
// usage: readme_tree_size DIRECTORY
#include <dirent.h>

#include <asyncfs/asyncfs.hpp>
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <exception>
#include <thread>
#include <vector>

namespace {

using counter = std::atomic<std::uint64_t>;

asyncfs::task<void> add_sizes(asyncfs::walk& tree, counter& total) {
  while (auto found = co_await tree.next()) {
    if (found->error || found->type() != DT_REG) continue;
    const auto status = co_await asyncfs::as_result(found->at().status(found->name()));
    if (status) total += status->size;
  }
}

asyncfs::task<void> on_one_loop(asyncfs::walk& tree, counter& total) {
  constexpr int listers = 8, takers = 32;
  std::vector<asyncfs::task<void>> hands;
  hands.reserve(listers + takers);
  for (int i = 0; i < listers; ++i) hands.push_back(tree.drive());
  for (int i = 0; i < takers; ++i) hands.push_back(add_sizes(tree, total));
  co_await asyncfs::when_all(std::move(hands));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    asyncfs::walk tree({{.path = argv[1]}}, {});
    counter total = 0;
    asyncfs::run_on(std::thread::hardware_concurrency(), [&](std::size_t) { return on_one_loop(tree, total); });
    std::printf("%" PRIu64 "\n", total.load());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
