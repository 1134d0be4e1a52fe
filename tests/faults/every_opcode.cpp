// Every operation fails as its caller was promised: with the system's error, whichever way it is waited for, on every
// engine, on the real ring, and with opcodes that the kernel refuses or lacks.
#include <asyncfs/testing/ring_faults.hpp>

#include <filesystem>
#include <fstream>
#include <functional>
#include <regex>
#include <set>

#include "public_operations.hpp"

using asyncfs::opcode;
using asyncfs::task;
using asyncfs::testing::ring_faults;
using tests::place;

namespace {

// Errors that any system call may give, and those that only some may.
std::vector<int> errors_of(opcode code) {
  std::vector<int> errors{EIO, ENOMEM, EBADF, EACCES};
  switch (code) {
    case opcode::write:
    case opcode::writev:
    case opcode::fallocate:
    case opcode::create:
    case opcode::mkdirat:
    case opcode::mknodat:
    case opcode::symlinkat:
    case opcode::linkat:
    case opcode::renameat:
    case opcode::fsetxattr:
    case opcode::fsync:
    case opcode::close:
    case opcode::copy_file_range:
      errors.push_back(ENOSPC);
      errors.push_back(EDQUOT);
      break;
    default: break;
  }
  switch (code) {
    case opcode::read:
    case opcode::write:
    case opcode::readv:
    case opcode::writev:
    case opcode::openat:
    case opcode::openat2:
    case opcode::create:
    case opcode::close:
    case opcode::fsync:
    case opcode::accept:
    case opcode::connect:
    case opcode::send:
    case opcode::recv:
    case opcode::fallocate:
    case opcode::ftruncate: errors.push_back(EINTR); break;
    default: break;
  }
  return errors;
}

enum class way { awaited, as_result, callback };

// How an operation ended that was waited for in one of the ways.
struct ending {
  int error = 0;
  std::string words;  // of what was thrown
};

template <class Make>
task<void> wait_for(Make make, way how, asyncfs::loop& home, ending& told) {
  if (how == way::awaited) {
    try {
      static_cast<void>(co_await make());
    } catch (const std::system_error& e) {
      told.error = e.code().value();
      told.words = e.what();
    }
  } else if (how == way::as_result) {
    const auto r = co_await asyncfs::as_result(make());
    told.error = r ? 0 : r.error().value();
  } else {
    asyncfs::event called;
    asyncfs::start(home, make(), [&called, &told](auto result) {
      told.error = result ? 0 : result.error().value();
      called.set();
    });
    co_await called.wait();
    CHECK(home.in_flight() == 0);
  }
}

// Awaits, awaits as a result, and starts with a callback: each gets the error that the operation was failed with.
struct fails_every_way {
  using any_wait = std::function<task<void>(way, ending&)>;
  place& at;
  ring_faults& faults;
  std::set<opcode>& covered;

  template <class Make>
  task<void> operator()(Make make) {
    using operation = std::invoke_result_t<Make&>;
    covered.insert(operation::kind_type::code);
    return run(faults, operation::kind_type::code,
               [make, this](way how, ending& told) { return wait_for(make, how, at.home, told); });
  }

  static task<void> run(ring_faults& faults, opcode code, any_wait wait) {
    const std::string name(asyncfs::describe(code).name);
    for (const int injected : errors_of(code)) {
      INFO(name << ", " << std::strerror(injected));
      // What was interrupted is asked for again, where that can do no harm; then another error shows.
      const bool again = injected == EINTR && code != opcode::close && code != opcode::connect;
      const int error = again ? EIO : injected;
      for (const way how : {way::awaited, way::as_result, way::callback}) {
        faults.clear();
        faults.fail(1, code, injected);
        if (again) faults.fail(2, code, EIO);
        ending told;
        co_await wait(how, told);
        CHECK(told.error == error);
        if (how == way::awaited) CHECK_THAT(told.words, Catch::StartsWith(name));
      }
      faults.clear();
    }
  }
};

// Runs one opcode's operations and keeps how they ended.
struct outcomes_of {
  opcode wanted;
  std::vector<int>& errors;

