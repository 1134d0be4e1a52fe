// walk_options::follow: links that stand for what they lead to.
#include <asyncfs/asyncfs.hpp>

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "../catch.hpp"
#include "walking.hpp"

using asyncfs::task;
using asyncfs::walk_order;
using tests::found_entry;
using tests::left_out;
using tests::paths_of;
using tests::walk_all;

namespace {

const std::vector<walk_order> all_orders = {walk_order::none, walk_order::bytes, walk_order::components};

class linked_tree {
 public:
  void file(const std::string& name) const {
    const std::string path = root() + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << name;
  }
  void link(const std::string& name, const std::string& target) const {
    const std::string path = root() + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::filesystem::create_symlink(target, path);
  }
  [[nodiscard]] const std::string& root() const { return at_.path(); }

 private:
  tests::temporary_directory at_;
};

// Links to files, directories and links, whose place in the order depends on what they lead to; and all that goes wrong.
void fill(const linked_tree& tree) {
  for (const char* name :
       {"a/f", "a-b", "d/x", "d/y/z", "d-", "d0", "e/deep/er/file", "p-sec", "p0", "p.", "q-sec", "b\nc"})
    tree.file(name);
  tree.link("p", "d");    // "p/x" comes behind "p-sec"
  tree.link("q", "a/f");  // "q" before "q-sec"
  tree.link("through", "p");
  tree.link("e/deep/aside", "../../d");
  tree.link("e/deep/er/absolute", tree.root() + "/a");
  tree.link("in\xffvalid", "a");
  for (int i = 0; i < 300; ++i) tree.link("many/" + std::to_string(i), i % 3 == 0 ? "../a" : "../a/f");
  tree.link("nowhere", "gone");
  tree.link("self", "self");
  tree.link("mutual", "lautum");
  tree.link("lautum", "mutual");
  tree.link("e/deep/er/parent", "..");
  tree.link("e/deep/er/top", "../../..");
  tree.link("left/to-right", "../right");
  tree.link("right/to-left", "../left");
  REQUIRE(::mkfifo((tree.root() + "/fifo").c_str(), 0600) == 0);
  tree.link("to-fifo", "fifo");
}

// What another program finds that is no directory and no link, sorted by whole paths.
std::vector<std::string> found_by_find(const std::string& words) {
  std::vector<std::string> paths;
  std::FILE* const from = ::popen(("find " + words + " -print0 2>/dev/null").c_str(), "r");
  REQUIRE(from != nullptr);
  std::string path;
  for (int c; (c = std::fgetc(from)) != EOF;) {
    if (c != 0) {
      path += static_cast<char>(c);
      continue;
    }
    paths.push_back(path);
    path.clear();
  }
  ::pclose(from);
  std::ranges::sort(paths);
  return paths;
}

std::vector<found_entry> follow_all(const std::string& root, asyncfs::walk_options how = {.order = walk_order::bytes}) {
  how.follow = true;
  return walk_all({{.path = root}}, std::move(how), 1, {});
}

// Below the root, each with its error.
std::vector<std::string> told(const std::vector<found_entry>& found, const std::string& root) {
  std::vector<std::string> lines;
  for (const found_entry& one : found) {
    std::string line = one.path.substr(root.size() + 1);
    if (one.error) line += ": cannot " + one.operation + ": " + ::strerrorname_np(one.error.value());
    lines.push_back(line);
  }
  return lines;
}

const found_entry& named(const std::vector<found_entry>& found, const std::string& path) {
  const auto one = std::ranges::find(found, path, &found_entry::path);
  REQUIRE(one != found.end());
  return *one;
}

using lines = std::vector<std::string>;

}  // namespace

TEST_CASE(
    "a walk that follows links finds what find -L finds, whatever the order, the engine and the number of loops") {
  const linked_tree tree;
  fill(tree);
  const auto wanted = found_by_find("-L '" + tree.root() + "' ! -type d ! -type l");
  REQUIRE(wanted.size() > 300);
  for (const tests::engine_under_test& engine : tests::all_engines())
    for (const walk_order order : all_orders)
      for (const std::size_t loops : {1u, 3u}) {
        INFO(engine.name << ", " << loops << " loops");
        tests::world_of world(engine);
        if (left_out(engine, loops)) continue;
        auto found = walk_all({{.path = tree.root()}}, {.order = order, .follow = true}, loops, world.options());
        for (std::size_t i = 0; i < found.size(); ++i) REQUIRE(found[i].sequence == i);
        std::erase_if(found, [](const found_entry& one) { return one.error.value() != 0; });
        auto paths = paths_of(found);
        if (order != walk_order::bytes) std::ranges::sort(paths);
        CHECK(paths == wanted);
      }
}

