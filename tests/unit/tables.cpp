#include <sys/resource.h>
#include <asyncfs/asyncfs.hpp>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <set>

#include "../catch.hpp"
#include "../support/left_out.hpp"

using asyncfs::opcode;

TEST_CASE("every opcode has one row in the table, and is found by its code") {
  std::set<int> codes;
  for (const auto& row : asyncfs::opcode_table) {
    INFO(row.name);
    CHECK(codes.insert(static_cast<int>(row.code)).second);
    CHECK(&asyncfs::describe(row.code) == &row);
  }
}

TEST_CASE("no enumerator is missing in the table") {
  for (int code = 0; code <= static_cast<int>(opcode::pipe); ++code) {
    INFO(code);
    CHECK(static_cast<int>(asyncfs::describe(static_cast<opcode>(code)).code) == code);
  }
  for (int code = static_cast<int>(opcode::create); code <= static_cast<int>(opcode::pidfd_send_signal); ++code) {
    INFO(code);
    CHECK(static_cast<int>(asyncfs::describe(static_cast<opcode>(code)).code) == code);
  }
}

TEST_CASE("every operation has a name of its own") {
  std::set<std::string_view> names;
  for (const auto& row : asyncfs::opcode_table) {
    INFO(row.name);
    CHECK_FALSE(row.name.empty());
    CHECK(names.insert(row.name).second);
  }
}

TEST_CASE("what the kernel has no opcode for has a blocking twin, and never runs in the ring") {
  for (const auto& row : asyncfs::opcode_table) {
    if (row.since != asyncfs::kernel_version{}) continue;
    INFO(row.name);
    CHECK(static_cast<int>(row.code) >= 0xC0);
    CHECK_FALSE(row.twin.empty());
    CHECK(row.where != asyncfs::runs::in_ring);
  }
}

TEST_CASE("what may wait for a peer has a readiness to wait for, or is a wait by nature") {
  for (const opcode code : {opcode::recv, opcode::recvmsg, opcode::accept, opcode::poll_add}) {
    CHECK(asyncfs::describe(code).waits_for == asyncfs::readiness::input);
    CHECK_FALSE(asyncfs::describe(code).ends_by_itself);
  }
  for (const opcode code : {opcode::send, opcode::sendmsg, opcode::connect}) {
    CHECK(asyncfs::describe(code).waits_for == asyncfs::readiness::output);
    CHECK_FALSE(asyncfs::describe(code).ends_by_itself);
  }
}

TEST_CASE("a request is the kernel's 64-byte submission entry") {
  using asyncfs::request;
  CHECK(sizeof(request) == 64);
  CHECK(offsetof(request, code) == 0);
  CHECK(offsetof(request, flags) == 1);
  CHECK(offsetof(request, priority) == 2);
  CHECK(offsetof(request, fd) == 4);
  CHECK(offsetof(request, offset) == 8);
  CHECK(offsetof(request, address) == 16);
  CHECK(offsetof(request, length) == 24);
  CHECK(offsetof(request, options) == 28);
  CHECK(offsetof(request, user_data) == 32);
  CHECK(offsetof(request, buffer) == 40);
  CHECK(offsetof(request, personality) == 42);
  CHECK(offsetof(request, file_index) == 44);
  CHECK(offsetof(request, extra) == 48);
}

TEST_CASE("a completion tells whether more come and which buffer it carries") {
  using asyncfs::completion;
  CHECK(sizeof(completion) == 16);
  CHECK(completion{.user_data = 1, .value = 0, .flags = 0}.last());
  CHECK_FALSE(completion{.user_data = 1, .value = 0, .flags = completion::more}.last());
  const completion carries{.user_data = 1, .value = 5, .flags = completion::has_buffer | (7u << 16)};
  CHECK(carries.carries_buffer());
  CHECK(carries.buffer_id() == 7);
}

TEST_CASE("a failed result carries the system's error, and only a cancel counts as cancelled") {
  const asyncfs::result<int> failed = asyncfs::failure(ENOENT);
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error() == std::errc::no_such_file_or_directory);
  CHECK(failed.error().category() == std::system_category());
  CHECK_FALSE(asyncfs::is_cancelled(failed.error()));
  const asyncfs::result<void> cancelled = asyncfs::failure(ECANCELED);
  CHECK(asyncfs::is_cancelled(cancelled.error()));
  const asyncfs::result<std::string> passed_on = asyncfs::failure(failed.error());
  CHECK(passed_on.error() == failed.error());
}

TEST_CASE("an engine is asked for by name, and any other word is refused") {
  using asyncfs::engine_kind;
  CHECK(asyncfs::parse_engine_kind("auto") == engine_kind::automatic);
  CHECK(asyncfs::parse_engine_kind("uring") == engine_kind::uring);
  CHECK(asyncfs::parse_engine_kind("threads") == engine_kind::threads);
  CHECK(asyncfs::parse_engine_kind("sync") == engine_kind::sync);
  CHECK_FALSE(asyncfs::parse_engine_kind("").has_value());
  CHECK_FALSE(asyncfs::parse_engine_kind("URING").has_value());
}

TEST_CASE("the engine that was chosen says why, in words") {
  const auto chosen = asyncfs::make_engine();
  REQUIRE(chosen.has_value());
  CHECK_FALSE(chosen->reason.empty());
  if (chosen->engine->name() != "uring") tests::leave_out("the engine 'uring': " + chosen->reason);
  for (const int error : {ENOSYS, EPERM, ENOMEM, EMFILE, EOPNOTSUPP, EIO})
    CHECK_FALSE(asyncfs::explain_uring_refusal(std::error_code(error, std::system_category())).empty());
  CHECK(asyncfs::explain_uring_refusal({}).empty());
}

TEST_CASE("random numbers of two engines differ") {
  const auto one = asyncfs::make_engine({.kind = asyncfs::engine_kind::threads});
  const auto two = asyncfs::make_engine({.kind = asyncfs::engine_kind::threads});
  CHECK(one->engine->random() != two->engine->random());
  CHECK(one->engine->random() != one->engine->random());
}

TEST_CASE("a descriptor closes once, when its owner ends") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  {
    asyncfs::descriptor owner(ends[0]);
    asyncfs::descriptor next(std::move(owner));
    CHECK_FALSE(owner);
    CHECK(next.fd() == ends[0]);
    CHECK(::fcntl(ends[0], F_GETFD) >= 0);
  }
  CHECK(::fcntl(ends[0], F_GETFD) == -1);
  asyncfs::descriptor other(ends[1]);
  CHECK(other.release() == ends[1]);
  CHECK(::fcntl(ends[1], F_GETFD) >= 0);
  ::close(ends[1]);
}

TEST_CASE("room for descriptors is made at once, and none of them stays open") {
  const auto count_of = [](std::string_view what) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with(what)) return std::stoul(line.substr(what.size() + 1));
    return 0ul;
  };
  const auto open_now = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
  };
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const auto before = count_of("FDSize");
  const auto opened = open_now();
  if (2 * before > limit.rlim_cur) return tests::leave_out("a larger table: the limit on open files is too low");
  asyncfs::reserve_descriptors(2 * before);
  CHECK(count_of("FDSize") >= 2 * before);
  CHECK(open_now() == opened);
  asyncfs::reserve_descriptors(0);
  CHECK(open_now() == opened);
}
