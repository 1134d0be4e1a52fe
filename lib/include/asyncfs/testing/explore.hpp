// Runs a scenario under many seeds, and says how to see a failing one again.
//
//   TEST_CASE("saving survives a power cut") {
//     const auto result = asyncfs::testing::explore("save", {.seeds = 1000, .faults = plan}, [](simulation& world) {
//       world.files().write("/config", "old");
//       try {
//         world.run(save("/config", "new"));
//       } catch (const std::system_error&) {  // that it fails is no failure of the scenario
//       }
//       const auto left = world.files_after_power_loss().read("/config");
//       asyncfs::testing::require(left == "old" || left == "new", "the file is torn");
//     });
//     CHECK(result.failures == 0);
//   }
//
// The scenario checks with `require`, or throws; each exception that leaves it is a failure. The environment variable
// ASYNCFS_SEED=n runs that seed alone and prints its whole trace; ASYNCFS_SEEDS=n sets how many are run;
// ASYNCFS_SCENARIO=name leaves the other scenarios of the program out.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <asyncfs/testing/simulation.hpp>

namespace [[gnu::visibility("default")]] asyncfs {
namespace testing {

struct exploration_options {
  std::uint64_t seeds = 100;
  std::uint64_t first_seed = 1;
  fault_plan faults = fault_plan::usual();
  simulation_options::files_kind files = simulation_options::files_kind::memory;
  std::chrono::nanoseconds latency = std::chrono::milliseconds(1);
  // Whether a failure is printed to standard error with the command that replays it. Off where one is expected.
  bool report = true;
};

struct exploration {
  std::uint64_t seeds = 0, failures = 0, operations = 0;
  std::uint64_t failing_seed = 0;  // the first; it ends the exploration
  std::string reason;
  fault_coverage coverage;
};

// Stops at the first failure.
exploration explore(std::string_view name, const exploration_options& options,
                    const std::function<void(simulation&)>& scenario);

// Throws, with these words, when the condition does not hold.
void require(bool holds, std::string_view otherwise);

}  // namespace testing
}  // namespace asyncfs
