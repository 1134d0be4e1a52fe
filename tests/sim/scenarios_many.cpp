// Scenarios of many tasks at once: all, any, the first, each of many, and trees of files.
#include <dirent.h>

#include <algorithm>
#include <set>

#include "scenario.hpp"

using namespace std::chrono_literals;
using asyncfs::file;

namespace sim {
namespace {

// Files "/in/0" to "/in/n-1" of sizes that the seed chooses.
std::vector<std::string> plant(simulation& world, std::uint64_t most) {
  std::vector<std::string> texts;
  world.files().make_directory("/in");
  for (std::uint64_t i = 0, count = 1 + world.choose(most); i < count; ++i) {
    texts.push_back(text(i, some_size(world)));
    world.files().write("/in/" + std::to_string(i), texts.back());
  }
  return texts;
}

std::string path_of(std::size_t i) { return "/in/" + std::to_string(i); }

std::vector<task<std::string>> readers_of(const std::vector<std::string>& texts) {
  std::vector<task<std::string>> readers;
  for (std::size_t i = 0; i < texts.size(); ++i) readers.push_back(read_path(path_of(i)));
  return readers;
}

// ---- when_all and its kin ------------------------------------------------------------------------------------------

void all_in_order(simulation& world) {
  const auto texts = plant(world, 12);
  const auto found = world.run(attempted(asyncfs::when_all(readers_of(texts))));
  if (found) require(*found == texts, "a value is wrong, or at another's place");
}
const scenario all_scenario("when_all gives the bytes of every file in order, or the error of one", all_in_order);

void each_settled(simulation& world) {
  const auto texts = plant(world, 12);
  const auto found = world.run(asyncfs::when_all_settled(readers_of(texts)));
  require(found.size() == texts.size(), "one is missing");
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (found[i]) require(*found[i] == texts[i], "a value is wrong, or at another's place");
    if (!found[i]) require(!is_cancel(found[i].error()), "one was cancelled, and nobody asked for that");
  }
}
const scenario settled_scenario("when_all_settled gives each file's bytes or its own error, and cancels none",
                                each_settled);

task<std::string> read_late(std::string path, std::chrono::nanoseconds later) {
  co_await asyncfs::sleep_for(later);
  std::string found = co_await asyncfs::read_file(path.c_str());
  co_return found;
}

void any_of_mirrors(simulation& world) {
  const auto texts = plant(world, 6);
  std::vector<task<std::string>> mirrors;
  mirrors.push_back(read_path("/missing"));
  for (std::size_t i = 0; i < texts.size(); ++i) mirrors.push_back(read_late(path_of(i), some_time(world, 2ms)));
  try {
    const auto first = world.run(asyncfs::when_any(std::move(mirrors)));
    require(first.index > 0 && first.value == texts[first.index - 1], "the value is not that of its index");
  } catch (const asyncfs::all_failed& all) {
    require(all.reasons().size() == texts.size() + 1, "not all reasons are told");
    for (const auto& reason : all.reasons()) require(!is_cancel(reason), "one was cancelled although none succeeded");
  }
}
const scenario mirrors_scenario("when_any gives the bytes of one mirror, or every reason", any_of_mirrors);

task<void> pass_time(std::chrono::nanoseconds time) { co_await asyncfs::sleep_for(time); }

void race_with_time(simulation& world) {
  const auto texts = plant(world, 1);
  const auto limit = some_time(world, 5ms);
  const auto began = world.now();
  const auto first = world.run(attempted(asyncfs::race(read_path(path_of(0)), pass_time(limit))));
  if (!first) return;
  if (first->index() == 0) require(std::get<0>(*first) == texts[0], "the winner's bytes are wrong");
  if (first->index() == 1) require(world.now() - began >= limit, "time has won before it had passed");
}
const scenario racing_scenario("a race is won by whichever ended first, and the other ends too", race_with_time);

task<file> open_path(std::string path) { co_return co_await asyncfs::open(path.c_str()); }

// The descriptors of those that came too late are closed: the simulator looks.
void any_of_descriptors(simulation& world) {
  const auto texts = plant(world, 8);
  std::vector<task<file>> openers;
  for (std::size_t i = 0; i < texts.size(); ++i) openers.push_back(open_path(path_of(i)));
  try {
    const auto first = world.run(asyncfs::when_any(std::move(openers)));
    require(static_cast<bool>(first.value), "no descriptor");
    require(world.open_descriptors() == 1, "descriptors that lost are still open");
  } catch (const asyncfs::all_failed&) {
  }
}
const scenario openers_scenario("when_any over files keeps one descriptor, and closes those that came too late",
                                any_of_descriptors);

task<std::vector<file>> open_all(std::vector<std::string> texts) {
  std::vector<task<file>> openers;
  for (std::size_t i = 0; i < texts.size(); ++i) openers.push_back(open_path(path_of(i)));
  co_return co_await asyncfs::when_all(std::move(openers));
}

void nested(simulation& world) {
  const auto texts = plant(world, 5);
  const auto limit = some_time(world, 3ms);
  auto work = asyncfs::with_timeout(asyncfs::race(open_all(texts), open_all(texts)), limit);
  const auto found = world.run(attempted(std::move(work)));
  const std::size_t kept = found ? texts.size() : 0;
  require(world.open_descriptors() == kept, "what lost, or was late, is still open");
}
const scenario nesting_scenario("a race of groups within a time limit keeps one group's descriptors, or none", nested);

// ---- for each ------------------------------------------------------------------------------------------------------

struct visits {
  explicit visits(std::size_t count) : begun(count), ended(count) {}
  std::vector<int> begun, ended;
  std::size_t running = 0, most = 0;
  bool failed = false, begun_after_failure = false;
};

struct visiting {  // counts itself
  explicit visiting(visits& of) : all(of) { all.most = std::max(all.most, ++all.running); }
  visiting(const visiting&) = delete;
  visiting& operator=(const visiting&) = delete;
  ~visiting() { --all.running; }
  visits& all;
};

task<void> visit(visits& all, const std::vector<std::string>& texts, std::size_t i) {
  const visiting here(all);
  ++all.begun[i];
  all.begun_after_failure = all.begun_after_failure || all.failed;
  std::string found;
  try {
    found = co_await read_path(path_of(i));
  } catch (...) {
    all.failed = true;
    throw;
  }
  require(found == texts[i], "other bytes than the file's");
  ++all.ended[i];
}

task<void> visit_all(visits& all, const std::vector<std::string>& texts, std::size_t limit) {
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < texts.size(); ++i) numbers.push_back(i);
  const auto each = [&](std::size_t i) { return visit(all, texts, i); };
  co_await asyncfs::for_each_concurrent(numbers, limit, each);
}

