// Which engine a loop got, and why.
#include <asyncfs/asyncfs.hpp>
#include <cstdio>
#include <exception>

namespace {

void show(asyncfs::engine_kind kind) {
  asyncfs::loop_options options;
  options.engine.kind = kind;
  asyncfs::loop loop(options);  // throws when an engine asked for by name is refused
  std::printf("%s: %s\n", std::string(loop.engine().name()).c_str(), std::string(loop.engine_reason()).c_str());
}

}  // namespace

int main() {
  try {
    show(asyncfs::engine_kind::automatic);
    show(asyncfs::engine_kind::threads);
    show(asyncfs::engine_kind::sync);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
