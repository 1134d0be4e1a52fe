// Every operation that takes a directory and a name.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "../support/engines.hpp"

using asyncfs::task;
using tests::bytes_of;
using tests::fails;
using tests::gives;
using tests::on_every_engine;
using tests::place;
using tests::works;

namespace {

task<void> touch(const asyncfs::directory& at, const char* name) {
  const asyncfs::file made = co_await at.create(name, O_WRONLY | O_EXCL, 0600);
}

task<std::vector<std::string>> names_in(const asyncfs::directory& at, std::size_t buffer_size = 4096) {
  std::vector<std::byte> buffer(buffer_size);
  const asyncfs::directory dir = co_await at.open_directory(".");
  std::vector<std::string> names;
  for (;;) {
    const std::size_t got = co_await dir.read_entries(buffer);
    if (got == 0) break;
    asyncfs::for_each_entry(std::span(buffer).first(got),
                            [&](const asyncfs::directory_entry& e) { names.emplace_back(e.name); });
  }
  std::ranges::sort(names);
  co_return names;
}

const std::string too_long(256, 'n');
const std::string longest(255, 'n');

}  // namespace

TEST_CASE("opening what exists, and every reason why not") {
  on_every_engine([](place& at) -> task<void> {
    co_await touch(at.dir, "file");
    co_await works(at.dir.make_directory("dir", 0700));
    co_await works(at.dir.symlink("file", "link"));
    co_await works(at.dir.symlink("loop", "loop"));
    co_await works(at.dir.make_node("fifo", S_IFIFO | 0600, 0));
    co_await works(at.dir.open("file"));
    co_await works(at.dir.open("link"));
    co_await works(at.dir.open("dir"));
    co_await works(at.dir.open("dir", O_PATH | O_DIRECTORY | O_NOFOLLOW));
    co_await works(at.dir.open("file", O_PATH | O_NONBLOCK));  // openat ignores what openat2 refuses
    co_await works(at.dir.open((at.path + "/file").c_str()));
    co_await fails(at.dir.open("missing"), ENOENT);
    co_await fails(at.dir.open(""), ENOENT);
    co_await fails(at.dir.open("file/below"), ENOTDIR);
    co_await fails(at.dir.open("file", O_RDONLY | O_DIRECTORY), ENOTDIR);
    co_await fails(at.dir.open("dir", O_WRONLY), EISDIR);
    co_await fails(at.dir.open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
    co_await fails(at.dir.open("loop"), ELOOP);
    co_await fails(at.dir.open(too_long.c_str()), ENAMETOOLONG);
    co_await fails(at.dir.open(std::string(5000, 'p').c_str()), ENAMETOOLONG);
    co_await fails(at.dir.open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    co_await works(at.dir.open("fifo", O_RDONLY | O_NONBLOCK));
    co_await works(at.dir.open_directory("dir"));
    co_await fails(at.dir.open_directory("file"), ENOTDIR);
    co_await works(at.dir.symlink("dir", "dirlink"));
    co_await fails(at.dir.open_directory("dirlink"), ENOTDIR);
    co_await works(at.dir.open_directory("dirlink", 0));
    asyncfs::file not_a_directory = co_await at.dir.open("file");
    const asyncfs::directory wrong(not_a_directory.release());
    co_await fails(wrong.open("x"), ENOTDIR);
    const int closed = at.closed_number();
    asyncfs::directory gone(closed);
    co_await fails(gone.open("x"), EBADF);
    CHECK(gone.release() == closed);
  });
}

TEST_CASE("a path that leaves its directory is refused when asked") {
  on_every_engine([](place& at) -> task<void> {
    co_await works(at.dir.make_directory("dir", 0700));
    co_await works(at.dir.symlink("/etc", "out"));
    co_await touch(at.dir, "dir/file");
    co_await works(at.dir.open_resolved("dir/file", O_RDONLY, RESOLVE_BENEATH));
    co_await fails(at.dir.open_resolved("../x", O_RDONLY, RESOLVE_BENEATH), EXDEV);
    co_await fails(at.dir.open_resolved("out/passwd", O_RDONLY, RESOLVE_BENEATH), EXDEV);
    co_await fails(at.dir.open_resolved("out/passwd", O_RDONLY, RESOLVE_NO_SYMLINKS), ELOOP);
    co_await fails(at.dir.open_resolved("dir/file", O_RDONLY, std::uint64_t{1} << 60), EINVAL);
    co_await fails(at.dir.open_resolved("dir/missing", O_RDONLY, RESOLVE_BENEATH), ENOENT);
  });
}

TEST_CASE("creating files: new, existing, exclusive, emptied, and without a name") {
  on_every_engine([](place& at) -> task<void> {
    {
      const asyncfs::file f = co_await at.dir.create("file", O_RDWR | O_EXCL, 0640);
      co_await works(f.write_at(bytes_of("content"), 0));
      const asyncfs::file_status s = co_await f.status();
      CHECK((s.mode & 0700) == 0600);
    }
    co_await fails(at.dir.create("file", O_RDWR | O_EXCL, 0600), EEXIST);
    {
      const asyncfs::file f = co_await at.dir.create("file", O_RDWR, 0600);
      const asyncfs::file_status s = co_await f.status();
      CHECK(s.size == 7);
    }
    {
      const asyncfs::file f = co_await at.dir.create("file", O_RDWR | O_TRUNC, 0600);
      const asyncfs::file_status s = co_await f.status();
      CHECK(s.size == 0);
    }
    co_await fails(at.dir.create("missing/file", O_RDWR, 0600), ENOENT);
    co_await fails(at.dir.create("file/below", O_RDWR, 0600), ENOTDIR);
    co_await fails(at.dir.create(".", O_RDWR, 0600), EISDIR);
    co_await fails(at.dir.create(too_long.c_str(), O_RDWR, 0600), ENAMETOOLONG);
    co_await works(at.dir.create(longest.c_str(), O_RDWR, 0600));
    const auto nameless = co_await asyncfs::as_result(at.dir.create(".", O_RDWR | O_TMPFILE, 0600));
    if (nameless) {
      const asyncfs::file_status s = co_await nameless->status();
      CHECK(s.links == 0);
    } else {
      tests::leave_out("O_TMPFILE: " + nameless.error().message() + " in " + at.path);
    }
  });
}

TEST_CASE("status of names: a link is itself unless followed") {
  on_every_engine([](place& at) -> task<void> {
    co_await touch(at.dir, "file");
    co_await works(at.dir.symlink("file", "link"));
    co_await works(at.dir.symlink("nowhere", "dangling"));
    const asyncfs::file_status file = co_await at.dir.status("file");
    const asyncfs::file_status link = co_await at.dir.status("link");
    const asyncfs::file_status followed = co_await at.dir.status_followed("link");
    CHECK(file.is_regular());
    CHECK(link.is_link());
    CHECK(link.size == 4);
    CHECK(followed.same_file(file));
    CHECK_FALSE(link.same_file(file));
    const asyncfs::file_status self = co_await at.dir.status();
    CHECK(self.is_directory());
    const asyncfs::file_status dot = co_await at.dir.status(".");
    CHECK(dot.same_file(self));
    co_await fails(at.dir.status("missing"), ENOENT);
    co_await fails(at.dir.status_followed("dangling"), ENOENT);
    co_await works(at.dir.status("dangling"));
    co_await fails(at.dir.status("file/below"), ENOTDIR);
    co_await fails(at.dir.status(too_long.c_str()), ENAMETOOLONG);
  });
}

TEST_CASE("directories are made and removed") {
  on_every_engine([](place& at) -> task<void> {
    co_await works(at.dir.make_directory("dir", 0700));
    co_await fails(at.dir.make_directory("dir", 0700), EEXIST);
    co_await fails(at.dir.make_directory("a/b", 0700), ENOENT);
    co_await touch(at.dir, "dir/file");
    co_await fails(at.dir.make_directory("dir/file/x", 0700), ENOTDIR);
    co_await fails(at.dir.make_directory(too_long.c_str(), 0700), ENAMETOOLONG);
    co_await fails(at.dir.remove_directory("dir"), ENOTEMPTY);
    co_await fails(at.dir.remove_directory("dir/file"), ENOTDIR);
    co_await fails(at.dir.remove("dir"), EISDIR);
    co_await works(at.dir.remove("dir/file"));
    co_await fails(at.dir.remove("dir/file"), ENOENT);
    co_await works(at.dir.remove_directory("dir"));
    co_await fails(at.dir.remove_directory("dir"), ENOENT);
    co_await fails(at.dir.remove_directory("."), EINVAL);
  });
}

TEST_CASE("names are moved, exchanged, and never replaced when asked not to") {
  on_every_engine([](place& at) -> task<void> {
    co_await asyncfs::write_file(at.dir, "a", "A");
    co_await asyncfs::write_file(at.dir, "b", "B");
    co_await works(at.dir.make_directory("dir", 0700));
    co_await works(at.dir.make_directory("full", 0700));
    co_await touch(at.dir, "full/x");
    const asyncfs::directory dir = co_await at.dir.open_directory("dir");
    co_await fails(at.dir.rename("a", at.dir, "b", RENAME_NOREPLACE), EEXIST);
    co_await works(at.dir.rename("a", at.dir, "b", RENAME_EXCHANGE));
    const std::string now_b = co_await asyncfs::read_file(at.dir, "b");
    CHECK(now_b == "A");
    co_await works(at.dir.rename("a", dir, "c"));
    const std::string moved = co_await asyncfs::read_file(dir, "c");
    CHECK(moved == "B");
    co_await works(at.dir.rename("b", dir, "c"));
    co_await fails(at.dir.rename("missing", dir, "c"), ENOENT);
    co_await fails(at.dir.rename("missing", dir, "c", RENAME_EXCHANGE), ENOENT);
    co_await fails(at.dir.rename("dir", dir, "below-itself"), EINVAL);
    co_await fails(at.dir.rename("dir/c", at.dir, "full"), EISDIR);
    co_await fails(at.dir.rename("dir", at.dir, "full"), ENOTEMPTY);
    co_await fails(at.dir.rename("dir", at.dir, "full/x"), ENOTDIR);
    co_await fails(at.dir.rename("dir/c", at.dir, too_long.c_str()), ENAMETOOLONG);
    co_await fails(at.dir.rename("dir/c", at.dir, "z", 1u << 20), EINVAL);
  });
}

TEST_CASE("links, hard and symbolic") {
  on_every_engine([](place& at) -> task<void> {
    co_await touch(at.dir, "file");
    co_await works(at.dir.make_directory("dir", 0700));
    co_await works(at.dir.link("file", at.dir, "second"));
    const asyncfs::file_status s = co_await at.dir.status("second");
    CHECK(s.links == 2);
    co_await fails(at.dir.link("file", at.dir, "second"), EEXIST);
    co_await fails(at.dir.link("missing", at.dir, "x"), ENOENT);
    co_await fails(at.dir.link("dir", at.dir, "x"), EPERM);
    co_await fails(at.dir.link("file", at.dir, "x", 1 << 20), EINVAL);
    const std::string target(4000, 't');
    co_await works(at.dir.symlink("file", "link"));
    co_await works(at.dir.symlink(target.c_str(), "long"));
    co_await fails(at.dir.symlink("file", "link"), EEXIST);
    co_await fails(at.dir.symlink("", "empty"), ENOENT);
    co_await fails(at.dir.symlink(std::string(5000, 't').c_str(), "too-long"), ENAMETOOLONG);
    co_await gives(at.dir.read_link("link"), std::string("file"));
    co_await gives(at.dir.read_link("long"), target);
    co_await fails(at.dir.read_link("file"), EINVAL);
    co_await fails(at.dir.read_link("missing"), ENOENT);
    co_await works(at.dir.link("link", at.dir, "link-to-link"));
    const asyncfs::file_status linked = co_await at.dir.status("link-to-link");
    CHECK(linked.is_link());
  });
}

TEST_CASE("a hard link to another file system is refused with EXDEV") {
  on_every_engine([](place& at) -> task<void> {
    if (at.left_out_in_memory("a second file system")) co_return;
    const asyncfs::file_status here = co_await at.dir.status();
    const auto other = co_await asyncfs::as_result(asyncfs::here().open_directory("/dev/shm"));
    if (!other) {
      tests::leave_out("a second file system: no /dev/shm");
      co_return;
    }
    const asyncfs::file_status there = co_await other->status();
    if (there.device == here.device) {
      tests::leave_out("a second file system: /dev/shm is the same as " + at.path);
      co_return;
    }
    const std::string name = "asyncfs-test-" + std::to_string(::getpid());
    co_await touch(at.dir, "file");
    co_await fails(at.dir.link("file", *other, name.c_str()), EXDEV);
    co_await fails(at.dir.rename("file", *other, name.c_str()), EXDEV);
    const asyncfs::file from = co_await at.dir.open("file");
    const asyncfs::file to = co_await other->create(name.c_str(), O_RDWR | O_EXCL, 0600);
    co_await works(other->remove(name.c_str()));
    co_await fails(from.clone_to(to), EXDEV);
  });
}

TEST_CASE("nodes, modes, owners and times by name") {
  on_every_engine([](place& at) -> task<void> {
    co_await works(at.dir.make_node("fifo", S_IFIFO | 0600, 0));
    co_await works(at.dir.make_node("socket", S_IFSOCK | 0600, 0));
    co_await fails(at.dir.make_node("fifo", S_IFIFO | 0600, 0), EEXIST);
    const asyncfs::file_status fifo = co_await at.dir.status("fifo");
    CHECK(S_ISFIFO(fifo.mode));
    co_await fails(at.dir.open("socket"), ENXIO);
    if (::geteuid() == 0) {
      const auto made = co_await asyncfs::as_result(at.dir.make_node("null", S_IFCHR | 0600, makedev(1, 3)));
      if (made) {
        const asyncfs::file_status null = co_await at.dir.status("null");
        CHECK(null.special_device == makedev(1, 3));
      } else {
        tests::leave_out("making device nodes: " + made.error().message());
      }
    }
    co_await touch(at.dir, "file");
    co_await works(at.dir.symlink("file", "link"));
    co_await works(at.dir.set_mode("link", 0604));  // follows
    const asyncfs::file_status file = co_await at.dir.status("file");
    CHECK((file.mode & 0777) == 0604);
    co_await fails(at.dir.set_mode("missing", 0600), ENOENT);
    co_await works(at.dir.set_times("link", {5, 6}, {7, 8}));  // the link itself
    const asyncfs::file_status link = co_await at.dir.status("link");
    CHECK(link.modified == asyncfs::file_time{7, 8});
    const asyncfs::file_status target = co_await at.dir.status("file");
    CHECK(target.modified.seconds > 1000);
    co_await fails(at.dir.set_times("missing", {5, 6}, {7, 8}), ENOENT);
    co_await works(at.dir.set_owner("link", ::geteuid(), ::getegid()));
    co_await fails(at.dir.set_owner("missing", 0, 0), ENOENT);
  });
}

TEST_CASE("all entries of a directory are read, whatever their number and names") {
  on_every_engine([](place& at) -> task<void> {
    std::vector<std::string> expected{"new\nline", "\xff\xfe bad", "\x1b[31mred", " ", "-rf", "...", longest, "tab\t"};
    for (int i = 0; i < 300; ++i) expected.push_back("file" + std::to_string(i));
    for (const std::string& name : expected) co_await touch(at.dir, name.c_str());
    std::ranges::sort(expected);
    const std::vector<std::string> in_small_pieces = co_await names_in(at.dir, 300);
    CHECK(in_small_pieces == expected);
    const std::vector<std::string> at_once = co_await names_in(at.dir, 1 << 16);
    CHECK(at_once == expected);
    for (const std::string& name : expected) {
      const asyncfs::file_status s = co_await at.dir.status(name.c_str());
      CHECK(s.is_regular());
      co_await works(at.dir.remove(name.c_str()));
    }
    const std::vector<std::string> none = co_await names_in(at.dir);
    CHECK(none.empty());
  });
}

TEST_CASE("reading entries: a buffer too small, not a directory, a directory that was removed") {
  on_every_engine([](place& at) -> task<void> {
    co_await touch(at.dir, "file");
    std::array<std::byte, 512> buffer;
    co_await fails(at.dir.read_entries(std::span(buffer).first(1)), EINVAL);
    const asyncfs::directory file(at.open_again("file", O_RDONLY));
    co_await fails(file.read_entries(buffer), ENOTDIR);
    co_await works(at.dir.make_directory("gone", 0700));
    const asyncfs::directory gone = co_await at.dir.open_directory("gone");
    co_await works(at.dir.remove_directory("gone"));
    co_await fails(gone.read_entries(buffer), ENOENT);
    co_await fails(gone.create("x", O_RDWR, 0600), ENOENT);
  });
}

TEST_CASE("a whole directory is listed in one operation, in as many pieces as the buffer needs") {
  on_every_engine([](place& at) -> task<void> {
    co_await works(at.dir.make_directory("dir", 0700));
    const asyncfs::directory dir = co_await at.dir.open_directory("dir");
    std::vector<std::string> expected;
    for (int i = 0; i < 100; ++i) expected.push_back("a name that takes some room " + std::to_string(i));
    for (const std::string& name : expected) co_await touch(dir, name.c_str());
    std::ranges::sort(expected);
    for (const std::size_t capacity : {std::size_t{1} << 16, std::size_t{600}}) {
      std::vector<std::byte> buffer(capacity);
      asyncfs::list_arguments list;
      list.buffer = buffer.data();
      list.capacity = buffer.size();
      std::vector<std::string> names;
      int pieces = 0;
      do {
        co_await works(at.dir.list("dir", list, {}));
        CHECK(list.used <= capacity);
        asyncfs::for_each_entry(std::span(buffer).first(list.used),
                                [&](const asyncfs::directory_entry& e) { names.emplace_back(e.name); });
        ++pieces;
      } while (!list.at_end && pieces < 1000);
      const asyncfs::descriptor opened(list.directory);
      std::ranges::sort(names);
      CHECK(names == expected);
      CHECK((pieces > 1) == (capacity == 600));
    }
    co_await works(at.dir.symlink("dir", "link"));
    std::vector<std::byte> buffer(4096);
    const auto listing = [&] {
      asyncfs::list_arguments list;
      list.buffer = buffer.data();
      list.capacity = buffer.size();
      return list;
    };
    asyncfs::list_arguments list = listing();
    co_await fails(at.dir.list("link", list, {}), ENOTDIR);
    CHECK(list.directory < 0);
    co_await fails(at.dir.list("missing", list, {}), ENOENT);
    co_await works(at.dir.list("link", list, {.follow = true}));
    const asyncfs::descriptor opened(list.directory);
  });
}
