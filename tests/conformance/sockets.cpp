// Stream sockets, TCP and Unix, and the listener.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>

#include "../support/engines.hpp"

using asyncfs::endpoint;
using asyncfs::task;
using tests::bytes_of;
using tests::fails;
using tests::gives;
using tests::on_every_engine;
using tests::place;
using tests::works;
using namespace std::chrono_literals;

namespace {

struct pair {
  asyncfs::socket a, b;
};
pair connected_pair(const place& at) {
  const auto both = at.make_socket_pair();
  return {asyncfs::socket(both.first), asyncfs::socket(both.second)};
}

// Both kinds of address that a stream can have.
std::vector<endpoint> addresses(const place& at) {
  return {endpoint::loopback(0), *endpoint::unix_path(at.path + "/socket")};
}

endpoint address_of(const asyncfs::listener& l) { return *l.bound().local(); }

template <class Op>
task<void> note_error(Op op, int& error) {
  const auto r = co_await asyncfs::as_result(std::move(op));
  error = r ? 0 : r.error().value();
}

task<void> until(const bool& flag) {
  for (int i = 0; i < 5000 && !flag; ++i) co_await asyncfs::sleep_for(1ms);
}

}  // namespace

TEST_CASE("addresses are made from text and shown again") {
  CHECK(endpoint::ip("127.0.0.1", 80)->to_string() == "127.0.0.1:80");
  CHECK(endpoint::ip("::1", 8080)->to_string() == "[::1]:8080");
  CHECK(endpoint::ip("example", 1).error().value() == EINVAL);
  CHECK(endpoint::loopback(5).port() == 5);
  CHECK(endpoint::unix_path("/run/x")->to_string() == "/run/x");
  CHECK(endpoint::unix_path("@name")->to_string() == "@name");
  CHECK(endpoint::unix_path("").error().value() == EINVAL);
  CHECK(endpoint::unix_path(std::string(107, 'x'))->to_string() == std::string(107, 'x'));
  CHECK(endpoint::unix_path(std::string(108, 'x')).error().value() == ENAMETOOLONG);
}

TEST_CASE("a connection is accepted once, bytes go both ways, and the end is seen") {
  on_every_engine([](place& at) -> task<void> {
    for (const endpoint& wanted : addresses(at)) {
      INFO(wanted.to_string());
      const asyncfs::socket server = co_await asyncfs::socket::open(wanted.family(), SOCK_STREAM);
      co_await works(server.bind(wanted));
      co_await works(server.listen());
      asyncfs::future<asyncfs::socket> accepting = asyncfs::spawn(at.home, server.accept());
      co_await asyncfs::sleep_for(1ms);
      CHECK_FALSE(accepting.ready());
      const asyncfs::socket client = co_await asyncfs::connect(*server.local());
      asyncfs::socket served = co_await std::move(accepting);
      if (at.is_real()) CHECK((::fcntl(served.fd(), F_GETFD) & FD_CLOEXEC) != 0);
      std::array<std::byte, 16> buffer;
      co_await gives(client.send(bytes_of("ping")), 4u);
      co_await gives(served.receive(buffer), 4u);
      co_await gives(served.send(bytes_of("pong!")), 5u);
      co_await gives(client.receive(std::span(buffer).first(2)), 2u);
      co_await gives(client.receive(buffer), 3u);
      co_await works(client.shutdown(SHUT_WR));
      co_await gives(served.receive(buffer), 0u);
      co_await gives(served.send(bytes_of("late")), 4u);
      co_await gives(client.receive(buffer), 4u);
      co_await works(served.close());
      co_await gives(client.receive(buffer), 0u);
    }
  });
}

TEST_CASE("every socket operation on what is closed, no socket, or not connected says so") {
  on_every_engine([](place& at) -> task<void> {
    std::array<std::byte, 8> buffer{};
    const asyncfs::socket none;
    co_await fails(none.send(buffer), EBADF);
    co_await fails(none.receive(buffer), EBADF);
    co_await fails(none.accept(), EBADF);
    co_await fails(none.connect(endpoint::loopback(1)), EBADF);
    co_await fails(none.bind(endpoint::loopback(0)), EBADF);
    co_await fails(none.listen(), EBADF);
    co_await fails(none.shutdown(SHUT_RDWR), EBADF);
    asyncfs::socket file((co_await at.dir.create("file", O_RDWR, 0600)).release());
    co_await fails(file.send(buffer), ENOTSOCK);
    co_await fails(file.receive(buffer), ENOTSOCK);
    co_await fails(file.accept(), ENOTSOCK);
    co_await fails(file.connect(endpoint::loopback(1)), ENOTSOCK);
    co_await fails(file.bind(endpoint::loopback(0)), ENOTSOCK);
    co_await fails(file.listen(), ENOTSOCK);
    co_await fails(file.shutdown(SHUT_RDWR), ENOTSOCK);
    const asyncfs::socket fresh = co_await asyncfs::socket::open(AF_INET, SOCK_STREAM);
    co_await fails(fresh.receive(buffer), ENOTCONN);
    co_await fails(fresh.send(buffer), EPIPE);
    co_await fails(fresh.shutdown(SHUT_RDWR), ENOTCONN);
    co_await fails(fresh.accept(), EINVAL);
    co_await fails(asyncfs::socket::open(AF_INET, 12345), EINVAL);
    co_await fails(asyncfs::socket::open(12345, SOCK_STREAM), EAFNOSUPPORT);
  });
}

