// Every operation on open files: success, each error that can be reached, short transfers, and what is cancelled.
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../support/engines.hpp"

using asyncfs::task;
using tests::bytes_of;
using tests::fails;
using tests::gives;
using tests::on_every_engine;
using tests::place;
using tests::works;

namespace {

constexpr std::uint64_t four_gib = std::uint64_t{1} << 32;

struct pipe_ends {
  asyncfs::file out, in;  // what is read, what is written
};
pipe_ends make_pipe(const place& at, std::size_t capacity = 0) {
  const auto both = at.make_pipe(capacity);
  return {asyncfs::file(both.first), asyncfs::file(both.second)};
}

std::string text(std::span<const std::byte> bytes, std::size_t n) {
  return {reinterpret_cast<const char*>(bytes.data()), n};
}

task<asyncfs::file> fresh(place& at, const char* name = "file") {
  co_return co_await at.dir.create(name, O_RDWR | O_EXCL, 0600);
}

}  // namespace

TEST_CASE("bytes written at an offset are read back, short at the end of the file and zero past it") {
  on_every_engine([](place& at) -> task<void> {
    const asyncfs::file f = co_await fresh(at);
    std::array<std::byte, 64> buffer;
    co_await gives(f.write_at(bytes_of("hello, world"), 3), 12u);
    co_await gives(f.read_at(buffer, 3), 12u);
    CHECK(text(buffer, 12) == "hello, world");
    co_await gives(f.read_at(std::span(buffer).first(5), 10), 5u);
    CHECK(text(buffer, 5) == "world");
    co_await gives(f.read_at(buffer, 15), 0u);
    co_await gives(f.read_at(buffer, 1000), 0u);
    co_await gives(f.read_at(std::span(buffer).first(0), 0), 0u);
    co_await gives(f.write_at({}, 100), 0u);
    const asyncfs::file_status s = co_await f.status();
    CHECK(s.size == 15);
    CHECK(s.is_regular());
  });
}

TEST_CASE(
    "what is in the cache can be read at once, unless the file system cannot tell; the end is the end all the same") {
  on_every_engine([](place& at) -> task<void> {
    const asyncfs::file f = co_await fresh(at);
    co_await gives(f.write_at(bytes_of("hello, world"), 3), 12u);
    std::array<std::byte, 64> buffer;
    const auto cached = co_await asyncfs::as_result(f.read_cached_at(buffer, 3));
    if (cached) {
      CHECK(*cached == 12);
      CHECK(text(buffer, 12) == "hello, world");
      co_await gives(f.read_cached_at(std::span(buffer).first(5), 10), 5u);
      CHECK(text(buffer, 5) == "world");
      co_await gives(f.read_cached_at(buffer, 15), 0u);
    } else {
      CHECK(cached.error() == std::errc::operation_not_supported);
    }
    co_await fails(asyncfs::file().read_cached_at(buffer, 0), EBADF);
  });
}

TEST_CASE("a file can be read past the page cache, unless the kernel or the file system cannot do that") {
  on_every_engine([](place& at) -> task<void> {
    const asyncfs::file f = co_await fresh(at);
    co_await gives(f.write_at(bytes_of("hello, world"), 3), 12u);
    std::array<std::byte, 64> buffer;
    const auto got = co_await asyncfs::as_result(f.read_uncached_at(buffer, 3));
    if (got) {
      CHECK(*got == 12);
      CHECK(text(buffer, 12) == "hello, world");
      co_await gives(f.read_uncached_at(buffer, 15), 0u);
    } else {
      CHECK(got.error() == std::errc::operation_not_supported);
    }
    co_await fails(asyncfs::file().read_uncached_at(buffer, 0), EBADF);
  });
}

TEST_CASE("a file can be written past the page cache, unless the kernel or the file system cannot do that") {
  on_every_engine([](place& at) -> task<void> {
    const asyncfs::file f = co_await fresh(at);
    const auto put = co_await asyncfs::as_result(f.write_uncached_at(bytes_of("hello, world"), 3));
    if (put) {
      CHECK(*put == 12);
      std::array<std::byte, 64> buffer;
      co_await gives(f.read_at(buffer, 3), 12u);
      CHECK(text(buffer, 12) == "hello, world");
    } else {
      CHECK(put.error() == std::errc::operation_not_supported);
    }
    co_await fails(asyncfs::file().write_uncached_at(bytes_of("x"), 0), EBADF);
  });
}

