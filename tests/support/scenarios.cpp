#include "scenarios.hpp"

#include <vector>

#include "scenario_files.hpp"

namespace tests {

std::span<const scenario> scenarios() {
  static const std::vector<scenario> all = [] {
    std::vector<scenario> made;
    for (const auto part : {scenarios_of_files(), scenarios_of_streams(), scenarios_of_waiting()})
      made.insert(made.end(), part.begin(), part.end());
    return made;
  }();
  return all;
}

}  // namespace tests
