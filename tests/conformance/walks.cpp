#include <asyncfs/asyncfs.hpp>

#include <dirent.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "../catch.hpp"
#include "walking.hpp"

using asyncfs::task;
using asyncfs::walk_order;
using tests::left_out;
using tests::paths_of;
using tests::walk_all;

namespace {

// Directories within directories, and names whose order depends on what a slash counts as. Returns all files.
std::vector<std::string> make_tree(const std::string& root) {
  std::vector<std::string> files;
  const auto file = [&](const std::string& name) {
    const std::string path = root + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << name;
    files.push_back(path);
  };
  for (const char* name : {"a", "perf/x", "perf-sec.rst", "perf0", "perf/deep/er/and/deeper/file", "b\nc",
                           "in\xffvalid", ".hidden", "zz/1", "zz/2", "zz/1a/b"})
    file(name);
  for (int i = 0; i < 500; ++i) file("many/" + std::to_string(i % 7) + "/" + std::to_string(i));
  for (int i = 0; i < 3000; ++i) file("wide/a-rather-long-name-to-fill-the-buffer-with-" + std::to_string(i));
  std::filesystem::create_directories(root + "/empty/inside");
  return files;
}

}  // namespace

TEST_CASE("a walk finds every file once, whatever the order, the engine and the number of loops") {
  const tests::temporary_directory at;
  std::vector<std::string> files = make_tree(at.path());
  std::ranges::sort(files);
  for (const tests::engine_under_test& engine : tests::all_engines())
    for (const walk_order order : {walk_order::none, walk_order::bytes, walk_order::components})
      for (const std::size_t loops : {1u, 3u}) {
        INFO(engine.name << ", " << loops << " loops");
        tests::world_of world(engine);
        if (left_out(engine, loops)) continue;
        const auto found = walk_all({{.path = at.path()}}, {.order = order}, loops, world.options());
        std::vector<std::string> paths = paths_of(found);
        std::ranges::sort(paths);
        CHECK(paths == files);
        for (std::size_t i = 0; i < found.size(); ++i) REQUIRE(found[i].sequence == i);
      }
}

TEST_CASE("an ordered walk gives the order of sorted whole paths, or of sorted names") {
  const tests::temporary_directory at;
  const std::vector<std::string> files = make_tree(at.path());
  for (const tests::engine_under_test& engine : tests::all_engines()) {
    INFO(engine.name);
    tests::world_of world(engine);
    if (left_out(engine, 1)) continue;
    const std::size_t loops = world.simulated() ? 1 : 2;
    auto by_bytes = files;
    std::ranges::sort(by_bytes);
    CHECK(paths_of(walk_all({{.path = at.path()}}, {.order = walk_order::bytes}, loops, world.options())) == by_bytes);
    auto by_names = files;
    std::ranges::sort(by_names, [](const std::string& a, const std::string& b) {
      return std::ranges::lexicographical_compare(a, b, [](char x, char y) {
        const auto rank = [](char c) { return c == '/' ? -1 : static_cast<int>(static_cast<unsigned char>(c)); };
        return rank(x) < rank(y);
      });
    });
    CHECK(paths_of(walk_all({{.path = at.path()}}, {.order = walk_order::components}, loops, world.options())) ==
          by_names);
    // The same with hardly any room: the order may not depend on the limits.
    CHECK(paths_of(walk_all(
              {{.path = at.path()}},
              {.order = walk_order::bytes, .most_ready = 2, .most_listed = 2, .most_open = 1, .most_listings = 1},
              loops, world.options())) == by_bytes);
  }
}

TEST_CASE("roots are walked in the order given, and may be files, links, missing, or written with a slash") {
  const tests::temporary_directory at;
  std::ofstream(at.path() + "/file") << "x";
  std::filesystem::create_directories(at.path() + "/dir");
  std::ofstream(at.path() + "/dir/inside") << "x";
  std::filesystem::create_directory_symlink("dir", at.path() + "/link");
  const std::string root = at.path() + "/";
  const auto found = walk_all({{.path = root + "link"},
                               {.path = root + "gone"},
                               {.path = root + "file"},
                               {.path = root + "dir/"},
                               {.path = root + "link", .follow = false}},
                              {.order = walk_order::bytes}, 1, {});
  CHECK(paths_of(found) == std::vector<std::string>{root + "link/inside", root + "gone", root + "file",
                                                    root + "dir/inside", root + "link"});
}

