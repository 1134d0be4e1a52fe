// asyncfs-engines(7): choosing an engine, and where an operation runs.
#include <asyncfs/asyncfs.hpp>

#include "workplace.hpp"

namespace {

asyncfs::task<void> touch() {
  const asyncfs::file made = co_await asyncfs::create("made");
  co_await made.set_mode(0600);
}

std::string choose() {
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::threads;
  asyncfs::loop loop(options);
  return std::string(loop.engine().name());
}

void route() {
  asyncfs::loop_options options;
  options.engine.run(asyncfs::opcode::create, asyncfs::runs::in_place)
      .run(asyncfs::opcode::fchmod, asyncfs::runs::in_place);
  asyncfs::run(touch(), options);
}

void say_which() {
  asyncfs::loop loop;
  std::printf("%s: %s\n", std::string(loop.engine().name()).c_str(),
              std::string(loop.engine_reason()).c_str());
}

void ask_the_table() {
  const auto& row = asyncfs::describe(asyncfs::opcode::ftruncate);
  std::printf("%s: Linux %d.%d, or %s(2)\n", row.name.data(),
              row.since.major, row.since.minor, row.twin.data());
}

void samples() {
  manual::expect(choose() == "threads", "the engine asked for");
  route();
  say_which();
  ask_the_table();
}

}  // namespace

int main() { return manual::run_samples(samples); }