void check_visits(const visits& all, std::size_t limit) {
  require(all.most <= limit, "more at once than the limit");
  require(all.running == 0, "it has ended, and one of its calls has not");
  require(!all.begun_after_failure, "one was begun after a failure");
  require(std::ranges::all_of(all.begun, [](int times) { return times <= 1; }), "an item was taken twice");
}

void for_each_file(simulation& world) {
  const auto texts = plant(world, 20);
  const std::size_t limit = 1 + world.choose(6);
  visits all(texts.size());
  const bool done = succeeds(world, visit_all(all, texts, limit));
  check_visits(all, limit);
  require(done != all.failed, "its outcome is not that of its calls");
  if (done) require(std::ranges::all_of(all.ended, [](int times) { return times == 1; }), "an item was left out");
}
const scenario each_scenario("for_each_concurrent keeps its limit, takes each item once, and stops at a failure",
                             for_each_file);

task<void> feed(asyncfs::channel<std::size_t>& into, std::size_t count, simulation& world) {
  for (std::size_t i = 0; i < count; ++i) {
    if (world.choose(4) == 0) co_await asyncfs::sleep_for(some_time(world, 1ms));
    co_await into.send(i);
  }
  into.close();
}

task<void> visit_from(asyncfs::channel<std::size_t>& from, visits& all, const std::vector<std::string>& texts,
                      std::size_t limit) {
  const auto each_one = [&](std::size_t i) { return visit(all, texts, i); };
  co_await asyncfs::for_each_concurrent(from, limit, each_one);
}