TEST_CASE("a directory that cannot be listed is an entry with its error, and the walk goes on") {
  const tests::temporary_directory at;
  std::filesystem::create_directories(at.path() + "/a");
  std::ofstream(at.path() + "/a/file") << "x";
  const auto refuse = [](asyncfs::walk_directory&, const asyncfs::directory&) -> task<bool> { co_return true; };
  // Given as a directory, but none by the time it is listed.
  for (const walk_order order : {walk_order::none, walk_order::bytes}) {
    const auto found = walk_all({{.path = at.path() + "/a/file", .type = DT_DIR}, {.path = at.path() + "/a"}},
                                {.order = order, .enter = refuse}, 1, {});
    REQUIRE(found.size() == 2);
    const bool first = found[0].error.value() != 0;
    CHECK(found[first ? 0 : 1].error.value() == ENOTDIR);
    CHECK(found[first ? 0 : 1].path == at.path() + "/a/file");
    CHECK(found[first ? 1 : 0].path == at.path() + "/a/file");
  }
}

TEST_CASE("a directory that enter declines is left out with all below it, and each is entered once") {
  const tests::temporary_directory at;
  make_tree(at.path());
  std::mutex mutex;
  std::vector<std::string> entered;
  const auto choose = [&](asyncfs::walk_directory& directory, const asyncfs::directory&) -> task<bool> {
    const std::lock_guard lock(mutex);
    entered.push_back(directory.path());
    co_return std::string_view(directory.name()) != "perf" && std::string_view(directory.name()) != "wide";
  };
  for (const walk_order order : {walk_order::none, walk_order::bytes}) {
    entered.clear();
    const auto paths = paths_of(walk_all({{.path = at.path()}}, {.order = order, .enter = choose}, 2, {}));
    CHECK(paths.size() == 500 + 9);
    CHECK(
        std::ranges::none_of(paths, [](const std::string& path) { return path.find("/perf/") != std::string::npos; }));
    std::ranges::sort(entered);
    CHECK(std::ranges::adjacent_find(entered) == entered.end());
    CHECK(entered.size() ==
          1 + 1 + 1 + 2 + 2 + 8);  // the root, perf, wide, zz and 1a, empty and inside, many and its seven
  }
}

TEST_CASE("a stopped walk gives nothing more, and everybody who waits returns") {
  const tests::temporary_directory at;
  make_tree(at.path());
  for (const walk_order order : {walk_order::none, walk_order::bytes}) {
    asyncfs::walk tree({{.path = at.path()}}, {.order = order});
    std::size_t taken = 0;
    const auto take = [](asyncfs::walk& from, std::size_t& count) -> task<void> {
      for (;;) {
        const auto entry = co_await from.next();
        if (!entry) co_return;
        if (++count == 10) from.stop();
      }
    };
    const auto both = [&](asyncfs::walk& from, std::size_t& count) -> task<void> {
      std::vector<task<void>> hands;
      hands.push_back(from.drive());
      for (int i = 0; i < 3; ++i) hands.push_back(take(from, count));
      co_await asyncfs::when_all(std::move(hands));
    };
    asyncfs::run(both(tree, taken));
    CHECK(taken >= 10);
    CHECK(taken <= 12);  // each of the two others may have been handed one already
  }
}

