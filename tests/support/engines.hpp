// Every engine, and a fresh place in the file system for each: how one test proves the same thing of all of them.
#pragma once

#include <asyncfs/asyncfs.hpp>
#include <asyncfs/testing/simulation.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
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
  // A world of its own for each test; the options are then the world's.
  std::optional<asyncfs::testing::simulation_options> simulated{};
  [[nodiscard]] bool in_memory() const noexcept {
    return simulated && simulated->files == asyncfs::testing::simulation_options::files_kind::memory;
  }
};

// uring, threads, sync, and uring with all that can be done without the ring done without it.
inline std::vector<engine_under_test> real_engines() {
  using asyncfs::engine_kind;
  std::vector<engine_under_test> all(4);
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
  return all;
}

// Those and the simulator, which completes in any order and as late as it likes, on real files and on files in memory.
inline std::vector<engine_under_test> all_engines() {
  using kind = asyncfs::testing::simulation_options::files_kind;
  constexpr auto latency = std::chrono::microseconds(20);  // little, against the times that tests sleep
  std::vector<engine_under_test> all = real_engines();
  all.resize(all.size() + 2);
  all[4].name = "sim on real files";
  all[4].simulated = {.files = kind::real, .latency = latency};
  all[5].name = "sim on memory files";
  all[5].simulated = {.files = kind::memory, .latency = latency};
  return all;
}

// What an engine runs in: a simulated world, or none.
class world_of {
 public:
  explicit world_of(const engine_under_test& one) : options_(one.options), in_memory_(one.in_memory()) {
    if (!one.simulated) return;
    world_.emplace(*one.simulated);
    options_ = world_->options();
  }
  [[nodiscard]] const asyncfs::loop_options& options() const noexcept { return options_; }
  // Null unless the files are in memory.
  [[nodiscard]] asyncfs::testing::simulation* memory() noexcept { return in_memory_ ? &*world_ : nullptr; }
  [[nodiscard]] bool simulated() const noexcept { return world_.has_value(); }

 private:
  asyncfs::loop_options options_;
  bool in_memory_;
  std::optional<asyncfs::testing::simulation> world_;
};

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
  asyncfs::testing::simulation* memory = nullptr;  // of files in memory

  // True, and counted, where files in memory cannot do what the test is about.
  [[nodiscard]] bool left_out_in_memory(const char* what) const {
    if (memory != nullptr) leave_out(std::string("files in memory: ") + what);
    return memory != nullptr;
  }
  // Whether the descriptor is one of a real kernel.
  [[nodiscard]] bool is_real() const noexcept { return memory == nullptr; }

  struct two_ends {
    int first, second;
  };
  // What is read, and what is written.
  [[nodiscard]] two_ends make_pipe(std::size_t capacity = 0) const {
    if (memory != nullptr) {
      const auto both = capacity == 0 ? memory->make_pipe() : memory->make_pipe(capacity);
      return {both[0], both[1]};
    }
    int both[2];
    if (::pipe2(both, O_CLOEXEC) != 0) throw std::system_error(errno, std::system_category(), "pipe2");
    if (capacity != 0) ::fcntl(both[1], F_SETPIPE_SZ, static_cast<int>(capacity));
    return {both[0], both[1]};
  }
  [[nodiscard]] two_ends make_socket_pair() const {
    if (memory != nullptr) {
      const auto both = memory->make_socket_pair();
      return {both[0], both[1]};
    }
    int both[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both) != 0)
      throw std::system_error(errno, std::system_category(), "socketpair");
    return {both[0], both[1]};
  }
  // Opens what lies in the directory, without a loop.
  [[nodiscard]] int open_again(const std::string& name, int flags) const {
    if (memory != nullptr) return memory->open(path + "/" + name, flags);
    return ::open((path + "/" + name).c_str(), flags | O_CLOEXEC);
  }
  // A descriptor number that is not open.
  [[nodiscard]] int closed_number() const {
    const int fd = open_again(".", O_RDONLY);
    const asyncfs::descriptor closes(fd);
    return fd;
  }
};

inline void hung(int) {
  static constexpr char words[] = "asyncfs tests: one engine's run took too long; giving up\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, words, sizeof words - 1);
  std::abort();
}

// Why an engine cannot be made here; empty when it can.
inline std::string refusal(const engine_under_test& one) {
  if (one.simulated) return {};
  const auto made = asyncfs::make_engine(one.options.engine);
  return made ? std::string() : asyncfs::explain_uring_refusal(made.error());
}

// Runs `test(place&)`, a coroutine that captures nothing, once on each engine. No descriptor may be left at the end.
template <class F>
void on_every_engine(F test, unsigned seconds = 60, const std::vector<engine_under_test>& engines = all_engines()) {
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
        world_of world(one);
        const temporary_directory temporary;
        std::string path = temporary.path();
        if (world.memory() != nullptr) world.memory()->files().make_directory(path = "/place");
        {
          const asyncfs::directory dir(world.memory() != nullptr
                                           ? world.memory()->open(path, O_RDONLY | O_DIRECTORY)
                                           : ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
          asyncfs::loop home(world.options());
          place at{home, dir, path, one.name, world.memory()};
          asyncfs::run(home, test(at));
          CHECK(home.in_flight() == 0);
        }
        if (world.memory() != nullptr) CHECK(world.memory()->left_open() == std::vector<std::string>());
      }
      CHECK(open_descriptors() == before);
      ::alarm(0);
    }
  }
}

// The same on those whose descriptors are the kernel's: for what looks at them by system calls of its own.
template <class F>
void on_every_kernel_engine(F test, unsigned seconds = 60) {
  auto engines = all_engines();
  std::erase_if(engines, [](const engine_under_test& one) { return one.in_memory(); });
  on_every_engine(test, seconds, engines);
}
// The same on those that use threads, for tests that need them.
template <class F>
void on_every_real_engine(F test, unsigned seconds = 60) {
  on_every_engine(test, seconds, real_engines());
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
