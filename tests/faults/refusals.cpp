// A kernel that refuses io_uring, or threads. Each in a child process, since there is no way back; the parent starts no
// thread, so that none is missing in the child.
#include <asyncfs/asyncfs.hpp>

#include <sys/syscall.h>

#include "../catch.hpp"
#include "../support/death.hpp"
#include "../support/left_out.hpp"
#include "../support/seccomp.hpp"

using asyncfs::engine_kind;
using asyncfs::task;

namespace {

constexpr int no_filters_here = 77;

// What a child finds wrong; the parent shows it.
void expect(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "expected: %s\n", what.c_str());
  ::_exit(1);
}

template <class F>
void in_a_child_without(std::initializer_list<long> calls, int error, F fn) {
  const tests::last_words words = tests::in_a_child([&] {
    if (!tests::refuse_system_calls(calls, error)) ::_exit(no_filters_here);
    fn();
  });
  if (words.status == no_filters_here) return tests::leave_out("refusals: this kernel has no seccomp filters");
  INFO(words.message);
  CHECK(words.signal == 0);
  CHECK(words.status == 0);
}

}  // namespace

TEST_CASE("where io_uring is refused the threads engine is chosen, and the reason says why") {
  const auto [error, word] = GENERATE(std::pair{EPERM, "forbid"}, std::pair{ENOSYS, "has no io_uring"});
  in_a_child_without({SYS_io_uring_setup}, error, [word = std::string(word), error = error] {
    const auto chosen = asyncfs::make_engine();
    expect(chosen.has_value(), "some engine");
    expect(chosen->engine->name() == "threads", "the threads engine");
    const bool disabled = chosen->reason.find("io_uring_disabled") != std::string::npos;
    expect(chosen->reason.find(word) != std::string::npos || (error == EPERM && disabled),
           "'" + word + "' in '" + chosen->reason + "'");
    asyncfs::run([]() -> task<void> {
      const std::string self = co_await asyncfs::read_file("/proc/self/comm");
      expect(!self.empty(), "a file that was read");
    }());
  });
}

TEST_CASE("where io_uring is refused and asked for by name, the failure names the cause") {
  const auto [error, word] = GENERATE(std::pair{EPERM, "io_uring"}, std::pair{ENOSYS, "this kernel has no io_uring"});
  in_a_child_without({SYS_io_uring_setup}, error, [word = std::string(word), error = error] {
    const auto refused = asyncfs::make_engine({.kind = engine_kind::uring});
    expect(!refused.has_value(), "no engine");
    expect(refused.error().value() == error, "the kernel's error");
    asyncfs::loop_options options;
    options.engine.kind = engine_kind::uring;
    try {
      const asyncfs::loop home(options);
      expect(false, "an exception");
    } catch (const std::system_error& e) {
      expect(e.code().value() == error, "the kernel's error in the exception");
      expect(std::string_view(e.what()).find(word) != std::string_view::npos, "'" + word + "' in '" + e.what() + "'");
    }
  });
}

TEST_CASE("where no descriptor is left, every engine is refused with that error, and works later") {
  const auto kind = GENERATE(engine_kind::uring, engine_kind::threads, engine_kind::sync);
  const tests::last_words words = tests::in_a_child([kind] {
    if (kind == engine_kind::uring && !asyncfs::make_engine({.kind = kind})) ::_exit(0);
    std::vector<int> taken;
    for (int fd; (fd = ::dup(STDERR_FILENO)) >= 0;) taken.push_back(fd);
    const std::size_t most_needed = 4;
    for (std::size_t left = 0; left < most_needed; ++left) {
      int refused_with = 0;
      try {
        const auto made = asyncfs::make_engine({.kind = kind});
        if (!made) refused_with = made.error().value();
      } catch (const std::system_error& e) {
        refused_with = e.code().value();
      }
      if (refused_with == 0) {
        expect(left > 0, "a refusal without any descriptor");
        ::_exit(0);
      }
      expect(refused_with == EMFILE, "EMFILE, not " + std::to_string(refused_with));
      // What the attempt had opened is closed again: as many are free as before.
      for (std::size_t i = 0; i < left; ++i) {
        const int again = ::dup(STDERR_FILENO);
        expect(again >= 0, "no descriptor lost");
        taken.push_back(again);
      }
      expect(::dup(STDERR_FILENO) < 0, "no descriptor too many");
      for (std::size_t i = 0; i <= left; ++i) {
        ::close(taken.back());
        taken.pop_back();
      }
    }
    expect(false, "an engine with a few descriptors");
  });
  INFO(words.message);
  CHECK(words.signal == 0);
  CHECK(words.status == 0);
}

TEST_CASE("where no thread can be started, work for workers is done all the same, and may ask for more") {
  in_a_child_without({SYS_clone, SYS_clone3}, EAGAIN, [] {
    asyncfs::loop_options options;
    options.engine.kind = engine_kind::threads;
    const int value = asyncfs::run(
        [](asyncfs::loop_options inner) -> task<int> {
          // The function runs a loop of its own, which needs workers too.
          co_return co_await asyncfs::offload([inner] {
            return asyncfs::run([]() -> task<int> { co_return co_await asyncfs::offload([] { return 42; }); }(), inner);
          });
        }(options),
        options);
    expect(value == 42, "42");
    asyncfs::run(
        []() -> task<void> {
          const auto status = co_await asyncfs::here().status(".");
          expect(status.is_directory(), "a status from the blocking pool");
        }(),
        options);
  });
}