  template <class Make>
  task<void> operator()(Make make) {
    using operation = std::invoke_result_t<Make&>;
    return run<typename operation::kind_type>(wanted, errors, make);
  }
  template <class Kind, class Make>
  static task<void> run(opcode wanted, std::vector<int>& errors, Make make) {
    if (Kind::code != wanted) co_return;
    const auto r = co_await asyncfs::as_result(make());
    errors.push_back(r ? 0 : r.error().value());
  }
};

struct codes_of {
  std::set<opcode>& codes;
  template <class Make>
  task<void> operator()(Make) {
    codes.insert(std::invoke_result_t<Make&>::kind_type::code);
    co_return;
  }
};

// Runs visit_public_operations in a fresh place. False: the engine cannot be made.
template <class Visitor>
int with_operations(const asyncfs::loop_options& options, Visitor visit) {
  if (const auto made = asyncfs::make_engine(options.engine); !made) return made.error().value();
  const tests::temporary_directory temporary;
  const asyncfs::directory dir(::open(temporary.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  asyncfs::loop home(options);
  place at{home, dir, temporary.path(), "uring"};
  asyncfs::run(home, tests::visit_public_operations(at, visit));
  return 0;
}

std::set<opcode> public_opcodes() {
  std::set<opcode> codes;
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::sync;
  with_operations(options, codes_of{codes});
  return codes;
}

asyncfs::loop_options on_the_ring(const ring_faults& faults) {
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::uring;
  return faults.on(options);
}

bool ring_works() {
  const auto made = asyncfs::make_engine({.kind = asyncfs::engine_kind::uring});
  if (!made) tests::leave_out("the engine 'uring': " + asyncfs::explain_uring_refusal(made.error()));
  return made.has_value();
}

}  // namespace

TEST_CASE("every operation fails with the system's error: thrown with its name, as a result, and to a callback") {
  for (const tests::engine_under_test& one : tests::real_engines()) {
    DYNAMIC_SECTION(one.name) {
      if (const std::string reason = tests::refusal(one); !reason.empty()) {
        tests::leave_out("the engine '" + one.name + "': " + reason);
        continue;
      }
      std::signal(SIGALRM, tests::hung);
      ::alarm(60);
      const std::size_t before = tests::open_descriptors();
      {
        ring_faults faults;
        const tests::temporary_directory temporary;
        const asyncfs::directory dir(::open(temporary.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        asyncfs::loop home(faults.on(one.options));
        place at{home, dir, temporary.path(), one.name};
        std::set<opcode> covered;
        asyncfs::run(home, tests::visit_public_operations(at, fails_every_way{at, faults, covered}));
        CHECK(home.in_flight() == 0);
        CHECK(faults.struck() == faults.submitted());
        CHECK(covered == public_opcodes());
      }
      CHECK(tests::open_descriptors() == before);
      ::alarm(0);
    }
  }
}

TEST_CASE("every opcode that a public header names is among the operations that are failed here") {
  std::set<std::string> tried{"call"};  // offload: a task, among the scenarios
  for (const opcode code : public_opcodes()) tried.insert(std::string(asyncfs::describe(code).name));
  const std::set<std::string> no_operations{
      "timeout",  // timers are the loop's own: no engine sees them
  };
  std::size_t headers = 0;
  for (const auto& entry : std::filesystem::directory_iterator(ASYNCFS_HEADERS)) {
    const std::string name = entry.path().filename();
    if (!entry.is_regular_file() || name == "opcode.hpp" || name == "request.hpp" || name == "engine.hpp") continue;
    ++headers;
    std::ifstream in(entry.path());
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    const std::regex mention("\\bopcode::([a-z_0-9]+)");
    for (std::sregex_iterator m(text.begin(), text.end(), mention), end; m != end; ++m) {
      INFO(name << " names opcode::" << (*m)[1].str() << ": add its operation to faults/public_operations.hpp");
      CHECK((tried.contains((*m)[1].str()) || no_operations.contains((*m)[1].str())));
    }
  }
  CHECK(headers > 10);
}

TEST_CASE("a value may be injected too: a short transfer is what the caller sees") {
  tests::on_every_real_engine([](place& outer) -> task<void> {
    ring_faults faults;
    asyncfs::loop_options options;
    options.engine.kind = outer.engine == "threads" ? asyncfs::engine_kind::threads
                          : outer.engine == "sync"  ? asyncfs::engine_kind::sync
                                                    : asyncfs::engine_kind::uring;
    const std::string name = outer.path + "/file";
    co_await asyncfs::write_file(outer.dir, "file", "0123456789");
    asyncfs::loop home(faults.on(options));
    faults.answer(1, opcode::read, 3);
    const auto read = [](const std::string& path) -> task<std::size_t> {
      const asyncfs::file f = co_await asyncfs::here().open(path.c_str());
      std::array<std::byte, 16> buffer;
      co_return co_await f.read_at(buffer, 0);
    };
    // Another loop cannot run inside a task, so on another thread.
    std::size_t got = 0;
    std::thread([&] { got = asyncfs::run(home, read(name)); }).join();
    CHECK(got == 3);
    CHECK(faults.struck() == 1);
    CHECK(faults.submitted(opcode::read) == 1);
    CHECK(faults.submitted(opcode::openat) == 1);
  });
}

TEST_CASE("an injected failure takes the kernel's own way, where the kernel can") {
  if (!ring_works()) return;
  ring_faults faults;
  auto made = asyncfs::make_engine(on_the_ring(faults).engine);
  made->engine->adopt_thread();
  asyncfs::engine& engine = *made->engine;
  CHECK_FALSE(engine.direct(opcode::read));
  faults.fail(1, opcode::read, ENOTRECOVERABLE);
  REQUIRE(engine.submit({.code = opcode::read, .fd = -1, .user_data = 64}));
  std::array<asyncfs::completion, 4> batch;
  if (engine.has_finished_work()) {
    tests::leave_out("injection through the kernel: its no-op takes no result (Linux 6.10 is needed)");
  } else {
    engine.enter({.until_completion = true});
  }
  REQUIRE(engine.reap(batch) == 1);
  CHECK(batch[0].user_data == 64);
  CHECK(batch[0].value == -ENOTRECOVERABLE);
}

TEST_CASE("an opcode that the ring refuses ends with the kernel's EACCES") {
  if (!ring_works()) return;
  const auto plain = asyncfs::make_engine({.kind = asyncfs::engine_kind::uring});
  std::size_t tried = 0;
  for (const opcode code : public_opcodes()) {
    if (plain->engine->where(code) != asyncfs::runs::in_ring) continue;
    INFO(asyncfs::describe(code).name);
    ring_faults faults;
    faults.only_denials().deny(code);
    std::vector<int> errors;
    REQUIRE(with_operations(on_the_ring(faults), outcomes_of{code, errors}) == 0);
    CHECK_FALSE(errors.empty());
    for (const int error : errors) CHECK(error == EACCES);
    ++tried;
  }
  CHECK(tried > 10);
}

TEST_CASE("an opcode that the kernel lacks is done without, to the same end, or the ring is not taken at all") {
  if (!ring_works()) return;
  const auto plain = asyncfs::make_engine({.kind = asyncfs::engine_kind::uring});
  std::size_t done_without = 0, essential = 0;
  for (const opcode code : public_opcodes()) {
    INFO(asyncfs::describe(code).name);
    std::vector<int> expected, errors;
    asyncfs::loop_options ring;
    ring.engine.kind = asyncfs::engine_kind::uring;
    REQUIRE(with_operations(ring, outcomes_of{code, expected}) == 0);
    ring_faults faults;
    faults.only_denials().lack(code);
    const int refused = with_operations(on_the_ring(faults), outcomes_of{code, errors});
    if (refused == 0) {
      CHECK(errors == expected);
      const auto lacking = asyncfs::make_engine(on_the_ring(faults).engine);
      CHECK(lacking->engine->where(code) != asyncfs::runs::in_ring);
      ++done_without;
      continue;
    }
    CHECK(refused == EOPNOTSUPP);
    ++essential;
    const auto fallen_back = asyncfs::make_engine(faults.on(asyncfs::engine_options()));
    REQUIRE(fallen_back.has_value());
    CHECK(fallen_back->engine->name() == "threads");
    CHECK_THAT(fallen_back->reason, Catch::StartsWith("no io_uring: "));
  }
  CHECK(done_without > 10);
  CHECK(essential > 5);
}
