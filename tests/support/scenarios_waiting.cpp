#include "scenario_files.hpp"

#include <memory>
#include <utility>

using asyncfs::task;
using namespace std::chrono_literals;

namespace tests {

namespace {

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

std::span<const scenario> scenarios_of_waiting() { return all; }

}  // namespace tests