TEST_CASE("a stopped walk lets go of what was hung on its directories, also on those that were not listed yet") {
  const tests::temporary_directory at;
  make_tree(at.path());
  for (const walk_order order : {walk_order::none, walk_order::bytes}) {
    const auto hung = std::make_shared<int>(0);
    const auto hang = [&hung](asyncfs::walk_directory& directory, const asyncfs::directory&) -> task<bool> {
      directory.user = hung;
      co_return true;
    };
    asyncfs::walk tree({{.path = at.path()}}, {.order = order, .enter = hang});
    const auto take_and_stop = [](asyncfs::walk& from) -> task<void> {
      for (int i = 0; i < 5; ++i) {
        const auto entry = co_await from.next();
        CHECK(entry.has_value());
      }
      from.stop();
    };
    const auto all = [&](asyncfs::walk& from) -> task<void> {
      std::vector<task<void>> hands;
      for (int i = 0; i < 3; ++i) hands.push_back(from.drive());
      hands.push_back(take_and_stop(from));
      co_await asyncfs::when_all(std::move(hands));
    };
    asyncfs::run(all(tree));
    CHECK(hung.use_count() == 1);
  }
}

TEST_CASE("an event count wakes tasks of every loop, and misses no change") {
  asyncfs::event_count changed;
  std::atomic<int> turn{0};
  constexpr int rounds = 2000;
  asyncfs::run_on(3, [&](std::size_t me) {
    const auto play = [](asyncfs::event_count& change, std::atomic<int>& whose, int mine) -> task<void> {
      for (int round = 0; round < rounds; ++round) {
        for (;;) {
          const auto seen = change.now();
          if (whose.load() == round * 3 + mine) break;
          co_await change.after(seen);
        }
        whose.fetch_add(1);
        change.notify();
      }
    };
    return play(changed, turn, static_cast<int>(me));
  });
  CHECK(turn.load() == rounds * 3);
}

namespace {

struct broken_walk {
  std::error_code driver, other_driver;
  std::vector<std::error_code> takers = std::vector<std::error_code>(3);
  std::size_t taken = 0, errors = 0;
};

template <class A>
task<void> note_error(A what, std::error_code& error) {
  try {
    co_await std::move(what);
  } catch (const std::system_error& e) {
    error = e.code();
  }
}

}  // namespace

TEST_CASE("a walk whose driver is cancelled is broken off for all: nobody takes a part for the whole") {
  const tests::temporary_directory at;
  make_tree(at.path());
  for (const walk_order order : {walk_order::none, walk_order::bytes}) {
    broken_walk seen;
    asyncfs::walk tree({{.path = at.path()}}, {.order = order});
    const auto take = [](asyncfs::walk& from, broken_walk& all) -> task<void> {
      for (;;) {
        const auto entry = co_await from.next();
        if (!entry) co_return;
        ++all.taken;
        if (entry->error) ++all.errors;
      }
    };
    const auto all_of_it = [&](asyncfs::walk& from, broken_walk& all) -> task<void> {
      const asyncfs::task_context here = co_await asyncfs::this_task;
      asyncfs::cancel_scope cancelled(&here.scope);
      cancelled.cancel();
      const auto drive_in = [](asyncfs::walk& w, asyncfs::cancel_scope& scope) -> task<void> {
        co_await w.drive().in(scope);
      };
      std::vector<task<void>> hands;
      for (auto& error : all.takers) hands.push_back(note_error(take(from, all), error));
      hands.push_back(note_error(drive_in(from, cancelled), all.driver));
      hands.push_back(note_error(from.drive(), all.other_driver));
      co_await asyncfs::when_all(std::move(hands));
    };
    asyncfs::run(all_of_it(tree, seen));
    CHECK(asyncfs::is_cancelled(seen.driver));
    CHECK(asyncfs::is_cancelled(seen.other_driver));
    for (const auto& error : seen.takers) CHECK(asyncfs::is_cancelled(error));
    CHECK(seen.errors == 0);
  }
}