void for_each_of_a_channel(simulation& world) {
  const auto texts = plant(world, 20);
  const std::size_t limit = 1 + world.choose(6);
  visits all(texts.size());
  asyncfs::channel<std::size_t> numbers(world.choose(4));
  auto work = asyncfs::when_all(feed(numbers, texts.size(), world), visit_from(numbers, all, texts, limit));
  const bool done = world.run(attempted(std::move(work))).has_value();
  require(all.most <= limit && all.running == 0, "more at once than the limit, or left over");
  if (done) require(std::ranges::all_of(all.ended, [](int times) { return times == 1; }), "an item was left out");
}
const scenario channelled_scenario("for_each_concurrent over a channel visits each item that was sent once",
                                   for_each_of_a_channel);

asyncfs::sequence<std::string> lines_of(const file& from) {
  std::string buffer(97, '\0'), line;
  for (;;) {
    const std::size_t got = co_await from.read(room_in(buffer));
    if (got == 0) break;
    for (const char c : buffer.substr(0, got)) {
      line += c;
      if (c == '\n') co_yield std::exchange(line, {});
    }
  }
  if (!line.empty()) co_yield std::move(line);
}

task<void> take_lines(std::string& found, std::size_t most) {
  const file from = co_await asyncfs::open("/f");
  auto lines = lines_of(from);
  for (std::size_t i = 0; i < most; ++i) {
    auto line = co_await lines.next();
    if (!line) break;
    require(line->find('\n') >= line->size() - 1, "a line with a newline within");
    found += *line;
  }
}

void sequence_of_lines(simulation& world) {
  std::string wanted;
  for (std::uint64_t i = 0, count = world.choose(50); i < count; ++i) wanted += text(i, world.choose(60)) + "\n";
  world.files().write("/f", wanted);
  std::string found;
  const bool to_the_end = world.choose(2) == 0;
  const bool done = succeeds(world, take_lines(found, to_the_end ? 1000 : world.choose(20)));
  require(wanted.starts_with(found), "lines are missing, or differ");
  if (done && to_the_end) require(found == wanted, "the last lines are missing");
}
const scenario lines_scenario("a sequence of lines gives them in order, however far it is followed", sequence_of_lines);

// ---- walks ---------------------------------------------------------------------------------------------------------

// A tree of a shape that the seed chooses; the paths of all in it that is no directory.
std::set<std::string> plant_tree(simulation& world) {
  auto files = world.files();
  files.make_directory("/t");
  std::vector<std::string> directories{"/t"};
  std::set<std::string> leaves;
  for (std::uint64_t i = 0, count = world.choose(60); i < count; ++i) {
    const std::string path =
        directories[world.choose(directories.size())] + "/" + "a-.0~"[world.choose(5)] + std::to_string(i);
    if (world.choose(3) == 0) {
      files.make_directory(path);
      directories.push_back(path);
    } else if (world.choose(4) == 0) {
      files.symlink("/t", path);
      leaves.insert(path);
    } else {
      files.write(path, "x");
      leaves.insert(path);
    }
  }
  return leaves;
}

struct findings {
  std::vector<std::string> paths, unreadable;
  std::vector<std::uint64_t> numbers;
};

task<void> take_entries(asyncfs::walk& tree, findings& found, simulation& world, std::size_t most) {
  for (std::size_t i = 0; i < most; ++i) {
    auto entry = co_await tree.next();
    if (!entry) co_return;
    found.numbers.push_back(entry->sequence());
    // A root that could not be asked what it is comes without a type, and stands for all below it.
    const bool unreadable = static_cast<bool>(entry->error) || entry->type() == DT_UNKNOWN;
    (unreadable ? found.unreadable : found.paths).push_back(entry->path());
    if (world.choose(5) == 0) co_await asyncfs::sleep_for(some_time(world, 1ms));
  }
  tree.stop();
}

task<void> walk_all(asyncfs::walk& tree, findings& found, simulation& world, std::size_t takers, std::size_t most) {
  std::vector<task<void>> hands;
  for (std::uint64_t i = 0, listers = 1 + world.choose(4); i < listers; ++i) hands.push_back(tree.drive());
  for (std::size_t i = 0; i < takers; ++i) hands.push_back(take_entries(tree, found, world, most));
  co_await asyncfs::when_all(std::move(hands));
}

