// asyncfs-testing(7): the same code in a simulated world, under faults and power cuts, and faults on real engines.
#include <asyncfs/asyncfs.hpp>
#include <asyncfs/testing/explore.hpp>
#include <asyncfs/testing/ring_faults.hpp>

#include "workplace.hpp"

namespace {

using namespace std::chrono_literals;
using asyncfs::testing::fault;
using asyncfs::testing::fault_plan;
using asyncfs::testing::simulation;

// The code under test knows nothing of the simulator.
asyncfs::task<void> save(const char* path, std::string text) {
  const std::string draft = std::string(path) + ".new";
  asyncfs::file out = co_await asyncfs::create(draft.c_str());
  co_await asyncfs::write_all_at(out, std::as_bytes(std::span(text)), 0);
  co_await out.sync();
  co_await out.close();
  const asyncfs::directory& here = asyncfs::here();
  co_await here.rename(draft.c_str(), here, path);
}

bool run_in_a_world() {
  simulation world({.seed = 42});
  world.files().write("/config", "old");
  world.run(save("/config", "new"));
  return world.files().read("/config") == "new";
}

void saving_is_atomic(simulation& world) {
  world.files().write("/config", "old");
  try {
    world.run(save("/config", "new"));
  } catch (const std::system_error&) {
    // An error is no failure of the test; a torn file is.
  }
  const auto left = world.files_after_power_loss().read("/config");
  asyncfs::testing::require(left == "old" || left == "new",
                            "the file is torn");
}

bool explore_seeds() {
  const auto plan = fault_plan::usual().set(fault::power_loss, 0.5);
  const auto found = asyncfs::testing::explore(
      "save", {.seeds = 200, .faults = plan}, saving_is_atomic);
  const bool was_hard = found.coverage.of(fault::short_write) > 0;
  return found.failures == 0 && was_hard;
}

asyncfs::task<void> save_carelessly(const char* path, std::string text) {
  co_await asyncfs::write_file(path, text);  // empties the file first
}

asyncfs::testing::exploration find_a_mistake() {
  return asyncfs::testing::explore(
      "careless", {.seeds = 2000, .report = false}, [](simulation& world) {
        world.files().write("/config", "old");
        try {
          world.run(save_carelessly("/config", "new"));
        } catch (const std::system_error&) {
        }
        const auto left = world.files().read("/config");
        asyncfs::testing::require(left == "old" || left == "new", "torn");
      });
}

void cut_the_power_at_every_operation() {
  for (std::uint64_t n = 1;; ++n) {
    simulation world({.cut_power_at = n});
    saving_is_atomic(world);
    if (!world.power_is_cut()) break;  // past the last operation
  }
}

bool a_day_passes() {
  simulation world;
  const auto began = world.now();
  const auto sleep = []() -> asyncfs::task<void> {
    co_await asyncfs::sleep_for(24h);
  };
  world.run(sleep());
  return world.now() - began >= 24h;  // at once
}

bool the_first_write_fails() {
  asyncfs::testing::ring_faults faults;
  faults.fail(1, asyncfs::opcode::write, ENOSPC);
  asyncfs::loop home(faults.on(asyncfs::loop_options()));
  bool refused = false;
  try {
    asyncfs::run(home, save("saved", "text"));
  } catch (const std::system_error& error) {
    refused = error.code() == std::errc::no_space_on_device;
  }
  return refused && faults.struck() == 1;
}

void samples() {
  manual::expect(run_in_a_world(), "saved");
  manual::expect(explore_seeds(), "no seed tears the file");
  manual::expect(find_a_mistake().reason == "torn", "the mistake is found");
  cut_the_power_at_every_operation();
  manual::expect(a_day_passes(), "a day has passed");
  manual::expect(the_first_write_fails(), "the write was refused");
}

}  // namespace

int main() { return manual::run_samples(samples); }
