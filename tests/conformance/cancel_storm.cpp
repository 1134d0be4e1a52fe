// A hundred thousand operations in flight on one loop, all of them cancelled, from three threads and in no order, while
// other code writes what half of them wait for: every operation ends once, and no byte is lost or made up.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "../support/engines.hpp"

using asyncfs::task;

namespace {

constexpr std::size_t pipes = 100, sockets = 100, channels = pipes + sockets;
constexpr std::size_t readers = 250;  // a channel: many operations wait for one descriptor
constexpr std::size_t timers = 50'000;
constexpr std::size_t operations = channels * readers + timers;
constexpr std::size_t most_taken = 8;   // bytes, by one operation
constexpr std::size_t letters = 4'000;  // few enough a channel that what nobody takes fits into its buffer
constexpr std::size_t longest_letter = 32;
constexpr std::size_t cancellers = 3;
constexpr std::size_t cancels_a_letter = operations / letters;
constexpr std::size_t cancels_a_turn = 16;

// Bytes that went one way.
struct tally {
  std::uint64_t count = 0, sum = 0;
  void add(std::span<const std::byte> bytes) noexcept {
    count += bytes.size();
    for (const std::byte one : bytes) sum += static_cast<std::uint64_t>(one);
  }
  bool operator==(const tally&) const = default;
};

// A pipe, or a connection.
struct channel {
  asyncfs::pipe_reader pipe_in{};
  asyncfs::pipe_writer pipe_out{};
  asyncfs::socket socket_in{}, socket_out{};
  [[nodiscard]] bool is_pipe() const noexcept { return static_cast<bool>(pipe_in); }
};

struct storm {
  explicit storm(tests::place& where) : at(where), order(operations) {
    for (std::size_t i = 0; i < pipes; ++i) {
      const auto both = at.make_pipe();
      all.push_back({.pipe_in = asyncfs::pipe_reader(both.first), .pipe_out = asyncfs::pipe_writer(both.second)});
    }
    for (std::size_t i = 0; i < sockets; ++i) {
      const auto both = at.make_socket_pair();
      all.push_back({.socket_in = asyncfs::socket(both.first), .socket_out = asyncfs::socket(both.second)});
    }
    for (std::size_t i = 0; i < operations; ++i) order[i] = i;
    std::ranges::shuffle(order, random);
  }

  tests::place& at;
  std::vector<channel> all;
  std::minstd_rand random{20};
  std::vector<std::size_t> order;  // of cancelling
  std::vector<asyncfs::future<void>> futures;
  std::vector<std::stop_source> sources;
  std::atomic<std::size_t> cancelled{0};

  // The loop's.
  std::vector<std::uint8_t> ends = std::vector<std::uint8_t>(operations);
  std::size_t ended = 0, unexpected = 0;
  tally written, taken, left;
  asyncfs::event all_ended;

  void end(std::size_t which, int error) {
    ++ends[which];
    unexpected += error != 0 && error != ECANCELED;
    if (++ended == operations) all_ended.set();
  }
  // Any thread, once for each: by one of the two ways there are.
  void cancel(std::size_t which) {
    if (which % 2 == 0)
      sources[which].request_stop();
    else
      futures[which] = {};
    cancelled.fetch_add(1);
  }
};

// What is written for the nth time, and where.
struct letter {
  std::size_t channel;
  std::array<std::byte, longest_letter> text;
  std::size_t length;
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return std::span(text).first(length); }
};
letter make_letter(std::minstd_rand& random) {
  letter made{.channel = random() % channels, .text = {}, .length = 1 + random() % longest_letter};
  for (std::byte& one : made.text) one = static_cast<std::byte>(random());
  return made;
}

template <class Result>
void note(storm& s, std::size_t which, std::span<const std::byte> buffer, const Result& r) {
  if (r) s.taken.add(buffer.first(*r));
  s.end(which, r ? 0 : r.error().value());
}
task<void> read(storm& s, std::size_t which, const channel& from) {
  std::array<std::byte, most_taken> buffer;
  const auto r = co_await asyncfs::as_result(from.pipe_in.read(buffer));
  note(s, which, buffer, r);
}
task<void> receive(storm& s, std::size_t which, const channel& from) {
  std::array<std::byte, most_taken> buffer;
  const auto r = co_await asyncfs::as_result(from.socket_in.receive(buffer));
  note(s, which, buffer, r);
}
task<void> wait(storm& s, std::size_t which) {
  int error = 0;
  try {
    co_await asyncfs::sleep_for(std::chrono::hours(1));
  } catch (const std::system_error& e) {
    error = e.code().value();
  }
  s.end(which, error);
}