TEST_CASE("an address in use, a missing one, and a refused connection") {
  on_every_engine([](place& at) -> task<void> {
    const asyncfs::socket first = co_await asyncfs::socket::open(AF_INET, SOCK_STREAM);
    co_await works(first.bind(endpoint::loopback(0)));
    co_await works(first.listen());
    const endpoint taken = *first.local();
    const asyncfs::socket second = co_await asyncfs::socket::open(AF_INET, SOCK_STREAM);
    co_await fails(second.bind(taken), EADDRINUSE);
    endpoint free_port;
    {
      const asyncfs::socket closing = co_await asyncfs::socket::open(AF_INET, SOCK_STREAM);
      co_await works(closing.bind(endpoint::loopback(0)));
      free_port = *closing.local();
    }
    co_await fails(second.connect(free_port), ECONNREFUSED);
    const asyncfs::socket local = co_await asyncfs::socket::open(AF_UNIX, SOCK_STREAM);
    co_await fails(local.connect(*endpoint::unix_path(at.path + "/missing")), ENOENT);
    co_await fails(local.bind(*endpoint::unix_path(at.path + "/no/such/dir")), ENOENT);
    const asyncfs::socket connected = co_await asyncfs::connect(taken);
    co_await fails(connected.connect(taken), EISCONN);
  });
}

TEST_CASE("sending to a peer that is gone fails, and raises no signal") {
  on_every_engine([](place& at) -> task<void> {
    pair p = connected_pair(at);
    co_await works(p.b.close());
    co_await fails(p.a.send(bytes_of("x")), EPIPE);
    std::array<std::byte, 4> buffer;
    co_await gives(p.a.receive(buffer), 0u);
  });
}

TEST_CASE("receiving without waiting fails at once on a silent socket") {
  on_every_engine([](place& at) -> task<void> {
    const pair p = connected_pair(at);
    std::array<std::byte, 4> buffer;
    co_await fails(p.a.receive(buffer, MSG_DONTWAIT), EAGAIN);
    co_await works(p.b.send(bytes_of("ab")));
    co_await gives(p.a.receive(buffer, MSG_PEEK), 2u);
    co_await gives(p.a.receive(buffer, MSG_DONTWAIT), 2u);
  });
}

TEST_CASE("much more than the buffers of a socket hold arrives whole, however short single transfers are") {
  on_every_engine([](place& at) -> task<void> {
    const pair p = connected_pair(at);
    std::vector<std::byte> out(4 << 20), in(out.size());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>(i * 7 + i / 4096);
    asyncfs::future<void> sending = asyncfs::spawn(at.home, asyncfs::send_all(p.a, out));
    const std::size_t received = co_await asyncfs::receive_all(p.b, in);
    co_await std::move(sending);
    CHECK(received == in.size());
    CHECK(in == out);
  });
}

TEST_CASE("receive_all tells how much came before the peer ended") {
  on_every_engine([](place& at) -> task<void> {
    pair p = connected_pair(at);
    co_await works(p.a.send(bytes_of("short")));
    co_await works(p.a.close());
    std::array<std::byte, 64> buffer;
    const std::size_t received = co_await asyncfs::receive_all(p.b, buffer);
    CHECK(received == 5);
  });
}

