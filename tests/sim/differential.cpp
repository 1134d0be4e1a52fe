// Files in memory against the kernel's: the same operations on both, chosen by a seed, and every answer compared.
//
// Each sequence is played once in a temporary directory with plain system calls (the sync engine), and once in memory;
// what each operation gave is written down as a line of text, and the lines must be equal, as must the trees at the end.
// ASYNCFS_SEEDS sets how many sequences there are; ASYNCFS_SEED=n plays that one alone and prints its lines.
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <set>

#include "../support/engines.hpp"
#include "differential.hpp"

using namespace differential;

namespace {

constexpr std::uint64_t usual_sequences = 300;
constexpr int operations_of_a_sequence = 60;
constexpr std::size_t most_open = 4;
// Links may lead out of the directory; what is found there is alike too.
constexpr const char* above_it = "/deep/deeper";

// Every path below, with what it is and holds.
task<void> tell_tree(player& at, std::string below) {
  const directory top = co_await at.dir.open_directory(below.c_str());
  std::vector<std::byte> buffer(32 << 10);
  std::set<std::string> all;
  for (;;) {
    const std::size_t got = co_await top.read_entries(buffer);
    if (got == 0) break;
    asyncfs::for_each_entry(std::span(buffer).first(got),
                            [&](const asyncfs::directory_entry& one) { all.insert(one.name); });
  }
  for (const std::string& name : all) {
    const std::string path = below + "/" + name;
    const asyncfs::file_status is = co_await at.dir.status(path.c_str());
    std::string holds;
    if (is.is_regular()) {
      const std::string bytes = co_await asyncfs::read_file(at.dir, path.c_str());
      holds = digest(bytes);
    } else if (is.is_link()) {
      holds = co_await at.dir.read_link(path.c_str());
    }
    at.tell(path, told(is) + " " + holds);
    if (is.is_directory()) co_await tell_tree(at, path);
  }
}

task<void> play(player& at) {
  for (int i = 0; i < operations_of_a_sequence; ++i) {
    if (at.open.size() == most_open) at.open.erase(at.open.begin());
    const std::uint64_t which = at.random.below(10);
    if (which < 2)
      co_await create_one(at);
    else if (which < 3)
      co_await open_one(at);
    else if (which < 7 && !at.open.empty())
      co_await use_open(at);
    else
      co_await use_names(at);
  }
  at.open.clear();
  co_await tell_tree(at, ".");
}

task<void> play_in(const std::string& path, std::uint64_t seed, bool has_attributes, std::vector<std::string>& lines) {
  const directory dir = co_await asyncfs::here().open_directory(path.c_str());
  player at{dir, chooser(seed), has_attributes};
  co_await play(at);
  lines = std::move(at.lines);
}

std::vector<std::string> on_the_kernel(std::uint64_t seed, bool has_attributes) {
  const tests::temporary_directory at;
  std::filesystem::create_directories(at.path() + above_it + "/in");
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::sync;
  std::vector<std::string> lines;
  asyncfs::run(play_in(at.path() + above_it + "/in", seed, has_attributes, lines), options);
  return lines;
}

std::vector<std::string> in_memory(std::uint64_t seed, bool has_attributes) {
  asyncfs::testing::simulation world({.seed = seed});
  world.files().make_directory(std::string(above_it) + "/in");
  std::vector<std::string> lines;
  world.run(play_in(std::string(above_it) + "/in", seed, has_attributes, lines));
  CHECK(world.open_descriptors() == 0);
  return lines;
}

bool keeps_attributes() {
  const tests::temporary_directory at;
  return ::setxattr(at.path().c_str(), "user.asked", "", 0, 0) == 0;
}

std::optional<std::uint64_t> number_from(const char* variable) {
  const char* const text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

std::string lines_up_to(const std::vector<std::string>& lines, std::size_t end) {
  std::string all;
  for (std::size_t i = 0; i < end && i < lines.size(); ++i) all += lines[i] + "\n";
  return all;
}

}  // namespace

TEST_CASE("whatever is done with files in memory gives what the kernel's files give") {
  const auto wanted = number_from("ASYNCFS_SEED");
  const std::uint64_t first = wanted.value_or(1),
                      count = wanted ? 1 : number_from("ASYNCFS_SEEDS").value_or(usual_sequences);
  const bool has_attributes = keeps_attributes();
  if (!has_attributes) tests::leave_out("extended attributes of users, which this file system does not keep");
  ::umask(022);  // as files in memory are made
  std::size_t compared = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const auto kernel = on_the_kernel(seed, has_attributes), memory = in_memory(seed, has_attributes);
    const auto [here, there] = std::ranges::mismatch(kernel, memory);
    const auto equal = static_cast<std::size_t>(here - kernel.begin());
    compared += equal;
    if (wanted) std::fprintf(stderr, "%s", lines_up_to(kernel, kernel.size()).c_str());
    if (here == kernel.end() && there == memory.end()) continue;
    INFO("seed " << seed << "\n" << lines_up_to(kernel, equal));
    const std::string ended = "the end";
    CHECK((there == memory.end() ? ended : *there) == (here == kernel.end() ? ended : *here));
    break;  // to see it again: ASYNCFS_SEED
  }
  std::printf("%llu sequences, %zu answers compared\n", static_cast<unsigned long long>(count), compared);
}
