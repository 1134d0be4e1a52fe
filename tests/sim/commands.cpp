// copy, hash and grep in a simulated world: whatever befalls them, what they do not complain about is right, they end,
// and they leave nothing open.
//
// ASYNCFS_SEEDS sets how many seeds each command is given; the printed line says how many it was.
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>
#include <algorithm>
#include <asyncfs/testing/explore.hpp>
#include <chrono>
#include <command/copy.hpp>
#include <command/grep.hpp>
#include <command/hash.hpp>
#include <cstdio>
#include <sstream>

#include "../catch.hpp"

using asyncfs::testing::exploration;
using asyncfs::testing::explore;
using asyncfs::testing::fault;
using asyncfs::testing::fault_plan;
using asyncfs::testing::require;
using asyncfs::testing::simulation;

namespace {

using tree = std::map<std::string, std::string>;

// What a command says of failures goes here.
class nowhere {
 public:
  nowhere() : fd_(::open("/dev/null", O_WRONLY | O_CLOEXEC)) {}
  nowhere(const nowhere&) = delete;
  nowhere& operator=(const nowhere&) = delete;
  ~nowhere() { ::close(fd_); }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

// A tree of a shape and of contents that the seed chooses.
tree plant(simulation& world, bool with_zeros = true) {
  auto files = world.files();
  files.make_directory("/in");
  std::vector<std::string> directories{"/in"};
  const std::uint64_t count = 1 + world.choose(12);
  std::vector<std::string> written;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string& above = directories[world.choose(directories.size())];
    const std::string name = above + "/" + static_cast<char>('a' + world.choose(26)) + std::to_string(i);
    switch (world.choose(6)) {
      case 0:
        files.make_directory(name);
        directories.push_back(name);
        break;
      case 1: files.symlink("somewhere", name); break;
      case 2:
        if (!written.empty()) {
          files.link(written[world.choose(written.size())], name);
          break;
        }
        [[fallthrough]];
      default: {
        constexpr std::size_t sizes[] = {0, 1, 100, 4096, 5000, 70'000};
        std::string text;
        const std::size_t size = sizes[world.choose(std::size(sizes))];
        while (text.size() < size)
          text += "line " + std::to_string(world.choose(1000)) + (world.choose(9) == 0 ? " needle" : "") + "\n";
        if (world.choose(5) == 0 && with_zeros) text.append(8192, '\0');
        files.write(name, text);
        written.push_back(name);
      }
    }
  }
  return files.list("/in");
}

template <class Command>
Command in_world(simulation& world) {
  Command command;
  command.tree.loop = world.options();
  command.tree.jobs = 1;
  return command;
}

// ---- copy ----------------------------------------------------------------------------------------------------------

void copies(simulation& world) {
  const tree source = plant(world);
  auto command = in_world<tool::copy_command>(world);
  command.paths = {"/in", "/out"};
  const nowhere unread;
  tool::messages say("asyncfs copy", unread.fd());
  const int status = tool::run(command, say);
  const tree after = world.files().list("/in");
  require(after == source, "the source was changed");
  require(status == 0 || status == 1, "an exit status of its own making");
  require((status == 0) == !say.any_failure(), "the exit status does not say what was said");
  if (world.power_is_cut()) {
    // A name holds all of its file or is not there; whoever said that all went well may still lose it: nothing was synced.
    return;
  }
  if (status == 0)
    require(
        world.files().list("/out") ==
            [&] {
              tree wanted;
              for (const auto& [path, bytes] : source) wanted["/out" + path.substr(3)] = bytes;
              return wanted;
            }(),
        "the copy says that it is complete, and differs");
  // What has its name at all is whole.
  if (!world.files().exists("/out")) return;
  for (const auto& [path, bytes] : world.files().list("/out")) {
    if (path.find(".asyncfs-") != std::string::npos) continue;
    const auto original = source.find("/in" + path.substr(4));
    require(original != source.end() && original->second == bytes, "a copy that has its name is not whole: " + path);
  }
}

// ---- hash ----------------------------------------------------------------------------------------------------------

std::string sha256(const std::string& bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned i = 0; i < length; ++i) {
    constexpr char digits[] = "0123456789abcdef";
    hex += digits[digest[i] >> 4];
    hex += digits[digest[i] & 15];
  }
  return hex;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) all.push_back(line);
  return all;
}

// Of what was printed, the lines that are whole. Only where the printing failed, in the middle of a line, is another
// begun: one that was wanted.
std::vector<std::string> whole_lines(const std::string& printed, bool failed, const std::vector<std::string>& wanted) {
  std::vector<std::string> lines = lines_of(printed);
  if (lines.empty() || printed.ends_with('\n')) return lines;
  require(failed, "it says that all went well, and its last line is torn");
  require(std::ranges::any_of(wanted, [&](const std::string& line) { return line.starts_with(lines.back()); }),
          "a torn line that was to be no line at all: " + lines.back());
  lines.pop_back();
  return lines;
}

