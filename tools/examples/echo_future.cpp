// A TCP echo server, written with futures: `then` says what follows, `on_error` where all errors end.
//
// usage: echo_future [--engine=auto|uring|threads|sync] PORT      (0: any free port, printed on standard output)
#include <array>
#include <exception>
#include <memory>

#include "echo.hpp"

namespace {

// Each round is a chain of futures that owns the connection and begins the next one; the last owner closes the socket.
struct connection {
  asyncfs::loop& home;
  asyncfs::socket peer;
  std::array<std::byte, 4096> buffer{};
  asyncfs::future<void> round{};
};

void serve(std::shared_ptr<connection> c) {
  c->round = asyncfs::spawn(c->home, c->peer.receive(c->buffer))
                 .then([c](std::size_t received) {
                   if (received == 0) throw std::system_error(std::make_error_code(std::errc::connection_reset));
                   return asyncfs::send_all(c->peer, std::span(c->buffer).first(received));
                 })
                 .then([c] { serve(c); })
                 .on_error([](const std::exception_ptr&) {});  // the peer has gone
}

void accept(asyncfs::loop& home, const asyncfs::socket& incoming, asyncfs::future<void>& next) {
  next = asyncfs::spawn(home, incoming.accept()).then([&](asyncfs::socket peer) {
    serve(std::make_shared<connection>(home, std::move(peer)));
    accept(home, incoming, next);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const echo_options options = parse_echo_options(argc, argv);
  try {
    asyncfs::loop loop(options.loop);
    const auto incoming = asyncfs::run(loop, asyncfs::listen(asyncfs::endpoint::loopback(options.port)));
    say_port(*incoming);
    asyncfs::future<void> next;
    accept(loop, incoming->bound(), next);
    loop.run_until([] { return false; });
  } catch (const std::exception& error) {
    std::fprintf(stderr, "echo_future: %s\n", error.what());
    return 1;
  }
}