task<void> make_operation(storm& s, std::size_t which) {
  const std::size_t of = which / readers;
  if (of >= channels) return wait(s, which);
  return s.all[of].is_pipe() ? read(s, which, s.all[of]) : receive(s, which, s.all[of]);
}

task<void> begin_all(storm& s) {
  s.sources.resize(operations, std::stop_source(std::nostopstate));
  for (std::size_t i = 0; i < operations; ++i) {
    if (i % 2 == 0) {
      s.sources[i] = std::stop_source();
      s.futures.push_back(
          asyncfs::spawn(s.at.home, asyncfs::with_stop_token(s.sources[i].get_token(), make_operation(s, i))));
    } else {
      s.futures.push_back(asyncfs::spawn(s.at.home, make_operation(s, i)));
    }
  }
  while (s.at.home.in_flight() + s.at.home.metrics().timers != operations) co_await asyncfs::yield();
  CHECK(s.at.home.in_flight() == channels * readers);
  CHECK(s.ended == 0);
}

// ---- from threads --------------------------------------------------------------------------------------------------

// Writes at an even pace over the whole storm; what it wrote.
tally write_by_system_calls(storm& s, std::minstd_rand random) {
  tally written;
  for (std::size_t i = 0; i < letters; ++i) {
    while (s.cancelled.load() < i * cancels_a_letter) std::this_thread::yield();
    const letter next = make_letter(random);
    const channel& to = s.all[next.channel];
    const int fd = to.is_pipe() ? to.pipe_out.fd() : to.socket_out.fd();
    const ssize_t bytes = ::write(fd, next.text.data(), next.length);
    written.add(next.bytes().first(static_cast<std::size_t>(std::max<ssize_t>(bytes, 0))));
  }
  return written;
}

task<void> from_threads(storm& s) {
  std::vector<std::jthread> threads;
  for (std::size_t t = 0; t < cancellers; ++t)
    threads.emplace_back([&s, t] {
      for (std::size_t i = t; i < operations; i += cancellers) s.cancel(s.order[i]);
    });
  threads.emplace_back([&s] { s.written = write_by_system_calls(s, s.random); });
  co_await s.all_ended.wait();
}

// ---- from the loop's own thread ------------------------------------------------------------------------------------

task<void> write_a_letter(storm& s) {
  const letter next = make_letter(s.random);
  const channel& to = s.all[next.channel];
  std::size_t bytes = 0;
  if (to.is_pipe())
    bytes = co_await to.pipe_out.write(next.bytes());
  else
    bytes = co_await to.socket_out.send(next.bytes());
  s.written.add(next.bytes().first(bytes));
}

task<void> from_here(storm& s) {
  for (std::size_t i = 0; i < operations; ++i) {
    s.cancel(s.order[i]);
    if (i % cancels_a_letter == 0) co_await write_a_letter(s);
    if (i % cancels_a_turn == 0) co_await asyncfs::yield();
  }
  co_await s.all_ended.wait();
}

// ---- afterwards ----------------------------------------------------------------------------------------------------

// Once nobody can write any more, what is left has an end.
task<void> take_what_is_left(storm& s) {
  std::array<std::byte, 4096> buffer;
  for (channel& one : s.all) {
    one.pipe_out = {};
    one.socket_out = {};
    for (std::size_t got = 1; got != 0;) {
      if (one.is_pipe())
        got = co_await one.pipe_in.read(buffer);
      else
        got = co_await one.socket_in.receive(buffer);
      s.left.add(std::span(buffer).first(got));
    }
  }
}

task<void> weather(tests::place& at) {
  storm s(at);
  co_await begin_all(s);
  if (at.engine.starts_with("sim"))
    co_await from_here(s);
  else
    co_await from_threads(s);
  CHECK(s.ended == operations);
  CHECK(static_cast<std::size_t>(std::ranges::count(s.ends, 1)) == operations);
  CHECK(s.unexpected == 0);
  CHECK(s.taken.count > 0);
  co_await take_what_is_left(s);
  CHECK(s.written.count > letters);
  CHECK(s.written.count == s.taken.count + s.left.count);
  CHECK(s.written.sum == s.taken.sum + s.left.sum);
}

}  // namespace

TEST_CASE("a hundred thousand operations that are all cancelled in any order each end once, and no byte is lost") {
  constexpr unsigned patience = 600;  // seconds, for sanitisers
  tests::on_every_engine([](tests::place& at) { return weather(at); }, patience);
}
