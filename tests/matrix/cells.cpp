#include "cells.hpp"

#include <sys/wait.h>

#include <cstdio>
#include <map>
#include <set>

namespace matrix {

namespace {

constexpr unsigned longest_run_seconds = 30;

constexpr std::array<const char*, cells> titles = {"success",   "each error", "short",          "cancelled before",
                                                   "in flight", "racing",     "cancelled after"};

// On how many engines each cell was filled; printed when the program ends.
class tally {
 public:
  ~tally() {
    if (counted_.empty()) return;
    std::printf("the matrix: in each cell, the engines on which it was run\n%-44s", "operation");
    for (const char* title : titles) std::printf(" %17s", title);
    std::size_t filled = 0;
    for (const row& one : all_rows()) {
      std::printf("\n%-44s", one.title().c_str());
      for (std::size_t i = 0; i < cells; ++i) {
        const std::size_t engines = counted_[{one.title(), i}].size();
        filled += engines;
        if (engines == 0)
          std::printf(" %17s", "-");
        else
          std::printf(" %17zu", engines);
      }
    }
    std::printf("\n%zu operations, %zu cells filled\n", all_rows().size(), filled);
  }
  void count(const row& what, cell which, const std::string& engine) {
    counted_[{what.title(), static_cast<std::size_t>(which)}].insert(engine);
  }

 private:
  std::map<std::pair<std::string, std::size_t>, std::set<std::string>> counted_;
};

tally& counted() {
  static_cast<void>(all_rows());  // made first, so that it is there when the tally is printed
  static tally all;
  return all;
}

bool left_out(const row& what, cell which, const tests::engine_under_test& engine) {
  if (what.not_cancelled != nullptr && which >= cell::cancelled_before) {
    tests::leave_out(std::string("cancelling ") + what.not_cancelled);
    return true;
  }
  if (!what.needs_kernel || !engine.in_memory()) return false;
  tests::leave_out("files in memory: " + what.title());
  return true;
}

bool has_no_children() { return ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

}  // namespace

const std::vector<row>& all_rows() {
  static const std::vector<row> rows = [] {
    std::vector<row> all;
    for (auto* part : {file_rows, directory_rows, stream_rows, process_rows, waiting_rows})
      for (row& one : part()) all.push_back(std::move(one));
    return all;
  }();
  return rows;
}

namespace {

// One test in a world and a loop of its own. No descriptor and no child may be left.
void run_in_loop(const tests::engine_under_test& engine, const std::string& directory,
                 const asyncfs::engine_faults* faults, const std::function<task<void>(place&)>& test) {
  ::alarm(longest_run_seconds);
  const std::size_t before = tests::open_descriptors();
  {
    tests::world_of world(engine);
    std::string path = directory;
    if (world.memory() != nullptr) world.memory()->files().make_directory(path = "/place");
    const asyncfs::directory dir(world.memory() != nullptr ? world.memory()->open(path, O_RDONLY | O_DIRECTORY)
                                                           : ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    asyncfs::loop_options options = world.options();
    options.engine.faults = faults;
    asyncfs::loop home(options);
    place at{home, dir, path, engine.name, world.memory()};
    asyncfs::run(home, test(at));
    CHECK(home.in_flight() == 0);
    if (world.memory() != nullptr) CHECK(world.memory()->open_descriptors() == 1);
  }
  CHECK(tests::open_descriptors() == before);
  CHECK(has_no_children());
  ::alarm(0);
}

void on_engines(const std::function<void(tests::engine_under_test&)>& adapt,
                const std::function<void(tests::engine_under_test&, const std::string& directory)>& use) {
  std::signal(SIGALRM, tests::hung);
  for (tests::engine_under_test engine : tests::all_engines()) {
    if (const std::string reason = tests::refusal(engine); !reason.empty()) {
      tests::leave_out("the engine '" + engine.name + "': " + reason);
      continue;
    }
    if (adapt) adapt(engine);
    const tests::temporary_directory temporary;
    use(engine, temporary.path());
  }
}

}  // namespace

void for_every_row(cell which, bool (*concerns)(const row&), const std::function<task<void>(place&, const row&)>& test,
                   const std::function<void(tests::engine_under_test&)>& adapt, const asyncfs::engine_faults* faults) {
  on_engines(adapt, [&](tests::engine_under_test& engine, const std::string& directory) {
    std::uint64_t number = 0;
    for (const row& what : all_rows()) {
      ++number;
      if (!concerns(what) || left_out(what, which, engine)) continue;
      INFO(what.title() << " on " << engine.name);
      if (engine.simulated) engine.simulated->seed = number * cells + static_cast<std::uint64_t>(which);
      run_in_loop(engine, directory, faults, [&](place& at) { return test(at, what); });
      counted().count(what, which, engine.name);
    }
  });
}

void for_every_engine(const std::function<task<void>(place&)>& test,
                      const std::function<void(tests::engine_under_test&)>& adapt,
                      const asyncfs::engine_faults* faults) {
  on_engines(adapt, [&](tests::engine_under_test& engine, const std::string& directory) {
    INFO(engine.name);
    run_in_loop(engine, directory, faults, test);
  });
}

task<void> observe(run& one) {
  task<outcome> work = one.what.attempt(one.s);
  const outcome how = co_await std::move(work).in(one.scope);
  ++one.ended;
  one.how = how;
}

task<void> make_ready(subject& s, const row& what) {
  if (what.needs_directory) {
    static std::size_t count = 0;
    const std::string name = "s" + std::to_string(++count);
    co_await s.at.dir.make_directory(name.c_str(), 0700);
    s.dir = co_await s.at.dir.open_directory(name.c_str());
    s.path = s.at.path + "/" + name;
  }
  co_await what.prepare(s);
  if (s.lacks != nullptr) tests::leave_out(s.lacks);
}

task<void> clear_away(subject& s) {
  if (s.incoming) co_await s.incoming->stop();
  if (s.child && !s.child.status()) co_await s.child.kill();
}

task<void> settle(place& at) {
  constexpr int turns = 6;
  for (int i = 0; i < turns; ++i) co_await asyncfs::nop();
  if (at.engine.starts_with("sim")) co_await asyncfs::sleep_for(std::chrono::microseconds(200));
}

void check_success(const row& what, const outcome& how) {
  const bool refused = what.refusal != 0 && how.error == what.refusal;
  if (!refused) CHECK(how.error == 0);
  if (how.error == 0 && what.value >= 0) CHECK(how.value == what.value);
}

task<void> check_effect(subject& s, const row& what, const outcome& how) {
  if (what.happened == nullptr) co_return;
  const bool there = co_await what.happened(s);
  CHECK(there == (how.error == 0));
}

std::size_t open_now(const place& at) {
  return at.memory != nullptr ? at.memory->open_descriptors() : tests::open_descriptors();
}

}  // namespace matrix
