// Runs every scenario: ASYNCFS_SEEDS sets how many seeds each is given; the printed line says how many it was.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "../catch.hpp"
#include "scenario.hpp"

namespace sim {

scenario::scenario(const char* what_holds, body what, const fault_plan& with)
    : name(what_holds), run(what), faults(with) {
  scenarios().push_back(this);
}

std::vector<const scenario*>& scenarios() {
  static std::vector<const scenario*> all;
  return all;
}

task<bool> attempted(task<void> work) {
  try {
    co_await std::move(work);
    co_return true;
  } catch (const std::system_error&) {
  }
  co_return false;
}

std::string text(std::uint64_t mark, std::size_t size) {
  std::string all(size, '\0');
  for (std::size_t i = 0; i < size; ++i) all[i] = static_cast<char>('a' + (mark * 7 + i + i / 26 + i / 4099) % 26);
  return all;
}

std::size_t some_size(simulation& world) {
  constexpr std::size_t sizes[] = {0, 1, 2, 100, 511, 4095, 4096, 4097, 10'000, 65'536, 65'537, 70'000};
  return sizes[world.choose(std::size(sizes))];
}

std::chrono::nanoseconds some_time(simulation& world, std::chrono::nanoseconds most) {
  return std::chrono::nanoseconds(world.choose(static_cast<std::uint64_t>(most.count()) + 1));
}

bool is_cancel(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::system_error& known) {
    return known.code() == std::errc::operation_canceled;
  } catch (...) {
    return false;
  }
}

}  // namespace sim

namespace {

constexpr std::uint64_t usual_seeds = 250;

// The environment asks for a part of it all: see explore.hpp.
bool only_a_part() { return std::getenv("ASYNCFS_SEED") != nullptr || std::getenv("ASYNCFS_SCENARIO") != nullptr; }

}  // namespace

TEST_CASE("whatever the seed brings, every scenario of the library holds, and every kind of fault was met") {
  const auto began = std::chrono::steady_clock::now();
  asyncfs::testing::fault_coverage met;
  std::uint64_t seeds = 0, operations = 0;
  for (const sim::scenario* one : sim::scenarios()) {
    INFO(one->name);
    const auto result = asyncfs::testing::explore(one->name, {.seeds = usual_seeds, .faults = one->faults}, one->run);
    CHECK(result.failures == 0);
    met.merge(result.coverage);
    seeds += result.seeds;
    operations += result.operations;
  }
  const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const std::size_t count = sim::scenarios().size();
  std::printf("%zu scenarios: %llu seeds of 10,000 each, %llu operations, %.1f s\n", count,
              static_cast<unsigned long long>(seeds / count), static_cast<unsigned long long>(operations), took);
  if (!only_a_part()) CHECK(met.missing().empty());
}

TEST_CASE("every scenario is the same run, event by event, for the same seed") {
  for (const sim::scenario* one : sim::scenarios()) {
    INFO(one->name);
    const auto hash_of = [one](std::uint64_t seed) {
      asyncfs::testing::simulation world({.seed = seed, .faults = one->faults});
      one->run(world);
      return world.trace_hash();
    };
    for (const std::uint64_t seed : {1u, 2u, 3u}) CHECK(hash_of(seed) == hash_of(seed));
  }
}

TEST_CASE("scenarios have names of their own, so that one can be asked for") {
  std::vector<std::string> names;
  for (const sim::scenario* one : sim::scenarios()) names.emplace_back(one->name);
  std::ranges::sort(names);
  CHECK(std::ranges::adjacent_find(names) == names.end());
  CHECK(names.size() >= 30);
}