TEST_CASE("transfers work beyond 4 GiB, and a negative offset is refused") {
  on_every_engine([](place& at) -> task<void> {
    const asyncfs::file f = co_await fresh(at);
    std::array<std::byte, 8> buffer;
    co_await gives(f.write_at(bytes_of("far"), four_gib + 5), 3u);
    co_await gives(f.read_at(buffer, four_gib + 4), 4u);
    CHECK(buffer[0] == std::byte{0});
    CHECK(text(std::span(buffer).subspan(1), 3) == "far");
    co_await fails(f.read_at(buffer, static_cast<std::uint64_t>(-2)), EINVAL);
    co_await fails(f.write_at(bytes_of("x"), static_cast<std::uint64_t>(-2)), EINVAL);
    co_await fails(f.truncate(static_cast<std::uint64_t>(-2)), EINVAL);
    co_await fails(f.allocate(0, static_cast<std::uint64_t>(-2), 10), EINVAL);
    co_await gives(f.next_data(1), four_gib);
    co_await gives(f.next_hole(0), 0u);
    co_await fails(f.next_data(four_gib + 100), ENXIO);
  });
}

TEST_CASE("vectored transfers move all pieces in order") {
  on_every_engine([](place& at) -> task<void> {
    const asyncfs::file f = co_await fresh(at);
    std::string a = "abc", b = "defg";
    const iovec out[] = {{a.data(), 3}, {b.data(), 4}};
    co_await gives(f.writev_at(out, 2), 7u);
    std::array<char, 4> c{}, d{};
    const iovec in[] = {{c.data(), 4}, {d.data(), 4}};
    co_await gives(f.readv_at(in, 2), 7u);
    CHECK(std::string(c.data(), 4) == "abcd");
    CHECK(std::string(d.data(), 3) == "efg");
    co_await gives(f.readv_at(in, 100), 0u);
    co_await gives(f.readv_at({}, 0), 0u);
    const std::vector<iovec> many(1025, iovec{c.data(), 1});
    co_await fails(f.readv_at(many, 0), EINVAL);
    co_await fails(f.readv_at(in, static_cast<std::uint64_t>(-2)), EINVAL);
  });
}

TEST_CASE("every operation on a closed descriptor fails with EBADF") {
  on_every_engine([](place& at) -> task<void> {
    asyncfs::file f(at.closed_number());
    std::array<std::byte, 8> buffer{};
    std::array<char, 8> names{};
    iovec piece{buffer.data(), 8};
    co_await fails(f.read_at(buffer, 0), EBADF);
    co_await fails(f.write_at(buffer, 0), EBADF);
    co_await fails(f.read(buffer), EBADF);
    co_await fails(f.write(buffer), EBADF);
    co_await fails(f.readv_at({&piece, 1}, 0), EBADF);
    co_await fails(f.writev_at({&piece, 1}, 0), EBADF);
    co_await fails(f.sync(), EBADF);
    co_await fails(f.sync_data(), EBADF);
    co_await fails(f.allocate(0, 0, 10), EBADF);
    co_await fails(f.truncate(0), EBADF);
    co_await fails(f.advise(0, 0, POSIX_FADV_NORMAL), EBADF);
    co_await fails(f.status(), EBADF);
    co_await fails(f.set_mode(0600), EBADF);
    co_await fails(f.set_owner(0, 0), EBADF);
    co_await fails(f.set_times({1, 0}, {1, 0}), EBADF);
    co_await fails(f.list_attributes(names), EBADF);
    co_await fails(f.attribute("user.a", buffer), EBADF);
    co_await fails(f.set_attribute("user.a", buffer), EBADF);
    co_await fails(f.remove_attribute("user.a"), EBADF);
    co_await fails(f.next_data(0), EBADF);
    co_await fails(f.next_hole(0), EBADF);
    co_await fails(f.copy_range_to(f, 0, 0, 1), EBADF);
    co_await fails(f.clone_to(f), EBADF);
    co_await fails(f.close(), EBADF);
    asyncfs::file none;
    co_await fails(none.read_at(buffer, 0), EBADF);
    co_await fails(none.close(), EBADF);
  });
}

