// Every engine, and a fresh place in the file system for each: how one test proves the same thing of all of them.
#pragma once

#include <asyncfs/asyncfs.hpp>
#include <asyncfs/testing/simulation.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "left_out.hpp"

namespace tests {

struct engine_under_test {
  std::string name;
  asyncfs::loop_options options;
};

// Another order at every run of the program would be no test to rely on: the seed is fixed.
inline asyncfs::loop_options simulation_of_real_files() {
  using asyncfs::testing::simulation;
  // Quick enough that what tests sleep for is long to it, as to a kernel.
  static simulation world({.seed = 1,
                           .files = asyncfs::testing::simulation_options::files_kind::real,
                           .latency = std::chrono::microseconds(50)});
  return world.options();
}

// uring, threads, sync, uring with all that can be done without the ring done without it, and the simulator on real
// files, which completes in any order and as late as it likes.
inline std::vector<engine_under_test> all_engines() {
  using asyncfs::engine_kind;
  std::vector<engine_under_test> all(5);
  all[0].name = "uring";
  all[0].options.engine.kind = engine_kind::uring;
  all[1].name = "threads";
  all[1].options.engine.kind = engine_kind::threads;
  all[2].name = "sync";
  all[2].options.engine.kind = engine_kind::sync;
  all[3].name = "uring with every opcode on workers";
  all[3].options.engine.kind = engine_kind::uring;
  for (const asyncfs::opcode_info& row : asyncfs::opcode_table)
    if (!row.twin.empty()) all[3].options.engine.run(row.code, asyncfs::runs::on_worker);
  all[4].name = "sim on real files";
  all[4].options = simulation_of_real_files();
  return all;
}

// Without the simulator: for what is about the kernel, threads and real time, or has faults of its own.
inline std::vector<engine_under_test> real_engines() {
  auto engines = all_engines();
  std::erase_if(engines, [](const engine_under_test& one) { return one.name.starts_with("sim"); });
  return engines;
}

inline std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& one : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

// A directory of its own, removed at the end.
class temporary_directory {
 public:
  explicit temporary_directory(const std::string& base = std::filesystem::temp_directory_path().string())
      : path_(base + "/asyncfs-test-XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) throw std::system_error(errno, std::system_category(), path_);
  }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;
  ~temporary_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

struct place {
  asyncfs::loop& home;
  const asyncfs::directory& dir;  // empty at first
  std::string path;               // of dir
  std::string engine;
};

inline void hung(int) {
  static constexpr char words[] = "asyncfs tests: one engine's run took too long; giving up\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, words, sizeof words - 1);
  std::abort();
}

// Why an engine cannot be made here; empty when it can.
inline std::string refusal(const engine_under_test& one) {
  const auto made = asyncfs::make_engine(one.options.engine);
  return made ? std::string() : asyncfs::explain_uring_refusal(made.error());
}

// Runs `test(place&)`, a coroutine that captures nothing, once on each engine. No descriptor may be left at the end.
template <class F>
void on_engines(const std::vector<engine_under_test>& engines, F test, unsigned seconds) {
  for (const engine_under_test& one : engines) {
    DYNAMIC_SECTION(one.name) {
      if (const std::string reason = refusal(one); !reason.empty()) {
        leave_out("the engine '" + one.name + "': " + reason);
        continue;
      }
      std::signal(SIGALRM, hung);
      ::alarm(seconds);
      const std::size_t before = open_descriptors();
      {
        const temporary_directory temporary;
        const asyncfs::directory dir(::open(temporary.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        asyncfs::loop home(one.options);
        place at{home, dir, temporary.path(), one.name};
        asyncfs::run(home, test(at));
        CHECK(home.in_flight() == 0);
      }
      CHECK(open_descriptors() == before);
      ::alarm(0);
    }
  }
}

template <class F>
void on_every_engine(F test, unsigned seconds = 60) {
  on_engines(all_engines(), test, seconds);
}
template <class F>
void on_every_engine_with_threads(F test, unsigned seconds = 60) {
  on_engines(real_engines(), test, seconds);
}

inline std::string where(const std::source_location& at) {
  return std::string(at.file_name()) + ":" + std::to_string(at.line());
}

// The operation fails with exactly this errno value.
template <class Kind>
asyncfs::task<void> fails(asyncfs::operation<Kind> op, int expected,
                          std::source_location at = std::source_location::current()) {
  const auto r = co_await asyncfs::as_result(std::move(op));
  const int got = r ? 0 : r.error().value();
  INFO(where(at) << ": " << asyncfs::describe(Kind::code).name << " gave '" << std::strerror(got) << "', not '"
                 << std::strerror(expected) << "'");
  CHECK(got == expected);
}

// The operation succeeds with this value.
template <class Kind, class T>
asyncfs::task<void> gives(asyncfs::operation<Kind> op, T expected,
                          std::source_location at = std::source_location::current()) {
  const auto r = co_await asyncfs::as_result(std::move(op));
  INFO(where(at) << ": " << asyncfs::describe(Kind::code).name << (r ? "" : " failed: " + r.error().message()));
  CHECK(r.has_value());
  if (r) CHECK(static_cast<T>(*r) == expected);
}

// The operation succeeds.
template <class Kind>
asyncfs::task<void> works(asyncfs::operation<Kind> op, std::source_location at = std::source_location::current()) {
  const auto r = co_await asyncfs::as_result(std::move(op));
  INFO(where(at) << ": " << asyncfs::describe(Kind::code).name << (r ? "" : " failed: " + r.error().message()));
  CHECK(r.has_value());
}

inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

}  // namespace tests
