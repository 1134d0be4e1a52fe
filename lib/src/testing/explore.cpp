#include <asyncfs/testing/explore.hpp>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>

#include "testing/core.hpp"

namespace asyncfs::testing {

namespace {

constexpr std::size_t lines_of_a_failure = 30;

std::optional<std::uint64_t> number_from(const char* variable) {
  const char* const text = std::getenv(variable);
  if (text == nullptr || *text == '\0') return std::nullopt;
  char* end = nullptr;
  const std::uint64_t number = std::strtoull(text, &end, 10);
  if (*end != '\0') throw std::invalid_argument(std::string(variable) + " is not a number: " + text);
  return number;
}

std::string quoted(const std::string& word) {
  if (word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./=-") ==
      std::string::npos)
    return word;
  std::string all = "'";
  for (const char c : word) all += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return all + "'";
}

// What broke; nothing when the seed went well.
std::optional<std::string> run_one(simulation& world, const std::function<void(simulation&)>& scenario) {
  try {
    scenario(world);
    if (world.open_descriptors() != 0) return std::to_string(world.open_descriptors()) + " descriptors were left open";
    if (world.stale_uses() != 0)
      return "a descriptor was used after it was closed, " + std::to_string(world.stale_uses()) + " times";
    return std::nullopt;
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

}  // namespace

std::string detail::replay_command(std::uint64_t seed) {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string words((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::string command = "ASYNCFS_SEED=" + std::to_string(seed);
  for (std::size_t at = 0; at < words.size();) {
    const std::size_t end = words.find('\0', at);
    command += " " + quoted(words.substr(at, end - at));
    at = end == std::string::npos ? words.size() : end + 1;
  }
  return command;
}

exploration explore(std::string_view name, const exploration_options& options,
                    const std::function<void(simulation&)>& scenario) {
  exploration all;
  if (const char* only = std::getenv("ASYNCFS_SCENARIO"); only != nullptr && name != only) return all;
  const auto wanted = number_from("ASYNCFS_SEED");
  const std::uint64_t first = wanted.value_or(options.first_seed);
  const std::uint64_t count = wanted ? 1 : number_from("ASYNCFS_SEEDS").value_or(options.seeds);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    simulation world({.seed = seed, .files = options.files, .faults = options.faults, .latency = options.latency});
    const auto broken = run_one(world, scenario);
    ++all.seeds;
    all.operations += world.operations();
    all.coverage.merge(world.coverage());
    if (wanted) std::fprintf(stderr, "%s", world.trace().c_str());
    if (!broken) continue;
    ++all.failures;
    all.failing_seed = seed;
    all.reason = *broken;
    if (options.report)
      std::fprintf(stderr, "scenario '%.*s' fails with seed %llu: %s\n%sto see this again: ASYNCFS_SCENARIO=%s %s\n",
                   static_cast<int>(name.size()), name.data(), static_cast<unsigned long long>(seed), broken->c_str(),
                   world.trace(lines_of_a_failure).c_str(), quoted(std::string(name)).c_str(),
                   detail::replay_command(seed).c_str());
    break;
  }
  return all;
}

void require(bool holds, std::string_view otherwise) {
  if (!holds) throw std::runtime_error(std::string(otherwise));
}

}  // namespace asyncfs::testing