TEST_CASE("a file opened for one direction refuses the other with EBADF") {
  on_every_engine([](place& at) -> task<void> {
    {
      const asyncfs::file made = co_await fresh(at);
    }
    std::array<std::byte, 8> buffer{};
    const asyncfs::file reader = co_await at.dir.open("file", O_RDONLY);
    const asyncfs::file writer = co_await at.dir.open("file", O_WRONLY);
    co_await fails(reader.write_at(buffer, 0), EBADF);
    co_await fails(reader.write(buffer), EBADF);
    co_await fails(writer.read_at(buffer, 0), EBADF);
    co_await fails(writer.read(buffer), EBADF);
    co_await fails(reader.truncate(0), EINVAL);
    co_await fails(reader.allocate(0, 0, 1), EBADF);
  });
}

TEST_CASE("a directory cannot be read or written as a file") {
  on_every_engine([](place& at) -> task<void> {
    const asyncfs::file f = co_await at.dir.open(".");
    std::array<std::byte, 8> buffer{};
    iovec piece{buffer.data(), 8};
    co_await fails(f.read_at(buffer, 0), EISDIR);
    co_await fails(f.read(buffer), EISDIR);
    co_await fails(f.readv_at({&piece, 1}, 0), EISDIR);
    co_await fails(f.write_at(buffer, 0), EBADF);
    co_await fails(at.dir.open(".", O_WRONLY), EISDIR);
  });
}

TEST_CASE("size, space, sync and advice") {
  on_every_engine([](place& at) -> task<void> {
    const asyncfs::file f = co_await fresh(at);
    co_await works(f.truncate(10000));
    asyncfs::file_status s = co_await f.status();
    CHECK(s.size == 10000);
    CHECK(s.blocks == 0);
    co_await works(f.allocate(0, 0, 20000));
    s = co_await f.status();
    CHECK(s.size == 20000);
    CHECK(s.blocks >= 40);
    co_await works(f.allocate(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 8192));
    co_await fails(f.allocate(0, 0, 0), EINVAL);
    co_await fails(f.allocate(FALLOC_FL_PUNCH_HOLE, 0, 4096), EOPNOTSUPP);
    co_await works(f.sync());
    co_await works(f.sync_data());
    co_await works(f.advise(0, 0, POSIX_FADV_SEQUENTIAL));
    co_await fails(f.advise(0, 0, 12345), EINVAL);
    const pipe_ends p = make_pipe(at);
    co_await fails(p.in.sync(), EINVAL);
    co_await fails(p.in.truncate(0), EINVAL);
    co_await fails(p.in.allocate(0, 0, 1), ESPIPE);
    co_await fails(p.out.advise(0, 0, POSIX_FADV_NORMAL), ESPIPE);
    co_await fails(p.out.next_data(0), ESPIPE);
  });
}

