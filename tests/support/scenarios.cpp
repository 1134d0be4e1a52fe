#include "scenarios.hpp"

#include <dirent.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <utility>

using asyncfs::task;
using namespace std::chrono_literals;

namespace tests {

namespace {

constexpr std::size_t small_size = 1000;
constexpr std::size_t large_size = 300'000;

// The byte that every file of these scenarios has at a place.
std::byte byte_at(std::size_t offset) noexcept { return static_cast<std::byte>(offset * 31 + offset / 251); }

void expect(bool holds, const char* what) {
  if (!holds) throw wrong_outcome(what);
}

// ---- preparing, and looking at what came out, without the library and without allocating

class plain_file {
 public:
  plain_file(int directory, const char* name, int flags) : fd_(::openat(directory, name, flags | O_CLOEXEC, 0600)) {
    if (fd_ < 0) throw std::system_error(errno, std::system_category(), name);
  }
  plain_file(const plain_file&) = delete;
  plain_file& operator=(const plain_file&) = delete;
  ~plain_file() { ::close(fd_); }

  void fill(std::size_t from, std::size_t to) const {
    std::array<std::byte, 4096> piece;
    for (std::size_t at = from; at < to; at += piece.size()) {
      const std::size_t count = std::min(piece.size(), to - at);
      for (std::size_t i = 0; i < count; ++i) piece[i] = byte_at(at + i);
      expect(::pwrite(fd_, piece.data(), count, static_cast<off_t>(at)) == static_cast<ssize_t>(count), "prepared");
    }
  }
  void stretch(std::size_t size) const { expect(::ftruncate(fd_, static_cast<off_t>(size)) == 0, "stretched"); }
  // Whether [from, to) holds what `fill` writes, and the file is `size` long.
  [[nodiscard]] bool holds(std::size_t from, std::size_t to, std::size_t size) const {
    struct stat status{};
    if (::fstat(fd_, &status) != 0 || static_cast<std::size_t>(status.st_size) != size) return false;
    std::array<std::byte, 4096> piece;
    for (std::size_t at = from; at < to; at += piece.size()) {
      const std::size_t count = std::min(piece.size(), to - at);
      if (::pread(fd_, piece.data(), count, static_cast<off_t>(at)) != static_cast<ssize_t>(count)) return false;
      for (std::size_t i = 0; i < count; ++i)
        if (piece[i] != byte_at(at + i)) return false;
    }
    return true;
  }