TEST_CASE("the order of whole paths counts a link to a directory as a directory, also with hardly any room") {
  const linked_tree tree;
  fill(tree);
  const auto wanted = found_by_find("-L '" + tree.root() + "' ! -type d ! -type l");
  auto found =
      follow_all(tree.root(), {.order = walk_order::bytes, .most_ready = 2, .most_listed = 2, .most_listings = 1});
  std::erase_if(found, [](const found_entry& one) { return one.error.value() != 0; });
  CHECK(paths_of(found) == wanted);
}

TEST_CASE("links that lead nowhere, or back to a directory above them, are entries with their errors") {
  for (const walk_order order : all_orders) {
    const linked_tree tree;
    tree.file("a/file");
    tree.link("a/nowhere", "gone");
    tree.link("a/nowhere-at-all", "gone/for/good");
    tree.link("a/past-a-file", "file/x");
    tree.link("a/self", "self");
    tree.link("b/mutual", "lautum");
    tree.link("b/lautum", "mutual");
    tree.link("c/d/dot", ".");
    tree.link("c/d/parent", "..");
    tree.link("c/d/top", "../..");
    tree.link("c/e", "d");
    tree.link("left/to-right", "../right");
    tree.link("right/to-left", "../left");
    auto wanted = lines{"a/file",
                        "a/nowhere: cannot follow: ENOENT",
                        "a/nowhere-at-all: cannot follow: ENOENT",
                        "a/past-a-file: cannot follow: ENOTDIR",
                        "a/self: cannot follow: ELOOP",
                        "b/lautum: cannot follow: ELOOP",
                        "b/mutual: cannot follow: ELOOP",
                        "c/d/dot: cannot follow: ELOOP",
                        "c/d/parent: cannot follow: ELOOP",
                        "c/d/top: cannot follow: ELOOP",
                        "c/e/dot: cannot follow: ELOOP",
                        "c/e/parent: cannot follow: ELOOP",
                        "c/e/top: cannot follow: ELOOP",
                        "left/to-right/to-left: cannot follow: ELOOP",
                        "right/to-left/to-right: cannot follow: ELOOP"};
    const auto found = follow_all(tree.root(), {.order = order});
    auto seen = told(found, tree.root());
    if (order == walk_order::none) {
      std::ranges::sort(seen);
      std::ranges::sort(wanted);
    }
    CHECK(seen == wanted);
    CHECK(named(found, tree.root() + "/a/nowhere").type == DT_LNK);
    CHECK_FALSE(named(found, tree.root() + "/a/nowhere").followed);
    CHECK(named(found, tree.root() + "/c/d/dot").type == DT_DIR);
    CHECK(named(found, tree.root() + "/c/d/dot").followed);
  }
}

TEST_CASE("a link to a directory above the root ends where the way back reaches the root, which no link does") {
  const linked_tree tree;
  tree.file("x/beside");
  tree.file("x/y/inside");
  tree.link("x/y/up", "../../x");
  const std::string root = tree.root() + "/x/y";
  CHECK(told(follow_all(root), root) == lines{"inside", "up/beside", "up/y: cannot enter: ELOOP"});
}

TEST_CASE("a directory may be reached more than once, as long as it is not above itself") {
  const linked_tree tree;
  tree.file("shared/file");
  tree.link("a/one", "../shared");
  tree.link("a/two", "one");
  tree.link("b", "a");
  CHECK(told(follow_all(tree.root()), tree.root()) ==
        lines{"a/one/file", "a/two/file", "b/one/file", "b/two/file", "shared/file"});
}

TEST_CASE("an entry tells whether it has to be opened as a link") {
  const linked_tree tree;
  tree.file("file");
  tree.link("link", "file");
  tree.link("to-dir", ".hidden");
  tree.file(".hidden/inside");
  const auto read_all = [](asyncfs::walk& from) -> task<std::vector<std::string>> {
    std::vector<std::string> contents;
    while (const auto entry = co_await from.next()) {
      CHECK(entry->type() == DT_REG);
      const int no_link = entry->followed() ? 0 : O_NOFOLLOW;
      const asyncfs::file file = co_await entry->at().open(entry->name(), O_RDONLY | no_link);
      std::string content(100, '\0');
      content.resize(co_await file.read_at(std::as_writable_bytes(std::span(content)), 0));
      contents.push_back((entry->followed() ? "followed " : "") + content);
      if (!entry->followed()) continue;
      const auto refused = co_await asyncfs::as_result(entry->at().open(entry->name(), O_RDONLY | O_NOFOLLOW));
      CHECK_FALSE(refused.has_value());
    }
    co_return contents;
  };
  asyncfs::walk followed({{.path = tree.root()}}, {.order = walk_order::bytes, .follow = true});
  const auto both = [&](asyncfs::walk& from) -> task<std::vector<std::string>> {
    auto done = co_await asyncfs::when_all(from.drive(), read_all(from));
    co_return std::get<1>(std::move(done));
  };
  CHECK(asyncfs::run(both(followed)) == lines{".hidden/inside", "file", "followed file", ".hidden/inside"});
}