TEST_CASE("receive, accept and connect in flight end as cancelled, and the sockets go on") {
  on_every_engine([](place& at) -> task<void> {
    const pair p = connected_pair(at);
    const asyncfs::socket server = co_await asyncfs::socket::open(AF_INET, SOCK_STREAM);
    co_await works(server.bind(endpoint::loopback(0)));
    co_await works(server.listen());
    std::array<std::byte, 8> buffer;
    int receiving = -1, accepting = -1;
    {
      const asyncfs::future<void> one = asyncfs::spawn(at.home, note_error(p.a.receive(buffer), receiving));
      const asyncfs::future<void> two = asyncfs::spawn(at.home, note_error(server.accept(), accepting));
      co_await asyncfs::sleep_for(2ms);
      CHECK_FALSE(one.ready());
      CHECK_FALSE(two.ready());
    }
    for (int i = 0; i < 2000 && (receiving == -1 || accepting == -1); ++i) co_await asyncfs::sleep_for(1ms);
    CHECK(receiving == ECANCELED);
    CHECK(accepting == ECANCELED);
    co_await works(p.b.send(bytes_of("later")));
    co_await gives(p.a.receive(buffer), 5u);
    asyncfs::future<asyncfs::socket> again = asyncfs::spawn(at.home, server.accept());
    const asyncfs::socket client = co_await asyncfs::connect(*server.local());
    const asyncfs::socket served = co_await std::move(again);
    CHECK(served);
  });
}

TEST_CASE("two that receive from one socket are served in the order they asked, each byte once") {
  on_every_engine([](place& at) -> task<void> {
    const pair p = connected_pair(at);
    std::array<std::byte, 1> one, two;
    asyncfs::future<std::size_t> first = asyncfs::spawn(at.home, p.a.receive(one));
    asyncfs::future<std::size_t> second = asyncfs::spawn(at.home, p.a.receive(two));
    co_await asyncfs::sleep_for(1ms);
    co_await works(p.b.send(bytes_of("xy")));
    const std::size_t a = co_await std::move(first), b = co_await std::move(second);
    CHECK(a + b == 2);
    const std::set<std::byte> both{one[0], two[0]};
    CHECK(both == std::set<std::byte>{std::byte{'x'}, std::byte{'y'}});
  });
}

TEST_CASE("a connection to a Unix socket whose queue is full waits until it is accepted") {
  on_every_engine([](place& at) -> task<void> {
    const endpoint address = *endpoint::unix_path(at.path + "/socket");
    const asyncfs::socket server = co_await asyncfs::socket::open(AF_UNIX, SOCK_STREAM);
    co_await works(server.bind(address));
    co_await works(server.listen(0));
    std::vector<asyncfs::future<asyncfs::socket>> clients;
    for (int i = 0; i < 4; ++i) clients.push_back(asyncfs::spawn(at.home, asyncfs::connect(address)));
    co_await asyncfs::sleep_for(5ms);
    const auto ready = std::ranges::count_if(clients, [](const auto& f) { return f.ready(); });
    CHECK(ready < 4);
    std::vector<asyncfs::socket> served;
    for (int i = 0; i < 4; ++i) served.push_back(co_await server.accept());
    for (auto& one : clients) {
      const asyncfs::socket client = co_await std::move(one);
      co_await gives(client.send(bytes_of("x")), 1u);
    }
  });
}

TEST_CASE("a listener gives every connection, in a loop that ends when another task stops it") {
  on_every_engine([](place& at) -> task<void> {
    for (const endpoint& wanted : addresses(at)) {
      INFO(wanted.to_string());
      const std::unique_ptr<asyncfs::listener> incoming = co_await asyncfs::listen(wanted);
      struct counts {
        int served = 0;
        bool ended = false;
      } seen;
      asyncfs::future<void> serving = asyncfs::spawn(at.home, [](asyncfs::listener& l, counts& c) -> task<void> {
        while (auto connection = co_await l.next()) ++c.served;
        c.ended = true;
      }(*incoming, seen));
      for (int i = 0; i < 20; ++i) {
        asyncfs::socket client = co_await asyncfs::connect(address_of(*incoming));
        co_await works(client.close());
      }
      for (int i = 0; i < 2000 && seen.served < 20; ++i) co_await asyncfs::sleep_for(1ms);
      CHECK(seen.served == 20);
      CHECK_FALSE(seen.ended);
      co_await incoming->stop();
      CHECK(seen.ended);
      co_await std::move(serving);
      const auto after = co_await incoming->next();
      CHECK_FALSE(after.has_value());
    }
  });
}

TEST_CASE("connections that nobody took are closed with the listener") {
  on_every_engine([](place& at) -> task<void> {
    std::unique_ptr<asyncfs::listener> incoming = co_await asyncfs::listen(endpoint::loopback(0));
    asyncfs::socket first = co_await asyncfs::connect(address_of(*incoming));
    {
      const auto taken = co_await incoming->next();
      CHECK(taken.has_value());
    }
    std::vector<asyncfs::socket> clients;
    for (int i = 0; i < 300; ++i)
      clients.push_back(co_await asyncfs::connect(address_of(*incoming)));  // more than it queues
    co_await asyncfs::sleep_for(5ms);
    co_await incoming->stop();
    incoming.reset();
    std::array<std::byte, 1> buffer;
    for (const asyncfs::socket& one : clients) {
      const auto r = co_await asyncfs::as_result(one.receive(buffer));
      CHECK((r ? static_cast<int>(*r) : r.error().value()) == (r ? 0 : ECONNRESET));
    }
    static_cast<void>(at);
  });
}

