// Memory runs out at every single allocation: of every scenario, and of engines on their own. What cannot go on says so
// with std::bad_alloc, or as an operation that ended with ENOMEM; nothing is left behind, and nothing aborts.
//
// Replaces the global operator new, so it stands alone. Scenarios run in child processes: one that aborts does not hide
// the others. Allocations of worker threads do not fail.
#include <sys/socket.h>

#include <cstdlib>
#include <new>

#include "../support/death.hpp"
#include "../support/scenarios.hpp"

namespace {

// This thread's allocations: how many there were, and which of them fails (0: none).
struct allocation_plan {
  std::size_t made = 0, fails_at = 0;
  bool for_good = false;  // those after it fail as well
  [[nodiscard]] bool refuses() noexcept {
    ++made;
    return fails_at != 0 && (made == fails_at || (for_good && made > fails_at));
  }
};
constinit thread_local allocation_plan plan;

void* allocate(std::size_t bytes) noexcept { return plan.refuses() ? nullptr : std::malloc(bytes == 0 ? 1 : bytes); }
void* allocate_or_throw(std::size_t bytes) {
  if (void* memory = allocate(bytes)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate_or_throw(bytes); }
void* operator new[](std::size_t bytes) { return allocate_or_throw(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

using asyncfs::completion;
using asyncfs::opcode;
using asyncfs::request;
using tests::place;

namespace {

// While it lives, this thread's n-th allocation fails; 0: none, but they are counted.
class memory_runs_out {
 public:
  explicit memory_runs_out(std::size_t at, bool for_good = false) noexcept {
    plan = {.made = 0, .fails_at = at, .for_good = for_good};
  }
  memory_runs_out(const memory_runs_out&) = delete;
  memory_runs_out& operator=(const memory_runs_out&) = delete;
  ~memory_runs_out() { plan.fails_at = 0; }
  [[nodiscard]] static std::size_t made() noexcept { return plan.made; }
};

// ---- scenarios

constexpr std::size_t most_allocations = 5000;  // of one scenario: more means that it does not end

// In a child: whatever is wrong is written to stderr.
void complain(const std::string& what) { std::fprintf(stderr, "%s\n", what.c_str()); }

enum class end : std::uint8_t { succeeded, failed, wrong };

end run_once(const tests::scenario& what, const tests::engine_under_test& engine, std::size_t n) {
  const tests::temporary_directory temporary;
  if (what.prepare != nullptr) what.prepare(temporary.path());
  const asyncfs::directory dir(::open(temporary.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const memory_runs_out from_here(n);
  try {
    asyncfs::loop home(engine.options);
    place at{home, dir, temporary.path(), engine.name};
    std::exception_ptr failed;
    try {
      asyncfs::run(home, what.run(at));
    } catch (...) {
      failed = std::current_exception();
    }
    if (home.in_flight() != 0) return end::wrong;
    if (failed) std::rethrow_exception(failed);
    return end::succeeded;
  } catch (const tests::wrong_outcome&) {
    return end::wrong;
  } catch (const std::exception&) {
    return end::failed;
  }
}

std::string at_work;  // for `died`
std::size_t at_number = 0;
extern "C" void died(int signal) {
  char line[256];
  const int length =
      std::snprintf(line, sizeof line, "%s, allocation %zu: killed by signal %d\n", at_work.c_str(), at_number, signal);
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line, static_cast<std::size_t>(length));
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void fail_every_allocation(const tests::scenario& what, const tests::engine_under_test& engine) {
  at_work = std::string(what.name) + " on " + engine.name;
  for (const int signal : {SIGABRT, SIGALRM, SIGSEGV}) std::signal(signal, died);
  asyncfs::detail::frame_pool::keep_nothing();
  std::size_t reported = 0;
  for (std::size_t n = 1;; ++n) {
    at_number = n;
    if (n == most_allocations) return complain(at_work + ": it does not end");
    const std::size_t before = tests::open_descriptors();
    const end how = run_once(what, engine, n);
    const std::size_t after = tests::open_descriptors();
    if (after != before)
      complain(at_work + ", allocation " + std::to_string(n) + ": descriptors, " + std::to_string(before) +
               " before, " + std::to_string(after) + " after");
    if (how == end::wrong) complain(at_work + ", allocation " + std::to_string(n) + ": lost something");
    reported += how == end::failed;
    if (plan.made < n) {
      if (how != end::succeeded) complain(at_work + ": fails with all the memory there is");
      break;
    }
  }
  if (reported < 3) complain(at_work + ": hardly ever fails");
}

}  // namespace

TEST_CASE("whichever allocation fails, a scenario ends, reports it or does without, and leaves nothing behind") {
  for (const tests::engine_under_test& engine : tests::real_engines()) {
    DYNAMIC_SECTION(engine.name) {
      if (const std::string reason = tests::refusal(engine); !reason.empty()) {
        tests::leave_out("the engine '" + engine.name + "': " + reason);
        continue;
      }
      const char* const only = std::getenv("ASYNCFS_TEST_SCENARIO");  // by name, to look into one
      for (const tests::scenario& what : tests::scenarios()) {
        if (only != nullptr && what.name != only) continue;
        const tests::last_words words = tests::in_a_child([&] { fail_every_allocation(what, engine); });
        INFO(what.name << " on " << engine.name << ": " << words.message);
        CHECK(words.message.empty());
        CHECK(words.signal == 0);
        CHECK(words.status == 0);
      }
    }
  }
}

// ---- engines on their own

namespace {

// Without a macro of the tests': those allocate.
void submit(asyncfs::engine& engine, const request& work) {
  const bool direct = engine.direct(work.code);
  request* const slot = direct ? engine.slot() : nullptr;
  if (slot != nullptr) *slot = work;
  if (direct ? slot == nullptr : !engine.submit(work)) throw std::runtime_error("the engine has no room");
}

std::int32_t do_nothing(void*) noexcept { return 0; }

struct stream_pair {
  stream_pair() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    near = asyncfs::descriptor(ends[0]);
    far = asyncfs::descriptor(ends[1]);
  }
  asyncfs::descriptor near, far;
};

template <class F>
void on_every_bare_engine(F test) {
  for (const tests::engine_under_test& one : tests::real_engines()) {
    DYNAMIC_SECTION(one.name) {
      if (const std::string reason = tests::refusal(one); !reason.empty()) {
        tests::leave_out("the engine '" + one.name + "': " + reason);
        continue;
      }
      std::signal(SIGALRM, tests::hung);
      ::alarm(60);
      auto made = asyncfs::make_engine(one.options.engine);
      made->engine->adopt_thread();
      test(*made->engine);
      ::alarm(0);
    }
  }
}

}  // namespace

TEST_CASE("cancelling, entering and reaping never ask for memory") {
  on_every_bare_engine([](asyncfs::engine& engine) {
    constexpr std::size_t waiting = 2000, jobs = 200, in_place = 200;
    const stream_pair streams;
    std::array<std::byte, 8> buffer;
    struct statx raw{};
    const asyncfs::call_arguments idle{.function = do_nothing, .argument = nullptr};
    std::uint64_t next = 128;
    for (std::size_t i = 0; i < waiting; ++i, next += 64)
      submit(engine, {.code = opcode::recv,
                      .fd = streams.near.fd(),
                      .address = request::pointer(buffer.data()),
                      .length = buffer.size(),
                      .user_data = next});
    for (std::size_t i = 0; i < jobs; ++i, next += 64)
      submit(engine, {.code = opcode::call, .address = request::pointer(&idle), .options = 1, .user_data = next});
    for (std::size_t i = 0; i < in_place; ++i, next += 64)
      submit(engine, {.code = opcode::fstat, .fd = -1, .offset = request::pointer(&raw), .user_data = next});
    std::vector<bool> ended((next - 128) / 64);
    std::array<completion, 7> batch;
    std::size_t count = 0, twice = 0, asked = 0;
    {
      const memory_runs_out for_good(1, true);
      for (std::uint64_t one = 128; one < next; one += 64) engine.cancel(one);
      while (count < ended.size()) {
        const std::size_t got = engine.reap(batch);
        for (std::size_t i = 0; i < got; ++i) {
          twice += ended[(batch[i].user_data - 128) / 64];
          ended[(batch[i].user_data - 128) / 64] = true;
        }
        count += got;
        if (got == 0) engine.enter({.until_completion = true});
      }
      asked = memory_runs_out::made();
    }
    CHECK(asked == 0);
    CHECK(twice == 0);
  });
}

TEST_CASE("a flood of connections to one multishot accept asks for no memory once it is submitted") {
  on_every_bare_engine([](asyncfs::engine& engine) {
    constexpr std::size_t flood = 200;
    const asyncfs::descriptor server(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = *asyncfs::endpoint::unix_path("@asyncfs-memory-" + std::to_string(::getpid()));
    REQUIRE(::bind(server.fd(), address.data(), address.size()) == 0);
    REQUIRE(::listen(server.fd(), flood) == 0);
    submit(engine,
           {.code = opcode::accept, .priority = 1, .fd = server.fd(), .options = SOCK_CLOEXEC, .user_data = 128});
    engine.enter({});
    std::vector<asyncfs::descriptor> clients, served;
    served.reserve(flood);
    for (std::size_t i = 0; i < flood; ++i) {
      clients.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      REQUIRE(::connect(clients.back().fd(), address.data(), address.size()) == 0);
    }
    std::array<completion, 3> batch;
    std::size_t failed = 0, asked = 0;
    {
      const memory_runs_out for_good(1, true);
      while (served.size() + failed < flood) {
        const std::size_t got = engine.reap(batch);
        for (std::size_t i = 0; i < got; ++i) {
          if (batch[i].value >= 0)
            served.emplace_back(batch[i].value);
          else
            ++failed;
        }
        if (got == 0) engine.enter({.until_completion = true});
      }
      asked = memory_runs_out::made();
    }
    CHECK(failed == 0);
    CHECK(asked == 0);
    engine.cancel(128);
    while (engine.reap(batch) == 0) engine.enter({.until_completion = true});
    CHECK(batch[0].value == -ECANCELED);
  });
}

TEST_CASE("a submit that finds no memory has started nothing, and the next one works") {
  for (const opcode code : {opcode::recv, opcode::call, opcode::fstat, opcode::readlinkat})
    for (const tests::engine_under_test& one : tests::real_engines()) {
      DYNAMIC_SECTION(asyncfs::describe(code).name << " on " << one.name) {
        if (!tests::refusal(one).empty()) continue;
        std::signal(SIGALRM, tests::hung);
        ::alarm(60);
        for (std::size_t n = 1;; ++n) {
          INFO("allocation " << n);
          const stream_pair streams;
          std::array<std::byte, 8> buffer{};
          struct statx raw{};
          const asyncfs::call_arguments idle{.function = do_nothing, .argument = nullptr};
          request work{.code = code, .fd = streams.near.fd(), .user_data = 128};
          work.address = code == opcode::call         ? request::pointer(&idle)
                         : code == opcode::readlinkat ? request::pointer("/proc/self/exe")
                                                      : request::pointer(buffer.data());
          work.offset = code == opcode::readlinkat ? request::pointer(buffer.data()) : request::pointer(&raw);
          work.length = buffer.size();
          auto made = asyncfs::make_engine(one.options.engine);
          asyncfs::engine& engine = *made->engine;
          engine.adopt_thread();
          bool refused = false;
          {
            const memory_runs_out here(n);
            try {
              submit(engine, work);
            } catch (const std::bad_alloc&) {
              refused = true;
            }
          }
          const bool all_there = plan.made < n;
          std::array<completion, 4> batch;
          if (refused) {
            engine.enter({});
            CHECK(engine.reap(batch) == 0);
            submit(engine, work);
          }
          REQUIRE(::send(streams.far.fd(), "x", 1, 0) == 1);
          std::size_t got = 0;
          while ((got = engine.reap(batch)) == 0) engine.enter({.until_completion = true});
          CHECK(got == 1);
          CHECK(batch[0].user_data == 128);
          if (all_there) {
            CHECK_FALSE(refused);
            break;
          }
        }
        ::alarm(0);
      }
    }
}