TEST_CASE("a walk is broken off in the middle too, on every loop, by whatever leaves a driver") {
  const tests::temporary_directory at;
  make_tree(at.path());
  for (const bool cancelled : {true, false}) {
    for (const walk_order order : {walk_order::none, walk_order::bytes}) {
      const auto gives_up = [cancelled](asyncfs::walk_directory& directory, const asyncfs::directory&) -> task<bool> {
        if (std::string_view(directory.name()) == "deep") {
          const asyncfs::task_context here = co_await asyncfs::this_task;
          if (!cancelled) throw std::runtime_error("enough");
          here.scope.cancel();
        }
        co_return true;
      };
      asyncfs::walk tree({{.path = at.path()}}, {.order = order, .enter = gives_up});
      std::mutex mutex;
      std::vector<std::string> ends;
      asyncfs::run_on(2, [&](std::size_t) {
        const auto take = [](asyncfs::walk& from, std::mutex& m, std::vector<std::string>& all) -> task<void> {
          std::string end = "the end";
          try {
            while (const auto entry = co_await from.next()) {
            }
          } catch (const std::exception& e) {
            end = e.what();
          }
          const std::lock_guard lock(m);
          all.push_back(end);
        };
        const auto drive = [](asyncfs::walk& from) -> task<void> {
          try {
            co_await from.drive();
          } catch (const std::exception&) {  // theirs to tell
          }
        };
        const auto hands = [](task<void> driver, task<void> one, task<void> two) -> task<void> {
          const asyncfs::task_context here = co_await asyncfs::this_task;
          asyncfs::cancel_scope own(&here.scope);
          const auto in_scope = [](task<void> work, asyncfs::cancel_scope& scope) -> task<void> {
            co_await std::move(work).in(scope);
          };
          co_await asyncfs::when_all(in_scope(std::move(driver), own), std::move(one), std::move(two));
        };
        return hands(drive(tree), take(tree, mutex, ends), take(tree, mutex, ends));
      });
      REQUIRE(ends.size() == 4);
      for (const std::string& end : ends) CHECK(end.find(cancelled ? "anceled" : "enough") != std::string::npos);
    }
  }
}

TEST_CASE("a task that is cancelled while it waits for an entry takes none from the others") {
  const tests::temporary_directory at;
  const auto files = make_tree(at.path());
  asyncfs::walk tree({{.path = at.path()}}, {});
  std::size_t taken = 0;
  std::error_code impatient;
  const auto all_of_it = [&](asyncfs::walk& from, std::size_t& count, std::error_code& error) -> task<void> {
    const auto wait = [](asyncfs::walk& w) -> task<void> { static_cast<void>(co_await w.next()); };
    // Nobody drives yet.
    co_await note_error(asyncfs::with_timeout(wait(from), std::chrono::milliseconds(1)), error);
    const auto take = [](asyncfs::walk& w, std::size_t& n) -> task<void> {
      while (const auto entry = co_await w.next()) ++n;
    };
    co_await asyncfs::when_all(from.drive(), take(from, count));
  };
  asyncfs::run(all_of_it(tree, taken, impatient));
  CHECK(impatient == std::errc::timed_out);
  CHECK(taken == files.size());
}

namespace {

// Hands out the files 0 to 999, a few at a time.
struct file_source {
  std::string directory;
  int next = 0;
  bool asking = false;

  task<std::vector<asyncfs::walk_root>> more() {
    CHECK_FALSE(asking);  // one call after the other
    asking = true;
    co_await asyncfs::yield();
    std::vector<asyncfs::walk_root> roots;
    for (int i = 0; i < 7 && next < 1000; ++i, ++next) {
      const std::string name = directory + "/" + std::to_string(next);
      roots.push_back({.path = name, .user = std::make_shared<int>(next)});
    }
    asking = false;
    co_return roots;
  }
};

task<void> collect_users(asyncfs::walk& tree, std::vector<int>& users, std::vector<std::size_t>& numbers) {
  for (;;) {
    auto entry = co_await tree.next();
    if (!entry) co_return;
    if (entry->user()) users.push_back(*static_cast<const int*>(entry->user().get()));
    numbers.push_back(entry->root());
  }
}

}  // namespace