bool is_below(const std::string& path, const std::string& above) {
  return path == above || path.starts_with(above + "/");
}

void check_found(const std::set<std::string>& leaves, const findings& found) {
  const std::set<std::string> once(found.paths.begin(), found.paths.end());
  require(once.size() == found.paths.size(), "an entry came twice");
  require(std::ranges::includes(leaves, once), "an entry that is not there");
  for (const std::string& leaf : leaves) {
    const auto hides = [&](const std::string& above) { return is_below(leaf, above); };
    if (!once.contains(leaf))
      require(std::ranges::any_of(found.unreadable, hides), "an entry is missing, and no error says so: " + leaf);
  }
}

// As sorted listings would have it.
bool before(asyncfs::walk_order order, const std::string& a, const std::string& b) {
  const auto rank = [order](char c) {
    return order == asyncfs::walk_order::components && c == '/' ? -1 : static_cast<int>(static_cast<unsigned char>(c));
  };
  return std::ranges::lexicographical_compare(a, b, [&](char x, char y) { return rank(x) < rank(y); });
}

asyncfs::walk_options some_options(simulation& world, asyncfs::walk_order order) {
  asyncfs::walk_options how;
  how.order = order;
  how.most_ready = 1 + world.choose(20);
  how.most_listed = 1 + world.choose(20);
  how.most_open = 1 + world.choose(20);
  how.most_listings = static_cast<unsigned>(1 + world.choose(5));
  return how;
}

constexpr std::size_t no_limit = 1'000'000;

void walks(simulation& world, const std::set<std::string>& leaves, const asyncfs::walk_options& how) {
  const asyncfs::walk_order order = how.order;
  asyncfs::walk tree({{.path = "/t"}}, how);
  findings found;
  const std::size_t takers = order == asyncfs::walk_order::none ? 1 + world.choose(4) : 1;
  world.run(walk_all(tree, found, world, takers, no_limit));
  check_found(leaves, found);
  if (takers == 1) require(std::ranges::is_sorted(found.numbers), "one taker gets them out of their order");
  if (order != asyncfs::walk_order::none)
    require(std::ranges::is_sorted(found.paths, [=](const auto& a, const auto& b) { return before(order, a, b); }),
            "they are not sorted");
}
void walks(simulation& world, asyncfs::walk_order order) {
  const auto leaves = plant_tree(world);
  walks(world, leaves, some_options(world, order));
}
const scenario unordered_scenario("a walk finds every entry once, or names what it could not read",
                                  [](simulation& world) { walks(world, asyncfs::walk_order::none); });
const scenario by_bytes_scenario("a walk in the order of paths is sorted and complete, or names what it could not read",
                                 [](simulation& world) { walks(world, asyncfs::walk_order::bytes); });
const scenario by_names_scenario("a walk in the order of names is sorted and complete, or names what it could not read",
                                 [](simulation& world) { walks(world, asyncfs::walk_order::components); });

// All that the tree has in links leads back to its root; those to them do, too, and those to files are as many files.
void followed_walk(simulation& world) {
  auto leaves = plant_tree(world);
  for (const std::string& leaf : std::set(leaves)) {
    if (world.choose(2) == 0) continue;
    leaves.insert(leaf + "-");
    world.files().symlink(leaf, leaf + "-");
  }
  auto how = some_options(world, static_cast<asyncfs::walk_order>(world.choose(3)));
  how.follow = true;
  walks(world, leaves, how);
}
const scenario following_scenario("a walk that follows links finds each once, or names it: what leads back ends there",
                                  followed_walk);

void stopped_walk(simulation& world) {
  const auto leaves = plant_tree(world);
  const auto order = static_cast<asyncfs::walk_order>(world.choose(3));
  asyncfs::walk tree({{.path = "/t"}}, some_options(world, order));
  findings found;
  world.run(walk_all(tree, found, world, 1 + world.choose(3), world.choose(10)));
  const std::set<std::string> once(found.paths.begin(), found.paths.end());
  require(once.size() == found.paths.size() && std::ranges::includes(leaves, once), "twice, or not there");
}
const scenario stopping_scenario("a walk that is stopped anywhere ends, and what it gave is right", stopped_walk);

}  // namespace
}  // namespace sim
