// A TCP echo server, written with coroutines: one task a connection, and straight-line code in it.
//
// usage: echo_coroutine [--engine=auto|uring|threads|sync] PORT      (0: any free port, printed on standard output)
#include <array>
#include <exception>

#include "echo.hpp"

namespace {

asyncfs::task<void> serve(asyncfs::socket peer) {
  std::array<std::byte, 4096> buffer;
  try {
    while (const std::size_t received = co_await peer.receive(buffer))
      co_await asyncfs::send_all(peer, std::span(buffer).first(received));
  } catch (const std::system_error&) {
    // The peer has gone. Others go on.
  }
}

asyncfs::task<void> serve_all(std::uint16_t port) {
  asyncfs::scope connections(co_await asyncfs::this_task);
  const auto incoming = co_await asyncfs::listen(asyncfs::endpoint::loopback(port));
  say_port(*incoming);
  while (auto peer = co_await incoming->next()) connections.spawn(serve(*std::move(peer)));
  co_await connections.join();
}

}  // namespace

int main(int argc, char** argv) {
  const echo_options options = parse_echo_options(argc, argv);
  try {
    asyncfs::run(serve_all(options.port), options.loop);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "echo_coroutine: %s\n", error.what());
    return 1;
  }
}