TEST_CASE("roots are followed as each says, whatever is followed below them") {
  const linked_tree tree;
  tree.file("file");
  tree.link("link", "file");
  for (const bool below : {true, false}) {
    const auto found = walk_all({{.path = tree.root() + "/link"}, {.path = tree.root() + "/link", .follow = false}},
                                {.order = walk_order::bytes, .follow = below}, 1, {});
    REQUIRE(found.size() == 2);
    CHECK(found[0].type == DT_REG);
    CHECK(found[0].followed);
    CHECK(found[1].type == DT_LNK);
    CHECK_FALSE(found[1].followed);
  }
}

TEST_CASE("links are entries, and entered by nobody, where they are not to be followed") {
  const linked_tree tree;
  fill(tree);
  const auto found = walk_all({{.path = tree.root()}}, {.order = walk_order::bytes}, 1, {});
  CHECK(paths_of(found) == found_by_find("'" + tree.root() + "' ! -type d"));
  for (const found_entry& one : found) {
    CHECK_FALSE(one.followed);
    CHECK_FALSE(one.error);
    CHECK((one.type == DT_LNK) == std::filesystem::is_symlink(one.path));
  }
}

TEST_CASE("enter is asked of directories behind links, by the links' names, and not of those that would never end") {
  const linked_tree tree;
  tree.file("d/file");
  tree.link("d/again", ".");
  tree.link("yes", "d");
  tree.link("no", "d");
  lines entered;
  const auto choose = [&](asyncfs::walk_directory& found, const asyncfs::directory& handle) -> task<bool> {
    entered.push_back(found.path());
    const auto status = co_await handle.status();
    CHECK(status.is_directory());
    co_return std::string_view(found.name()) != "no";
  };
  const auto found = follow_all(tree.root(), {.order = walk_order::bytes, .enter = choose});
  CHECK(told(found, tree.root()) ==
        lines{"d/again: cannot follow: ELOOP", "d/file", "yes/again: cannot follow: ELOOP", "yes/file"});
  std::ranges::sort(entered);
  const std::string root = tree.root();
  CHECK(entered == lines{root, root + "/d", root + "/no", root + "/yes"});
}

TEST_CASE("a walk that is cancelled while it follows links is broken off: no link is said to lead nowhere") {
  const linked_tree tree;
  fill(tree);
  for (const walk_order order : all_orders) {
    const auto give_up = [](asyncfs::walk_directory& found, const asyncfs::directory&) -> task<bool> {
      const asyncfs::task_context here = co_await asyncfs::this_task;
      if (std::string_view(found.name()) == "many") here.scope.cancel();
      co_return true;
    };
    asyncfs::walk from({{.path = tree.root()}}, {.order = order, .follow = true, .enter = give_up});
    std::error_code driver;
    bool told_of_cancelling = false;
    const auto drive = [](asyncfs::walk& one, std::error_code& end) -> task<void> {
      const asyncfs::task_context here = co_await asyncfs::this_task;
      asyncfs::cancel_scope own(&here.scope);
      try {
        co_await one.drive().in(own);
      } catch (const std::system_error& error) {
        end = error.code();
      }
    };
    const auto take = [](asyncfs::walk& one, bool& told_so) -> task<void> {
      try {
        while (const auto entry = co_await one.next()) told_so = told_so || asyncfs::is_cancelled(entry->error);
      } catch (const std::system_error&) {  // the driver's to tell
      }
    };
    const auto both = [&](asyncfs::walk& one) -> task<void> {
      co_await asyncfs::when_all(drive(one, driver), take(one, told_of_cancelling));
    };
    asyncfs::run(both(from));
    CHECK(asyncfs::is_cancelled(driver));
    CHECK_FALSE(told_of_cancelling);
  }
}