TEST_CASE("more connections than a listener queues are all served in the end") {
  on_every_engine([](place&) -> task<void> {
    const std::unique_ptr<asyncfs::listener> incoming = co_await asyncfs::listen(endpoint::loopback(0));
    {
      asyncfs::socket c = co_await asyncfs::connect(address_of(*incoming));
      const auto s = co_await incoming->next();
      CHECK(s.has_value());
    }
    std::vector<asyncfs::socket> clients;
    for (int i = 0; i < 700; ++i) clients.push_back(co_await asyncfs::connect(address_of(*incoming)));
    int served = 0;
    while (served < 700) {
      const auto connection = co_await incoming->next();
      if (!connection) break;
      ++served;
    }
    CHECK(served == 700);
    co_await incoming->stop();
  });
}

TEST_CASE("a task that waits for connections ends when its scope is cancelled, and the listener may go with it") {
  on_every_engine([](place& at) -> task<void> {
    bool listening = false, ended = false;
    auto serve = [](bool& l, bool& e) -> task<void> {
      const std::unique_ptr<asyncfs::listener> incoming = co_await asyncfs::listen(endpoint::loopback(0));
      l = true;
      const auto connection = co_await incoming->next();
      CHECK_FALSE(connection.has_value());
      e = true;
    };
    {
      const asyncfs::future<void> dropped = asyncfs::spawn(at.home, serve(listening, ended));
      co_await until(listening);
      co_await asyncfs::sleep_for(2ms);
    }
    co_await until(ended);
    CHECK(ended);
  });
}

TEST_CASE("a listener outlives the task that first waited, and obeys the one that waits now") {
  on_every_engine([](place& at) -> task<void> {
    const std::unique_ptr<asyncfs::listener> incoming = co_await asyncfs::listen(endpoint::loopback(0));
    auto one = [](asyncfs::listener& l) -> task<bool> {
      const auto connection = co_await l.next();
      co_return connection.has_value();
    };
    auto client = [](asyncfs::listener& l) -> task<bool> {
      const asyncfs::socket s = co_await asyncfs::connect(address_of(l));
      co_return static_cast<bool>(s);
    };
    for (int i = 0; i < 3; ++i) {  // each time in a scope of its own that ends with the request still armed
      const auto both = co_await asyncfs::when_all(one(*incoming), client(*incoming));
      CHECK(std::get<0>(both));
    }
    bool ended = false;
    auto waits = [](asyncfs::listener& l, bool& e) -> task<void> {
      const auto none = co_await l.next();
      CHECK_FALSE(none.has_value());
      e = true;
    };
    {
      const asyncfs::future<void> dropped = asyncfs::spawn(at.home, waits(*incoming, ended));
      co_await asyncfs::sleep_for(2ms);
    }
    co_await until(ended);
    CHECK(ended);
    const auto again = co_await asyncfs::when_all(one(*incoming), client(*incoming));
    CHECK(std::get<0>(again));
    co_await incoming->stop();
  });
}

TEST_CASE("waiting for connections on what does not listen throws the error") {
  on_every_engine([](place&) -> task<void> {
    asyncfs::listener deaf(co_await asyncfs::socket::open(AF_INET, SOCK_STREAM));
    std::error_code error;
    try {
      const auto none = co_await deaf.next();
    } catch (const std::system_error& e) {
      error = e.code();
    }
    CHECK(error.value() == EINVAL);
    co_await deaf.stop();
  });
}

TEST_CASE("waiting for a connection may be limited in time, and the listener takes connections all the same") {
  on_every_engine([](place& at) -> task<void> {
    const auto incoming = co_await asyncfs::listen(*endpoint::unix_path(at.path + "/limited"));
    bool timed_out = false;
    try {
      co_await asyncfs::with_timeout(incoming->next(), 5ms);
    } catch (const std::system_error& error) {
      timed_out = error.code() == std::errc::timed_out;
    }
    CHECK(timed_out);
    auto both =
        asyncfs::when_all(asyncfs::with_timeout(incoming->next(), 10s), asyncfs::connect(address_of(*incoming)));
    const auto made = co_await std::move(both);
    CHECK(std::get<0>(made).has_value());
    co_await incoming->stop();
  });
}