 private:
  int fd_;
};

class plain_directory {
 public:
  explicit plain_directory(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (fd_ < 0) throw std::system_error(errno, std::system_category(), path);
  }
  plain_directory(const plain_directory&) = delete;
  plain_directory& operator=(const plain_directory&) = delete;
  ~plain_directory() { ::close(fd_); }
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

bool has(const place& at, const char* name, std::size_t size) {
  return plain_file(at.dir.fd(), name, O_RDONLY).holds(0, size, size);
}
bool exists(const place& at, const char* name) {
  return ::faccessat(at.dir.fd(), name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void prepare_files(const std::string& path) {
  const plain_directory dir(path);
  plain_file(dir.fd(), "small", O_RDWR | O_CREAT).fill(0, small_size);
  plain_file(dir.fd(), "large", O_RDWR | O_CREAT).fill(0, large_size);
}

constexpr std::size_t sparse_size = std::size_t{3} << 20, island = std::size_t{1} << 20;
void prepare_sparse(const std::string& path) {
  const plain_directory dir(path);
  const plain_file sparse(dir.fd(), "sparse", O_RDWR | O_CREAT);
  sparse.stretch(sparse_size);
  sparse.fill(island, island + 8192);
}

constexpr std::size_t tree_directories = 4, files_each = 5;
void prepare_tree(const std::string& path) {
  const plain_directory dir(path);
  expect(::mkdirat(dir.fd(), "tree", 0700) == 0, "tree");
  for (std::size_t d = 0; d < tree_directories; ++d) {
    const std::string name = "tree/" + std::to_string(d);
    expect(::mkdirat(dir.fd(), name.c_str(), 0700) == 0, "directory");
    for (std::size_t f = 0; f < files_each; ++f)
      plain_file(dir.fd(), (name + "/" + std::to_string(f)).c_str(), O_RDWR | O_CREAT).fill(0, 10);
  }
}

// And links to a directory and to a file in it.
void prepare_linked_tree(const std::string& path) {
  prepare_tree(path);
  const plain_directory dir(path);
  expect(::symlinkat("0", dir.fd(), "tree/directory") == 0, "link to a directory");
  expect(::symlinkat("0/0", dir.fd(), "tree/file") == 0, "link to a file");
}

// Bytes as `byte_at` gives them, without the heap.
template <std::size_t N>
std::array<std::byte, N> pattern() {
  std::array<std::byte, N> bytes;
  for (std::size_t i = 0; i < N; ++i) bytes[i] = byte_at(i);
  return bytes;
}
bool is_pattern(std::span<const std::byte> bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if (bytes[i] != byte_at(i)) return false;
  return true;
}
std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// ---- whole files

task<void> read_a_small_file(place& at) {
  const std::string content = co_await asyncfs::read_file(at.dir, "small");
  expect(content.size() == small_size && is_pattern(bytes_of(content)), "what was read");
}

task<void> read_a_large_file(place& at) {
  const std::string content = co_await asyncfs::read_file(at.dir, "large");
  expect(content.size() == large_size && is_pattern(bytes_of(content)), "what was read");
}

task<void> write_a_file(place& at) {
  const auto bytes = pattern<small_size>();
  co_await asyncfs::write_file(at.dir, "written", text_of(bytes));
  expect(has(at, "written", small_size), "what was written");
}

task<void> replace_a_file_at_once(place& at) {
  const auto bytes = pattern<small_size>();
  asyncfs::file temporary = co_await at.dir.create(".new", O_WRONLY | O_EXCL, 0600);
  co_await asyncfs::write_all_at(temporary, bytes, 0);
  co_await temporary.sync_data();
  co_await temporary.close();
  co_await at.dir.rename(".new", at.dir, "replaced");
  expect(has(at, "replaced", small_size), "what was published");
}

task<void> copy_a_file(place& at) {
  const asyncfs::file from = co_await at.dir.open("large");
  asyncfs::file to = co_await at.dir.create("copy", O_RDWR | O_EXCL, 0600);
  const asyncfs::copy_outcome copied = co_await asyncfs::copy_file(from, to);
  co_await to.close();
  expect(copied.bytes == large_size && has(at, "copy", large_size), "the copy");
}

task<void> copy_a_file_with_holes(place& at) {
  const asyncfs::copy_options options{.reflink = asyncfs::reflink::never};
  const asyncfs::file from = co_await at.dir.open("sparse");
  asyncfs::file to = co_await at.dir.create("copy", O_RDWR | O_EXCL, 0600);
  const asyncfs::copy_outcome copied = co_await asyncfs::copy_file(from, to, options);
  co_await to.close();
  expect(copied.bytes == sparse_size, "the size of the copy");
  expect(plain_file(at.dir.fd(), "copy", O_RDONLY).holds(island, island + 8192, sparse_size), "the copy");
}

// ---- files and directories

task<void> transfer_in_pieces(place& at) {
  const asyncfs::file f = co_await at.dir.create("pieces", O_RDWR, 0600);
  auto out = pattern<512>();
  std::array<std::byte, 512> in{};
  const std::array<iovec, 2> from{iovec{out.data(), 200}, iovec{out.data() + 200, 312}};
  const std::array<iovec, 2> to{iovec{in.data(), 100}, iovec{in.data() + 100, 412}};
  const std::size_t written = co_await f.writev_at(from, 0);
  expect(written == 512, "all pieces written");
  const std::size_t read = co_await f.readv_at(to, 0);
  expect(read == 512 && is_pattern(in), "all pieces read");
}

task<void> look_after_a_file(place& at) {
  const asyncfs::file f = co_await at.dir.open("small", O_RDWR);
  co_await f.set_mode(0640);
  co_await f.set_times({1'500'000'000, 5}, {1'500'000'001, 6});
  co_await f.advise(0, 0, POSIX_FADV_SEQUENTIAL);
  co_await f.truncate(small_size / 2);
  co_await f.sync();
  const asyncfs::file_status status = co_await f.status();
  expect(status.size == small_size / 2 && (status.mode & 0777) == 0640, "the status");
}

task<void> arrange_names(place& at) {
  co_await at.dir.make_directory("d", 0700);
  const asyncfs::directory d = co_await at.dir.open_directory("d");
  co_await at.dir.link("small", d, "hard");
  co_await d.symlink("hard", "soft");
  const std::string target = co_await d.read_link("soft");
  expect(target == "hard", "the link's target");
  co_await d.rename("hard", d, "moved");
  const asyncfs::file_status status = co_await d.status("moved");
  expect(status.size == small_size && status.links == 2, "the status of the name");
  co_await d.remove("moved");
  co_await d.remove("soft");
  co_await at.dir.remove_directory("d");
  expect(!exists(at, "d"), "a removed directory");
}

task<void> read_a_directory(place& at) {
  const asyncfs::directory d = co_await at.dir.open_directory("tree");
  alignas(8) std::array<std::byte, 2048> buffer;
  std::size_t found = 0;
  for (;;) {
    const std::size_t used = co_await d.read_entries(buffer);
    if (used == 0) break;
    asyncfs::for_each_entry(std::span(buffer).first(used), [&](const asyncfs::directory_entry&) { ++found; });
  }
  expect(found == tree_directories, "all entries");
}

task<void> list_a_directory(place& at) {
  alignas(8) std::array<std::byte, 2048> buffer;
  asyncfs::list_arguments list{.buffer = buffer.data(), .capacity = buffer.size()};
  const auto listed = co_await asyncfs::as_result(at.dir.list("tree", list, {}));
  const asyncfs::descriptor opened(list.directory);
  if (!listed) throw std::system_error(listed.error(), "list");
  std::size_t found = 0;
  asyncfs::for_each_entry(std::span(buffer).first(list.used), [&](const asyncfs::directory_entry&) { ++found; });
  expect(list.at_end && found == tree_directories, "all entries");
}

task<void> take_all(asyncfs::walk& tree, std::size_t& found) {
  while (auto entry = co_await tree.next()) {
    if (entry->error) throw std::system_error(entry->error, std::string(entry->operation));
    // A root that could not be asked what it is: whoever opens it is told.
    if (entry->type() == DT_UNKNOWN) throw std::system_error(EISDIR, std::system_category(), entry->name());
    ++found;
  }
}
task<void> walk_in(place& at, asyncfs::walk_options options, std::size_t files) {
  std::vector<asyncfs::walk_root> roots;
  roots.push_back({.path = at.path + "/tree"});
  asyncfs::walk tree(std::move(roots), std::move(options));
  std::size_t found = 0;
  co_await asyncfs::when_all(tree.drive(), tree.drive(), take_all(tree, found));
  expect(found == files, "all files of the tree");
}
task<void> walk_unordered(place& at) { return walk_in(at, {}, tree_directories * files_each); }
task<void> walk_in_order(place& at) {
  return walk_in(at, {.order = asyncfs::walk_order::bytes}, tree_directories * files_each);
}
task<void> walk_along_links(place& at) {
  return walk_in(at, {.order = asyncfs::walk_order::bytes, .follow = true}, (tree_directories + 1) * files_each + 1);
}

// ---- sockets and pipes

constexpr std::size_t message_size = 4000;

task<void> echo(asyncfs::socket with) {
  std::array<std::byte, message_size> buffer;
  const std::size_t got = co_await asyncfs::receive_all(with, buffer);
  co_await asyncfs::send_all(with, std::span(buffer).first(got));
}

task<void> ask(asyncfs::endpoint server) {
  const asyncfs::socket s = co_await asyncfs::connect(server);
  const auto question = pattern<message_size>();
  std::array<std::byte, message_size> answer{};
  co_await asyncfs::send_all(s, question);
  const std::size_t got = co_await asyncfs::receive_all(s, answer);
  // A server that failed ends the connection early: that is its failure to report.
  if (got != message_size) throw std::system_error(ECONNABORTED, std::system_category(), "answer");
  expect(is_pattern(answer), "the answer");
}

task<void> serve(asyncfs::listener& incoming, std::size_t connections) {
  const asyncfs::task_context here = co_await asyncfs::this_task;
  asyncfs::scope serving(here);
  std::exception_ptr failed;
  try {
    for (std::size_t i = 0; i < connections; ++i) {
      auto connection = co_await incoming.next();
      if (!connection) throw std::system_error(ECANCELED, std::system_category(), "serve");
      serving.spawn(echo(*std::move(connection)));
    }
  } catch (...) {
    failed = std::current_exception();
    serving.cancel();
  }
  co_await serving.join();
  if (failed) std::rethrow_exception(failed);
}

task<void> ask_often(asyncfs::endpoint server, std::size_t times) {
  for (std::size_t i = 0; i < times; ++i) co_await ask(server);
}

task<void> serve_at(asyncfs::endpoint address, std::size_t connections) {
  const std::unique_ptr<asyncfs::listener> incoming = co_await asyncfs::listen(address);
  task<void> stop = incoming->stop();  // made while it can be: stopping is not to fail
  std::exception_ptr failed;
  try {
    co_await asyncfs::when_all(serve(*incoming, connections), ask_often(*incoming->bound().local(), connections));
  } catch (...) {
    failed = std::current_exception();
  }
  co_await std::move(stop);
  if (failed) std::rethrow_exception(failed);
}
task<void> talk_over_tcp(place&) { return serve_at(asyncfs::endpoint::loopback(0), 1); }
task<void> talk_over_a_unix_socket(place& at) { return serve_at(*asyncfs::endpoint::unix_path(at.path + "/s"), 1); }
task<void> serve_several(place&) { return serve_at(asyncfs::endpoint::loopback(0), 3); }

task<void> pass_through_a_pipe(place&) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::system_category(), "pipe2");
  const asyncfs::file reading(ends[0]);
  asyncfs::file writing(ends[1]);
  const auto out = pattern<256>();
  std::array<std::byte, 256> in{};
  const auto [read, written] = co_await asyncfs::when_all(reading.read(in), writing.write(out));
  expect(read == 256 && written == 256 && is_pattern(in), "what came through");
  co_await writing.close();
  const std::size_t at_end = co_await reading.read(in);
  expect(at_end == 0, "the end of the pipe");
}

// ---- several at once

task<void> write_numbered(const asyncfs::directory& dir, std::size_t number) {
  const std::array<char, 3> name{'n', static_cast<char>('a' + number), '\0'};
  const auto bytes = pattern<64>();
  co_await asyncfs::write_file(dir, name.data(), text_of(bytes));
}
bool all_numbered(const place& at, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::array<char, 3> name{'n', static_cast<char>('a' + i), '\0'};
    if (!has(at, name.data(), 64)) return false;
  }
  return true;
}

task<void> wait_for_all(place& at) {
  const auto [small, large] =
      co_await asyncfs::when_all(asyncfs::read_file(at.dir, "small"), asyncfs::read_file(at.dir, "large"));
  expect(small.size() == small_size && large.size() == large_size, "both files");
}

task<void> wait_for_a_vector(place& at) {
  std::vector<task<void>> tasks;
  for (std::size_t i = 0; i < 4; ++i) tasks.push_back(write_numbered(at.dir, i));
  co_await asyncfs::when_all(std::move(tasks));
  expect(all_numbered(at, 4), "all files");
}

task<void> settle_all(place& at) {
  auto ended = co_await asyncfs::when_all_settled(asyncfs::read_file(at.dir, "small"), at.dir.open("absent"));
  auto& [read, opened] = ended;
  expect(!opened.has_value(), "a missing file");
  if (!read) std::rethrow_exception(read.error());
  expect(read->size() == small_size, "the file");
}

task<void> take_the_first_success(place& at) {
  auto first = co_await asyncfs::when_any(asyncfs::read_file(at.dir, "absent"), asyncfs::read_file(at.dir, "small"));
  expect(first.index() == 1 && std::get<1>(first).size() == small_size, "the one that is there");
}

task<void> race_a_read_against_time(place& at) {
  const asyncfs::file f = co_await at.dir.open("small");
  std::array<std::byte, small_size> buffer;
  const auto first = co_await asyncfs::race(f.read_at(buffer, 0), asyncfs::sleep_for(1h));
  expect(first.index() == 0 && std::get<0>(first) == small_size && is_pattern(buffer), "the read");
}

task<void> give_up_waiting(place&) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw std::system_error(errno, std::system_category(), "socketpair");
  const asyncfs::socket silent(ends[0]), patient(ends[1]);
  std::array<std::byte, 8> buffer;
  bool timed_out = false;
  try {
    co_await asyncfs::with_timeout(patient.receive(buffer), 1ms);
  } catch (const std::system_error& e) {
    if (e.code() != std::errc::timed_out) throw;
    timed_out = true;
  }
  expect(timed_out, "no time-out");
}

task<void> work_a_few_at_a_time(place& at) {
  const std::array<std::size_t, 8> numbers{0, 1, 2, 3, 4, 5, 6, 7};
  const auto write = [&at](std::size_t number) { return write_numbered(at.dir, number); };
  co_await asyncfs::for_each_concurrent(numbers, 3, write);
  expect(all_numbered(at, numbers.size()), "all files");
}

task<void> spawn_in(asyncfs::scope& inside, place& at) {
  for (std::size_t i = 0; i < 5; ++i) inside.spawn(write_numbered(at.dir, i));
  co_await asyncfs::nop();
}
task<void> spawn_in_a_scope(place& at) {
  const auto body = [&at](asyncfs::scope& inside) { return spawn_in(inside, at); };
  co_await asyncfs::in_scope(body);
  expect(all_numbered(at, 5), "all files");
}

task<void> produce(asyncfs::channel<std::size_t>& into, const asyncfs::directory& dir) {
  for (std::size_t i = 0; i < 4; ++i) {
    co_await write_numbered(dir, i);
    co_await into.send(i);
  }
  into.close();
}
task<void> consume(asyncfs::channel<std::size_t>& from, const asyncfs::directory& dir, std::size_t& removed) {
  for (;;) {
    const auto next = co_await from.receive();
    if (!next) break;
    const std::array<char, 3> name{'n', static_cast<char>('a' + *next), '\0'};
    co_await dir.remove(name.data());
    ++removed;
  }
}
task<void> pass_through_a_channel(place& at) {
  asyncfs::channel<std::size_t> between(2);
  std::size_t removed = 0;
  co_await asyncfs::when_all(produce(between, at.dir), consume(between, at.dir, removed));
  expect(removed == 4 && !exists(at, "na"), "all passed on");
}

asyncfs::sequence<std::size_t> sizes(const asyncfs::directory& dir) {
  for (const char* name : {"small", "large"}) {
    const asyncfs::file_status status = co_await dir.status(name);
    co_yield status.size;
  }
}
task<void> take_from_a_sequence(place& at) {
  auto all = sizes(at.dir);
  std::size_t total = 0;
  for (;;) {
    const auto next = co_await all.next();
    if (!next) break;
    total += *next;
  }
  expect(total == small_size + large_size, "both sizes");
}

// ---- futures, callbacks, workers

task<void> chain_futures(place& at) {
  const asyncfs::file f = co_await at.dir.open("small");
  std::array<std::byte, small_size> buffer;
  bool finished = false;
  const std::size_t twice = co_await asyncfs::spawn(at.home, f.read_at(buffer, 0))
                                .then([](std::size_t n) { return n * 2; })
                                .finally([&finished] { finished = true; });
  expect(twice == 2 * small_size && finished && is_pattern(buffer), "the end of the chain");
}

task<void> recover_in_a_future(place& at) {
  const std::size_t value = co_await asyncfs::spawn(at.home, asyncfs::read_file(at.dir, "absent"))
                                .then([](std::string text) { return text.size(); })
                                .on_error([](const std::exception_ptr&) { return std::size_t{7}; });
  expect(value == 7, "the value in place of the error");
}

task<void> wait_for_a_callback(place& at) {
  asyncfs::event called;
  asyncfs::result<asyncfs::file_status> got = asyncfs::failure(EINPROGRESS);
  asyncfs::start(at.home, at.dir.status("small"), [&](asyncfs::result<asyncfs::file_status> r) {
    got = std::move(r);
    called.set();
  });
  co_await called.wait();
  if (!got) throw std::system_error(got.error(), "statx");
  expect(got->size == small_size, "the status");
}

task<void> compute_elsewhere(place&) {
  const int sum = co_await asyncfs::offload([] { return 40 + 2; });
  const int product = co_await asyncfs::offload_blocking([] { return 6 * 7; });
  expect(sum == 42 && product == 42, "what was computed");
}

task<void> sleep_between(place& at) {
  co_await asyncfs::sleep_for(1ms);
  const asyncfs::file_status status = co_await at.dir.status("small");
  co_await asyncfs::sleep_for(1ms);
  expect(status.size == small_size, "the status");
}

constexpr scenario all[] = {
    {"a small file is read", prepare_files, read_a_small_file},
    {"a large file is read", prepare_files, read_a_large_file},
    {"a file is written", nullptr, write_a_file},
    {"a file is replaced at once", nullptr, replace_a_file_at_once},
    {"a file is copied", prepare_files, copy_a_file},
    {"a file with holes is copied", prepare_sparse, copy_a_file_with_holes},
    {"bytes move in several pieces", nullptr, transfer_in_pieces},
    {"a file's attributes are changed", prepare_files, look_after_a_file},
    {"names are linked, moved and removed", prepare_files, arrange_names},
    {"a directory is read", prepare_tree, read_a_directory},
    {"a directory is listed in one operation", prepare_tree, list_a_directory},
    {"a tree is walked", prepare_tree, walk_unordered},
    {"a tree is walked in order", prepare_tree, walk_in_order},
    {"a tree is walked along its links", prepare_linked_tree, walk_along_links},
    {"a question is answered over TCP", nullptr, talk_over_tcp},
    {"a question is answered over a Unix socket", nullptr, talk_over_a_unix_socket},
    {"a listener serves several", nullptr, serve_several},
    {"bytes pass through a pipe", nullptr, pass_through_a_pipe},
    {"all of two are awaited", prepare_files, wait_for_all},
    {"all of a vector are awaited", nullptr, wait_for_a_vector},
    {"two are awaited to whatever end", prepare_files, settle_all},
    {"the first success is taken", prepare_files, take_the_first_success},
    {"a read is raced against time", prepare_files, race_a_read_against_time},
    {"a wait is given up", nullptr, give_up_waiting},
    {"a range is worked on, a few at a time", nullptr, work_a_few_at_a_time},
    {"tasks are spawned in a scope", nullptr, spawn_in_a_scope},
    {"values pass through a channel", nullptr, pass_through_a_channel},
    {"a sequence is taken to its end", prepare_files, take_from_a_sequence},
    {"futures are chained", prepare_files, chain_futures},
    {"a future recovers from an error", nullptr, recover_in_a_future},
    {"a callback is called", prepare_files, wait_for_a_callback},
    {"functions run on workers", nullptr, compute_elsewhere},
    {"time passes between operations", prepare_files, sleep_between},
};

}  // namespace

std::span<const scenario> scenarios() { return all; }

}  // namespace tests