TEST_CASE("mode, owner and times of an open file") {
  on_every_engine([](place& at) -> task<void> {
    const asyncfs::file f = co_await fresh(at);
    co_await works(f.set_mode(0640));
    co_await works(f.set_times({1234567890, 123456789}, {987654321, 987654321}));
    const asyncfs::file_status s = co_await f.status();
    CHECK((s.mode & 07777) == 0640);
    CHECK(s.accessed == asyncfs::file_time{1234567890, 123456789});
    CHECK(s.modified == asyncfs::file_time{987654321, 987654321});
    CHECK(s.links == 1);
    CHECK(s.user == ::geteuid());
    co_await works(f.set_owner(s.user, s.group));
    co_await fails(f.set_times({1, 2'000'000'000}, {1, 0}), EINVAL);
    if (::geteuid() == 0) {
      co_await works(f.set_owner(12345, 54321));
      const asyncfs::file_status other = co_await f.status();
      CHECK(other.user == 12345);
      CHECK(other.group == 54321);
    } else {
      co_await fails(f.set_owner(0, 0), EPERM);
    }
  });
}

TEST_CASE("extended attributes are set, listed, read and removed") {
  on_every_engine([](place& at) -> task<void> {
    const asyncfs::file f = co_await fresh(at);
    const auto probe = co_await asyncfs::as_result(f.set_attribute("user.probe", {}));
    if (!probe) {
      tests::leave_out("extended attributes: " + probe.error().message() + " in " + at.path);
      co_return;
    }
    co_await works(f.remove_attribute("user.probe"));
    std::array<std::byte, 64> value;
    std::array<char, 64> names;
    co_await works(f.set_attribute("user.one", bytes_of("first")));
    co_await fails(f.set_attribute("user.one", bytes_of("x"), XATTR_CREATE), EEXIST);
    co_await fails(f.set_attribute("user.two", bytes_of("x"), XATTR_REPLACE), ENODATA);
    co_await gives(f.attribute("user.one", value), 5u);
    CHECK(text(value, 5) == "first");
    co_await gives(f.attribute("user.one", {}), 5u);  // how much there is
    co_await fails(f.attribute("user.one", std::span(value).first(2)), ERANGE);
    co_await fails(f.attribute("user.two", value), ENODATA);
    const std::string path = at.path + "/file";
    co_await gives(at.dir.get_attribute(path.c_str(), "user.one", value), 5u);
    co_await fails(at.dir.get_attribute((at.path + "/missing").c_str(), "user.one", value), ENOENT);
    co_await gives(f.list_attributes({}), 9u);
    co_await gives(f.list_attributes(names), 9u);
    CHECK(std::string(names.data()) == "user.one");
    co_await fails(f.list_attributes(std::span(names).first(3)), ERANGE);
    co_await works(f.remove_attribute("user.one"));
    co_await fails(f.remove_attribute("user.one"), ENODATA);
    co_await gives(f.list_attributes(names), 0u);
    co_await fails(f.set_attribute("nonsense", bytes_of("x")), EOPNOTSUPP);
  });
}

TEST_CASE("bytes are copied from file to file inside the kernel") {
  on_every_engine([](place& at) -> task<void> {
    const asyncfs::file from = co_await fresh(at, "from");
    const asyncfs::file to = co_await fresh(at, "to");
    std::array<std::byte, 16> buffer;
    co_await works(from.write_at(bytes_of("0123456789"), 0));
    co_await gives(from.copy_range_to(to, 2, 5, 4), 4u);
    co_await gives(to.read_at(buffer, 5), 4u);
    CHECK(text(buffer, 4) == "2345");
    co_await gives(from.copy_range_to(to, 8, 0, 100), 2u);
    co_await gives(from.copy_range_to(to, 10, 0, 100), 0u);
    co_await fails(from.copy_range_to(from, 0, 1, 5), EINVAL);
    const pipe_ends p = make_pipe(at);
    co_await fails(from.copy_range_to(p.in, 0, 0, 5), EINVAL);
    co_await fails(p.out.clone_to(to), EXDEV);
  });
}

TEST_CASE("a pipe is read and written at its stream position, and ends") {
  on_every_engine([](place& at) -> task<void> {
    pipe_ends p = make_pipe(at);
    std::array<std::byte, 16> buffer;
    co_await gives(p.in.write(bytes_of("abc")), 3u);
    co_await gives(p.in.write(bytes_of("de")), 2u);
    co_await gives(p.out.read(buffer), 5u);
    CHECK(text(buffer, 5) == "abcde");
    co_await gives(p.out.read(std::span(buffer).first(0)), 0u);
    co_await works(p.in.close());
    co_await gives(p.out.read(buffer), 0u);
    pipe_ends unread = make_pipe(at);
    co_await works(unread.out.close());
    co_await fails(unread.in.write(bytes_of("x")), EPIPE);
    iovec piece{buffer.data(), 4};
    co_await fails(unread.in.writev_at({&piece, 1}, asyncfs::stream_position), EPIPE);
  });
}

TEST_CASE("a file is read and written in sequence at its own position") {
  on_every_engine([](place& at) -> task<void> {
    const asyncfs::file f = co_await fresh(at);
    std::array<std::byte, 4> buffer;
    co_await gives(f.write(bytes_of("abc")), 3u);
    co_await gives(f.write(bytes_of("def")), 3u);
    const asyncfs::file again = co_await at.dir.open("file");
    co_await gives(again.read(buffer), 4u);
    CHECK(text(buffer, 4) == "abcd");
    co_await gives(again.read(buffer), 2u);
    co_await gives(again.read(buffer), 0u);
    co_await gives(again.read_at(std::span(buffer).first(1), 0), 1u);  // does not move it
    co_await gives(again.read(buffer), 0u);
  });
}

TEST_CASE("a read that waits for a pipe is given its bytes when they come") {
  on_every_engine([](place& at) -> task<void> {
    pipe_ends p = make_pipe(at);
    std::array<std::byte, 8> buffer, other;
    asyncfs::future<std::size_t> first = asyncfs::spawn(at.home, p.out.read(buffer));
    iovec piece{other.data(), other.size()};
    co_await asyncfs::sleep_for(std::chrono::milliseconds(2));
    CHECK_FALSE(first.ready());
    co_await works(p.in.write(bytes_of("now")));
    const std::size_t got = co_await std::move(first);
    CHECK(text(buffer, got) == "now");
    asyncfs::future<std::size_t> second =
        asyncfs::spawn(at.home, p.out.readv_at({&piece, 1}, asyncfs::stream_position));
    co_await asyncfs::sleep_for(std::chrono::milliseconds(2));
    CHECK_FALSE(second.ready());
    co_await works(p.in.write(bytes_of("then")));
    const std::size_t more = co_await std::move(second);
    CHECK(text(other, more) == "then");
  });
}

TEST_CASE("a write that waits for room in a pipe goes on when somebody reads") {
  on_every_engine([](place& at) -> task<void> {
    pipe_ends p = make_pipe(at, 4096);
    const std::vector<std::byte> page(4096, std::byte{'p'});
    std::vector<std::byte> back(4096);
    co_await gives(p.in.write(page), 4096u);
    asyncfs::future<std::size_t> waiting = asyncfs::spawn(at.home, p.in.write(page));
    co_await asyncfs::sleep_for(std::chrono::milliseconds(2));
    CHECK_FALSE(waiting.ready());
    co_await gives(p.out.read(back), 4096u);
    const std::size_t written = co_await std::move(waiting);
    CHECK(written == 4096);
    co_await gives(p.out.read(back), 4096u);
  });
}

TEST_CASE("a read on an empty pipe ends as cancelled, plain and vectored, and the pipe goes on") {
  on_every_engine([](place& at) -> task<void> {
    pipe_ends p = make_pipe(at);
    std::array<std::byte, 8> buffer;
    iovec piece{buffer.data(), buffer.size()};
    auto waits = [](auto op, int& error) -> task<void> {
      const auto r = co_await asyncfs::as_result(std::move(op));
      error = r ? 0 : r.error().value();
    };
    for (const bool vectored : {false, true}) {
      int error = -1;
      {
        asyncfs::future<void> dropped =
            vectored ? asyncfs::spawn(at.home, waits(p.out.readv_at({&piece, 1}, asyncfs::stream_position), error))
                     : asyncfs::spawn(at.home, waits(p.out.read(buffer), error));
        co_await asyncfs::sleep_for(std::chrono::milliseconds(2));
        CHECK_FALSE(dropped.ready());
      }
      for (int i = 0; i < 1000 && error == -1; ++i) co_await asyncfs::sleep_for(std::chrono::milliseconds(1));
      CHECK(error == ECANCELED);
    }
    co_await works(p.in.write(bytes_of("still here")));
    co_await gives(p.out.read(buffer), 8u);
  });
}

TEST_CASE("close gives the descriptor back, once") {
  on_every_engine([](place& at) -> task<void> {
    asyncfs::file f = co_await fresh(at);
    const int fd = f.fd();
    co_await works(f.close());
    CHECK(f.fd() == -1);
    if (at.is_real()) CHECK(::fcntl(fd, F_GETFD) == -1);
    asyncfs::file gone(fd);
    co_await fails(gone.status(), EBADF);
    CHECK(gone.release() == fd);
    co_await fails(f.close(), EBADF);
  });
}

TEST_CASE("closing cannot be cancelled: a scope that ends early loses no descriptor") {
  on_every_engine([](place& at) -> task<void> {
    asyncfs::file f = co_await at.dir.create("file", O_RDWR, 0600);
    const int number = f.fd();
    const asyncfs::task_context here = co_await asyncfs::this_task;
    asyncfs::cancel_scope ended(&here.scope);
    ended.cancel();
    auto close = [](asyncfs::file& open) -> task<void> { co_await open.close(); };
    co_await close(f).in(ended);
    CHECK(::fcntl(number, F_GETFD) == -1);
  });
}

TEST_CASE("descriptors are not inherited by programs that are started") {
  on_every_engine([](place& at) -> task<void> {
    if (at.left_out_in_memory("descriptors that programs inherit")) co_return;
    const asyncfs::file made = co_await fresh(at);
    const asyncfs::file opened = co_await at.dir.open("file");
    const asyncfs::directory dir = co_await at.dir.open_directory(".");
    const asyncfs::socket s = co_await asyncfs::socket::open(AF_UNIX, SOCK_STREAM);
    for (const int fd : {made.fd(), opened.fd(), dir.fd(), s.fd()}) CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  });
}
