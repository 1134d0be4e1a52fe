// Directories, and all that takes a directory and a name.
#include "operations.hpp"

namespace matrix {

namespace {

constexpr asyncfs::file_time then{1'600'000'000, 0};

task<void> with_tree(subject& s) {
  co_await with_files(s);
  co_await s.dir.make_directory("sub", 0700);
  co_await s.dir.symlink("file", "link");
  s.path += "/file";
}
task<void> with_attribute(subject& s) {
  co_await with_tree(s);
  const auto set = co_await asyncfs::as_result(s.file.set_attribute("user.asyncfs", std::span(s.bytes).first(4)));
  if (!set) s.lacks = "extended attributes, which this file system does not have";
}
template <char... Name>
task<bool> exists(subject& s) {
  static constexpr char name[] = {Name..., '\0'};
  return succeeds(s.dir.status(name));
}
template <char... Name>
task<bool> is_gone(subject& s) {
  const bool there = co_await exists<Name...>(s);
  co_return !there;
}
constexpr auto made = exists<'m', 'a', 'd', 'e'>;

task<outcome> list(subject& s) {
  asyncfs::list_arguments list{.buffer = s.bytes.data(), .capacity = s.bytes.size()};
  const outcome how = co_await told(s.dir.list("sub", list, {}));
  const asyncfs::descriptor closes(list.directory);
  co_return how;
}

// Walks the tree, and tells of the first error in it.
task<outcome> walk_all(subject& s) {
  asyncfs::walk tree({asyncfs::walk_root{.path = s.path.substr(0, s.path.rfind('/'))}}, {});
  outcome how;
  const auto take = [](asyncfs::walk& from, outcome& into) -> task<void> {
    while (auto found = co_await from.next()) {
      ++into.value;
      if (found->error) into = {.error = found->error.value()};
    }
  };
  task<void> taking = take(tree, how);
  try {
    co_await asyncfs::when_all(tree.drive(), std::move(taking));
  } catch (const std::system_error& error) {  // broken off
    how = {.error = error.code().value()};
  }
  co_return how;
}
// Asked for anew, by a worker or with more room.
int is_listed_again(opcode, int error) { return error == EAGAIN || error == EINVAL ? own_rule : error; }

}  // namespace

std::vector<row> directory_rows() {
  std::vector<row> rows = {
      {.name = "directory.open",
       .parts = {{opcode::openat}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.open("file")); }},
      {.name = "directory.open_directory",
       .parts = {{opcode::openat}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.open_directory("sub")); }},
      {.name = "directory.open_resolved",
       .parts = {{opcode::openat2}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.open_resolved("sub", O_RDONLY | O_DIRECTORY, RESOLVE_BENEATH)); }},
      {.name = "directory.create",
       .parts = {{opcode::create}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.create("made", O_WRONLY | O_EXCL, 0600)); },
       .happened = made},
      {.name = "open",
       .parts = {{opcode::openat}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(asyncfs::open(s.path.c_str())); }},
      {.name = "create",
       .parts = {{opcode::create}},
       .prepare = [](subject& s) -> task<void> {
         s.path += "/made";
         co_return;
       },
       .attempt = [](subject& s) { return told(asyncfs::create(s.path.c_str())); },
       .happened = made},
      {.name = "directory.status",
       .variant = "of a name",
       .parts = {{opcode::statx}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.status("file")); }},
      {.name = "directory.status_followed",
       .parts = {{opcode::statx}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.status_followed("link")); }},
      {.name = "directory.status",
       .variant = "of itself",
       .parts = {{opcode::fstat}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.status()); }},
      {.name = "directory.make_directory",
       .parts = {{opcode::mkdirat}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.make_directory("made", 0700)); },
       .happened = made},
      {.name = "directory.make_node",
       .parts = {{opcode::mknodat}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.make_node("made", S_IFIFO | 0600, 0)); },
       .happened = made},
      {.name = "directory.remove",
       .parts = {{opcode::unlinkat}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.remove("link")); },
       .happened = is_gone<'l', 'i', 'n', 'k'>},
      {.name = "directory.remove_directory",
       .parts = {{opcode::unlinkat}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.remove_directory("sub")); },
       .happened = is_gone<'s', 'u', 'b'>},
      {.name = "directory.rename",
       .parts = {{opcode::renameat}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.rename("sub", s.dir, "made")); },
       .happened = made},
      {.name = "directory.link",
       .parts = {{opcode::linkat}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.link("file", s.dir, "made")); },
       .happened = made},
      {.name = "directory.symlink",
       .parts = {{opcode::symlinkat}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.symlink("file", "made")); },
       .happened = made},
      {.name = "directory.read_link",
       .parts = {{opcode::readlinkat}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.read_link("link")); },
       .value = 4},
      {.name = "directory.set_mode",
       .parts = {{opcode::fchmodat}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.set_mode("file", 0640)); },
       .happened = [](subject& s) -> task<bool> {
         const asyncfs::file_status now = co_await s.file.status();
         co_return (now.mode & 07777) == 0640;
       }},
      {.name = "directory.set_owner",
       .parts = {{opcode::fchownat}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.set_owner("file", ::getuid(), ::getgid())); }},
      {.name = "directory.set_times",
       .parts = {{opcode::utimensat}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.set_times("file", then, then)); },
       .happened = [](subject& s) -> task<bool> {
         const asyncfs::file_status now = co_await s.file.status();
         co_return now.modified == then;
       }},
      {.name = "directory.set_mode_of_self",
       .parts = {{opcode::fchmod}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.set_mode_of_self(0711)); },
       .happened = [](subject& s) -> task<bool> {
         const asyncfs::file_status now = co_await s.dir.status();
         co_return (now.mode & 07777) == 0711;
       }},
      {.name = "directory.set_owner_of_self",
       .parts = {{opcode::fchownat}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.set_owner_of_self(::getuid(), ::getgid())); }},
      {.name = "directory.set_times_of_self",
       .parts = {{opcode::utimensat}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.set_times_of_self(then, then)); },
       .happened = [](subject& s) -> task<bool> {
         const asyncfs::file_status now = co_await s.dir.status();
         co_return now.modified == then;
       }},
      {.name = "directory.get_attribute",
       .parts = {{opcode::getxattr}},
       .prepare = with_attribute,
       .attempt = [](subject& s) { return told(s.dir.get_attribute(s.path.c_str(), "user.asyncfs", s.bytes)); },
       .value = 4},
      {.name = "directory.read_entries",
       .parts = {{opcode::getdents}},
       .prepare = with_tree,
       .attempt = [](subject& s) { return told(s.dir.read_entries(s.bytes)); }},
      {.name = "directory.list", .parts = {{opcode::list_directory}}, .prepare = with_tree, .attempt = list},
      {.name = "walk.next",
       .parts = {{opcode::list_directory}},
       .prepare = with_tree,
       .attempt = walk_all,
       .value = 3,
       .becomes = is_listed_again},
  };
  for (row& one : rows) one.needs_directory = true;
  return rows;
}

}  // namespace matrix
