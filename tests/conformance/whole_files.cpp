// read_file, write_file and copy_file.
#include <fcntl.h>
#include <unistd.h>

#include "../support/engines.hpp"

using asyncfs::task;
using tests::fails;
using tests::on_every_engine;
using tests::place;
using tests::works;

namespace {

template <class T>
task<int> error_of(task<T> work) {
  int error = 0;
  try {
    co_await std::move(work);
  } catch (const std::system_error& e) {
    error = e.code().value();
  }
  co_return error;
}

std::string pattern(std::size_t size) {
  std::string s(size, '\0');
  for (std::size_t i = 0; i < size; ++i) s[i] = static_cast<char>('a' + (i * 31 + i / 977) % 26);
  return s;
}

}  // namespace

TEST_CASE("a file is written and read whole, whatever its size") {
  on_every_engine([](place& at) -> task<void> {
    for (const std::size_t size : {0ul, 1ul, 511ul, 512ul, 65536ul, 1000003ul}) {
      const std::string content = pattern(size);
      co_await asyncfs::write_file(at.dir, "file", content);
      const std::string back = co_await asyncfs::read_file(at.dir, "file");
      CHECK(back == content);
    }
  });
}

TEST_CASE("reading a whole file stops at the limit, and only past it") {
  on_every_engine([](place& at) -> task<void> {
    co_await asyncfs::write_file(at.dir, "file", "0123456789");
    const std::string exact = co_await asyncfs::read_file(at.dir, "file", 10);
    CHECK(exact == "0123456789");
    const std::string unlimited = co_await asyncfs::read_file(at.dir, "file", static_cast<std::size_t>(-1));
    CHECK(unlimited == "0123456789");
    const int error = co_await error_of(asyncfs::read_file(at.dir, "file", 9));
    CHECK(error == EFBIG);
    const int none = co_await error_of(asyncfs::read_file(at.dir, "file", 0));
    CHECK(none == EFBIG);
  });
}

TEST_CASE("files that claim to be empty are read to their end") {
  on_every_engine([](place& at) -> task<void> {
    if (at.left_out_in_memory("files that lie about their size")) co_return;
    const std::string status = co_await asyncfs::read_file("/proc/self/status");
    CHECK(status.find("VmRSS") != std::string::npos);
    const std::string maps = co_await asyncfs::read_file("/proc/self/maps");
    CHECK(maps.back() == '\n');
  });
}

TEST_CASE("reading and writing whole files fails with the system's error") {
  on_every_engine([](place& at) -> task<void> {
    co_await works(at.dir.make_directory("dir", 0700));
    const int missing = co_await error_of(asyncfs::read_file(at.dir, "missing"));
    CHECK(missing == ENOENT);
    const int directory = co_await error_of(asyncfs::read_file(at.dir, "dir"));
    CHECK(directory == EISDIR);
    const int written = co_await error_of(asyncfs::write_file(at.dir, "dir", "x"));
    CHECK(written == EISDIR);
    if (at.left_out_in_memory("/dev/full")) co_return;
    const int full = co_await error_of(asyncfs::write_file("/dev/full", "x"));
    CHECK(full == ENOSPC);
  });
}

TEST_CASE("a copy holds the same bytes, with and without sharing, and past the page cache") {
  on_every_engine([](place& at) -> task<void> {
    for (const std::size_t size : {0ul, 1ul, 300000ul}) {
      const std::string content = pattern(size);
      co_await asyncfs::write_file(at.dir, "from", content);
      for (const asyncfs::copy_options& how :
           {asyncfs::copy_options{.reflink = asyncfs::reflink::never},
            {.reflink = asyncfs::reflink::automatic},
            {.reflink = asyncfs::reflink::never, .cache = asyncfs::page_cache::spare}}) {
        const asyncfs::file from = co_await at.dir.open("from");
        const asyncfs::file to = co_await at.dir.create("to", O_RDWR | O_TRUNC, 0600);
        const asyncfs::copy_outcome outcome = co_await asyncfs::copy_file(from, to, how);
        CHECK(outcome.bytes == size);
        const std::string back = co_await asyncfs::read_file(at.dir, "to");
        CHECK(back == content);
      }
    }
  });
}

TEST_CASE("holes stay holes in a copy: at the beginning, in the middle, at the end, or all of it") {
  on_every_engine([](place& at) -> task<void> {
    struct shape {
      std::vector<std::uint64_t> data;  // where 4 KiB of data lie
      std::uint64_t size;
    };
    const std::uint64_t mib = 1 << 20;
    for (const shape& s :
         {shape{{}, 8 * mib}, shape{{0}, 8 * mib}, shape{{4 * mib}, 8 * mib}, shape{{8 * mib - 4096}, 8 * mib},
          shape{{0, 3 * mib, 6 * mib}, 8 * mib + 5}, shape{{std::uint64_t{5} << 30}, (5ull << 30) + 100 * mib}}) {
      const asyncfs::file from = co_await at.dir.create("from", O_RDWR | O_TRUNC, 0600);
      const std::string block = pattern(4096);
      for (const std::uint64_t at_offset : s.data)
        co_await asyncfs::write_all_at(from, tests::bytes_of(block), at_offset);
      co_await works(from.truncate(s.size));
      const asyncfs::file to = co_await at.dir.create("to", O_RDWR | O_TRUNC, 0600);
      const asyncfs::copy_outcome outcome = co_await asyncfs::copy_file(from, to, {.reflink = asyncfs::reflink::never});
      CHECK(outcome.bytes == s.size);
      const asyncfs::file_status before = co_await from.status(), after = co_await to.status();
      CHECK(after.size == s.size);
      CHECK(after.blocks <= before.blocks + 16);
      std::string back(4096, '\0');
      for (const std::uint64_t at_offset : s.data) {
        const std::size_t got = co_await to.read_at(std::as_writable_bytes(std::span(back)), at_offset);
        CHECK(back.substr(0, got) == block.substr(0, got));
      }
    }
  });
}

TEST_CASE("a file that says it is empty is copied with all it gives") {
  on_every_engine([](place& at) -> task<void> {
    if (at.left_out_in_memory("files that lie about their size")) co_return;
    const asyncfs::file from = co_await asyncfs::open("/proc/self/status");
    const asyncfs::file to = co_await at.dir.create("to", O_RDWR, 0600);
    const asyncfs::copy_outcome outcome = co_await asyncfs::copy_file(from, to);
    CHECK(outcome.bytes > 100);
    const std::string back = co_await asyncfs::read_file(at.dir, "to");
    CHECK(back.size() == outcome.bytes);
  });
}

TEST_CASE("a reflink that was demanded and cannot be is an error, not a copy") {
  on_every_engine([](place& at) -> task<void> {
    if (at.left_out_in_memory("files that lie about their size")) co_return;
    const asyncfs::file from = co_await asyncfs::open("/proc/self/status");
    const asyncfs::file to = co_await at.dir.create("to", O_RDWR, 0600);
    const int error = co_await error_of(asyncfs::copy_file(from, to, {.reflink = asyncfs::reflink::always}));
    CHECK((error == EXDEV || error == EOPNOTSUPP || error == EINVAL));
    const asyncfs::file_status s = co_await to.status();
    CHECK(s.size == 0);
  });
}