TEST_CASE("roots may come a few at a time: all are walked, in order where there is one, and count on") {
  tests::on_every_kernel_engine([](tests::place& at) -> task<void> {
    for (const walk_order order : {walk_order::none, walk_order::bytes}) {
      file_source source{at.path + "/files"};
      std::filesystem::create_directory(source.directory);
      for (int i = 0; i < 1000; ++i) {
        const std::string name = source.directory + "/" + std::to_string(i);
        if (i % 10 == 9) std::filesystem::create_directory(name);
        std::ofstream(i % 10 == 9 ? name + "/inside" : name) << i;
      }
      asyncfs::walk tree({}, {.order = order, .more_roots = [&source] { return source.more(); }, .most_ready = 20});
      std::vector<int> users;
      std::vector<std::size_t> numbers;
      std::vector<task<void>> hands;
      for (int i = 0; i < 2; ++i) hands.push_back(tree.drive());
      hands.push_back(collect_users(tree, users, numbers));
      co_await asyncfs::when_all(std::move(hands));
      CHECK(users.size() == 900);
      CHECK(numbers.size() == 1000);
      if (order == walk_order::bytes) {
        CHECK(std::ranges::is_sorted(users));
        CHECK(std::ranges::is_sorted(numbers));
      }
      std::ranges::sort(numbers);
      for (std::size_t i = 0; i < numbers.size(); ++i) CHECK(numbers[i] == i);
      std::filesystem::remove_all(source.directory);
    }
  });
}

TEST_CASE("a walk holds no more directories open than it may, however far its listers are ahead") {
  constexpr std::size_t directories = 300;
  const tests::temporary_directory at;
  for (std::size_t i = 0; i < directories; ++i) {
    const std::string path = at.path() + "/" + std::to_string(i % 10) + "/" + std::to_string(i);
    std::filesystem::create_directories(path);
    std::ofstream(path + "/file") << i;
  }
  const auto open_now = [] {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  };
  for (const walk_order order : {walk_order::none, walk_order::bytes}) {
    std::size_t most = 0, before = 0, taken = 0;
    asyncfs::walk_options how{.order = order, .most_open = 4};
    how.enter = [&](asyncfs::walk_directory&, const asyncfs::directory&) -> task<bool> {
      most = std::max(most, open_now());
      co_return true;
    };
    asyncfs::walk tree({{.path = at.path()}}, how);
    const auto take = [&]() -> task<void> {
      while (const auto entry = co_await tree.next()) {
        ++taken;
        for (int i = 0; i < 5; ++i) co_await asyncfs::yield();
      }
    };
    const auto both = [&]() -> task<void> {
      before = open_now();
      std::vector<task<void>> hands;
      for (int i = 0; i < 4; ++i) hands.push_back(tree.drive());
      hands.push_back(take());
      co_await asyncfs::when_all(std::move(hands));
    };
    asyncfs::run(both());
    CHECK(taken == directories);
    CHECK(most <= before + 2 * 4 + 4 + 1 + 3);  // twice, those being listed, the one that is taken, and those above
  }
}

TEST_CASE("where directories turn out not to be in the cache, few are tried on the loop's thread") {
  constexpr std::size_t directories = 200;
  const tests::temporary_directory at;
  for (std::size_t i = 0; i < directories; ++i) {
    const std::string path = at.path() + "/" + std::to_string(i);
    std::filesystem::create_directories(path);
    std::ofstream(path + "/file") << i;
  }
  for (const bool waits : {false, true})
    for (const asyncfs::engine_kind kind : {asyncfs::engine_kind::automatic, asyncfs::engine_kind::threads}) {
      std::size_t tried = 0, taken = 0;
      asyncfs::engine_faults faults;
      faults.inject = [&](const asyncfs::request& work) -> std::optional<std::int32_t> {
        if (work.code != asyncfs::opcode::list_directory || (work.flags & asyncfs::request::only_if_cached) == 0)
          return std::nullopt;
        ++tried;
        if (!waits) return std::nullopt;
        work.pointer_at<asyncfs::list_arguments>(work.offset)->waited = true;
        return -EAGAIN;
      };
      asyncfs::loop_options how;
      how.engine.kind = kind;
      how.engine.faults = &faults;
      asyncfs::walk tree({{.path = at.path()}}, {});
      const auto take = [&]() -> task<void> {
        while (const auto entry = co_await tree.next()) ++taken;
      };
      const auto both = [&]() -> task<void> { co_await asyncfs::when_all(tree.drive(), take()); };
      asyncfs::run(both(), how);
      CHECK(taken == directories);
      if (waits)
        CHECK(tried <= 1 + directories / 32);
      else
        CHECK(tried > directories / 2);  // whatever makes the thread sleep leaves out the next few
    }
}