void hashes(simulation& world) {
  const tree source = plant(world);
  auto command = in_world<tool::hash_command>(world);
  command.paths = {"/in"};
  const nowhere unread;
  tool::messages say("asyncfs hash", unread.fd());
  const int status = tool::run(command, say);
  std::vector<std::string> wanted;
  for (const auto& [path, bytes] : source)
    if (bytes != "/" && !bytes.starts_with("-> ")) wanted.push_back(sha256(bytes) + "  " + path);
  std::ranges::sort(wanted, {}, [](const std::string& line) { return line.substr(66); });
  const std::vector<std::string> got = whole_lines(world.written_to(1), status != 0, wanted);
  require(std::ranges::includes(
              wanted, got, {}, [](const std::string& l) { return l.substr(66) + l; },
              [](const std::string& l) { return l.substr(66) + l; }),
          "a line that is wrong, or out of order");
  if (status == 0) require(got == wanted, "it says that all went well, and lines are missing");
  require((status == 0) == !say.any_failure(), "the exit status does not say what was said");
}

// Not even at the beginning is more read than the rate allows.
void keeps_the_rate(simulation& world) {
  plant(world);
  auto command = in_world<tool::hash_command>(world);
  command.paths = {"/in"};
  command.tree.bytes_a_second = 100'000 * (1 + world.choose(10));
  const nowhere unread;
  tool::messages say("asyncfs hash", unread.fd());
  std::uint64_t bytes = 0;
  for (const auto& [path, content] : world.files().list("/in"))
    if (content != "/" && !content.starts_with("-> ")) bytes += content.size();
  const asyncfs::steady_time began = world.now();
  const int status = tool::run(command, say);
  const std::chrono::duration<double> took = world.now() - began;
  if (status == 0)
    require(took.count() * static_cast<double>(command.tree.bytes_a_second) >= static_cast<double>(bytes) - 1,
            "more was read than the rate allows");
}

// ---- grep ----------------------------------------------------------------------------------------------------------

void greps(simulation& world) {
  const tree source = plant(world, false);  // zeros make a file binary, which is told in other words
  auto command = in_world<tool::grep_command>(world);
  command.paths = {"/in"};
  command.pattern = "needle";
  command.unrestricted = 3;
  command.sorted = world.choose(2) == 0;
  const nowhere unread;
  tool::messages say("asyncfs grep", unread.fd());
  const int status = tool::run(command, say);
  std::vector<std::string> wanted;
  for (const auto& [path, bytes] : source) {
    if (bytes == "/" || bytes.starts_with("-> ")) continue;
    for (const std::string& line : lines_of(bytes))
      if (line.find("needle") != std::string::npos) wanted.push_back(path + ":" + line);
  }
  std::vector<std::string> got = whole_lines(world.written_to(1), status == 2, wanted);
  std::ranges::sort(wanted);
  std::ranges::sort(got);
  for (const std::string& line : got)
    require(std::ranges::binary_search(wanted, line), "a line that is wrong: " + line);
  if (status != 2) require(got == wanted, "it says that all went well, and lines are missing");
  if (status != 2) require((status == 0) == !wanted.empty(), "the exit status is wrong");
  require((status == 2) == say.any_failure(), "the exit status does not say what was said");
}

exploration explored(const char* name, const std::function<void(simulation&)>& scenario, const fault_plan& plan) {
  const auto began = std::chrono::steady_clock::now();
  const exploration result = explore(name, {.seeds = 400, .faults = plan}, scenario);
  const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  std::printf("%s: %llu seeds of 10,000, %llu operations, %.1f s\n", name,
              static_cast<unsigned long long>(result.seeds), static_cast<unsigned long long>(result.operations), took);
  return result;
}

}  // namespace

TEST_CASE("copy, hash and grep are right or say so, whatever the seed brings, and every kind of fault was met") {
  const fault_plan plan = fault_plan::usual().set(fault::power_loss, 0.05);
  asyncfs::testing::fault_coverage met;
  for (const auto& [name, scenario] :
       {std::pair{"copy", &copies}, std::pair{"hash", &hashes}, std::pair{"grep", &greps}}) {
    INFO(name);
    const exploration result = explored(name, scenario, plan);
    CHECK(result.failures == 0);
    met.merge(result.coverage);
  }
  // Cancels are for scenarios that cancel: sim/simulator.cpp and sim/scenarios.cpp.
  for (const fault kind : {fault::short_read, fault::short_write, fault::interrupted, fault::again, fault::no_space,
                           fault::io_error, fault::quota, fault::no_memory, fault::denied, fault::delayed,
                           fault::reordered, fault::queue_full, fault::power_loss}) {
    INFO(asyncfs::testing::name_of(kind));
    CHECK(met.of(kind) > 0);
  }
}

TEST_CASE("without faults the three commands succeed on every tree and in every order, and keep to a rate") {
  for (const auto& [name, scenario] :
       {std::pair{"copy in peace", &copies}, std::pair{"hash in peace", &hashes}, std::pair{"grep in peace", &greps},
        std::pair{"a limited rate", &keeps_the_rate}}) {
    INFO(name);
    const exploration result = explored(name, scenario, fault_plan::none());
    CHECK(result.failures == 0);
  }
}

TEST_CASE("a command in a simulation is the same run, event by event, for the same seed") {
  const auto hash_of = [](std::uint64_t seed) {
    simulation world({.seed = seed, .faults = fault_plan::usual()});
    copies(world);
    return world.trace_hash();
  };
  for (const std::uint64_t seed : {1u, 2u, 3u}) CHECK(hash_of(seed) == hash_of(seed));
}
