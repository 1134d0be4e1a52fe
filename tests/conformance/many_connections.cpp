// A thousand connections on one loop, every byte checked on both sides.
#include <unistd.h>

#include "../support/engines.hpp"

using asyncfs::task;

namespace {

constexpr std::size_t connections = 1000, rounds = 5, message = 64;

// The bytes that connection `who` sends in round `round`: no two are alike.
std::array<std::byte, message> letter(std::size_t who, std::size_t round) {
  std::array<std::byte, message> text;
  for (std::size_t i = 0; i < message; ++i)
    text[i] = static_cast<std::byte>(who * 131 + round * 17 + i * 7 + (who >> 8));
  text[0] = static_cast<std::byte>(who);
  text[1] = static_cast<std::byte>(who >> 8);
  return text;
}

struct tally {
  std::size_t served = 0, right = 0, wrong = 0;
};

// Sends back what it gets until the peer ends.
task<void> echo(asyncfs::socket connection, tally& counted) {
  std::array<std::byte, message> buffer;
  for (;;) {
    const std::size_t got = co_await asyncfs::receive_all(connection, buffer);
    if (got == 0) break;
    co_await asyncfs::send_all(connection, std::span(buffer).first(got));
  }
  ++counted.served;
}

task<void> client(asyncfs::endpoint server, std::size_t who, tally& counted) {
  const asyncfs::socket s = co_await asyncfs::connect(server);
  std::array<std::byte, message> buffer;
  for (std::size_t round = 0; round < rounds; ++round) {
    const auto sent = letter(who, round);
    co_await asyncfs::send_all(s, sent);
    const std::size_t got = co_await asyncfs::receive_all(s, buffer);
    ++(got == message && buffer == sent ? counted.right : counted.wrong);
  }
}

task<void> serve(asyncfs::listener& incoming, tally& counted) {
  const asyncfs::task_context at = co_await asyncfs::this_task;
  std::vector<asyncfs::future<void>> all;
  while (auto connection = co_await incoming.next())
    all.push_back(asyncfs::spawn(at.home, echo(std::move(*connection), counted)));
  for (auto& one : all) co_await std::move(one);
}

task<void> ping_pong(tests::place& at, asyncfs::endpoint wanted) {
  tally counted;
  const std::unique_ptr<asyncfs::listener> incoming = co_await asyncfs::listen(wanted);
  asyncfs::future<void> serving = asyncfs::spawn(at.home, serve(*incoming, counted));
  std::vector<task<void>> clients;
  for (std::size_t i = 0; i < connections; ++i) clients.push_back(client(*incoming->bound().local(), i, counted));
  co_await asyncfs::when_all(std::move(clients));
  co_await incoming->stop();
  co_await std::move(serving);
  CHECK(counted.right == connections * rounds);
  CHECK(counted.wrong == 0);
  CHECK(counted.served == connections);
}

bool enough_descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < 2500) {
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 20000);
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur >= 2500) return true;
  tests::leave_out("a thousand connections: RLIMIT_NOFILE is " + std::to_string(limit.rlim_cur) + ", 2500 are needed");
  return false;
}

}  // namespace

TEST_CASE("a thousand TCP connections ping-pong on one loop without a lost or mixed byte") {
  if (!enough_descriptors()) return;
  tests::on_every_engine([](tests::place& at) { return ping_pong(at, asyncfs::endpoint::loopback(0)); });
}

TEST_CASE("a thousand Unix connections ping-pong on one loop without a lost or mixed byte") {
  if (!enough_descriptors()) return;
  tests::on_every_engine(
      [](tests::place& at) { return ping_pong(at, *asyncfs::endpoint::unix_path(at.path + "/socket")); });
}
