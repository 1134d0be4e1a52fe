// Counts the lines of many files: at most 16 open at a time, the counting itself on worker threads.
//
// usage: readme_many_files FILE...
#include <algorithm>
#include <asyncfs/asyncfs.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

namespace {

asyncfs::task<void> count_lines(std::string path) {
  const std::string text = co_await asyncfs::read_file(path.c_str());
  const auto lines = co_await asyncfs::offload([&text] { return std::ranges::count(text, '\n'); });
  std::printf("%td %s\n", lines, path.c_str());
}

asyncfs::task<void> count_all(std::vector<std::string> paths) {
  co_await asyncfs::for_each_concurrent(paths, 16, [](const std::string& path) { return count_lines(path); });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    asyncfs::run(count_all({argv + 1, argv + argc}));
  } catch (const std::exception& error) {  // the first failure; the others were cancelled, and have ended
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
