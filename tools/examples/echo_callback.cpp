// A TCP echo server, written with callbacks: each operation is started with what to do when it has completed.
//
// usage: echo_callback [--engine=auto|uring|threads|sync] PORT      (0: any free port, printed on standard output)
#include <array>
#include <exception>
#include <memory>

#include "echo.hpp"

namespace {

// Handed from callback to callback: whoever has it owns the connection, and dropping it closes the socket.
struct connection {
  asyncfs::socket peer;
  std::array<std::byte, 4096> buffer{};
};
using owner = std::unique_ptr<connection>;

void receive(owner c);

void send(owner c, std::span<const std::byte> bytes) {
  auto sending = c->peer.send(bytes);
  asyncfs::start(std::move(sending), [c = std::move(c), bytes](asyncfs::result<std::size_t> sent) mutable {
    if (!sent) return;  // the peer has gone
    if (*sent < bytes.size()) return send(std::move(c), bytes.subspan(*sent));
    receive(std::move(c));
  });
}

void receive(owner c) {
  auto receiving = c->peer.receive(c->buffer);
  asyncfs::start(std::move(receiving), [c = std::move(c)](asyncfs::result<std::size_t> received) mutable {
    if (!received || *received == 0) return;
    const auto bytes = std::span(c->buffer).first(*received);
    send(std::move(c), bytes);
  });
}

void accept(const asyncfs::socket& incoming) {
  asyncfs::start(incoming.accept(), [&incoming](asyncfs::result<asyncfs::socket> peer) {
    if (peer) receive(std::make_unique<connection>(*std::move(peer)));
    accept(incoming);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const echo_options options = parse_echo_options(argc, argv);
  try {
    asyncfs::loop loop(options.loop);
    const auto incoming = asyncfs::run(loop, asyncfs::listen(asyncfs::endpoint::loopback(options.port)));
    say_port(*incoming);
    loop.post([&incoming] { accept(incoming->bound()); });
    loop.run_until([] { return false; });
  } catch (const std::exception& error) {
    std::fprintf(stderr, "echo_callback: %s\n", error.what());
    return 1;
  }
}
