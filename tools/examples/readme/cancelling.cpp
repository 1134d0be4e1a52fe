// Waits for a message, but not for ever.
#include <sys/socket.h>

#include <array>
#include <asyncfs/asyncfs.hpp>
#include <chrono>
#include <cstdio>
#include <exception>

namespace {

asyncfs::task<void> receive(const asyncfs::socket& peer) {
  std::array<std::byte, 512> buffer;
  const auto received = co_await asyncfs::as_result(peer.receive(buffer));
  if (received)
    std::printf("%zu bytes\n", *received);
  else if (asyncfs::is_cancelled(received.error()))
    std::puts("nothing came");
}

asyncfs::task<void> cancel_after(asyncfs::scope& all, std::chrono::milliseconds patience) {
  co_await asyncfs::sleep_for(patience);
  all.cancel();  // asks; nothing is freed here
}

asyncfs::task<void> receive_for(asyncfs::socket peer, std::chrono::milliseconds patience) {
  asyncfs::scope both(co_await asyncfs::this_task);
  both.spawn(receive(peer));
  both.spawn(cancel_after(both, patience));
  co_await both.join();  // both have ended: now `peer` and the buffer may go
}

}  // namespace

int main() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return 1;
  const asyncfs::socket silent(ends[1]);
  try {
    asyncfs::run(receive_for(asyncfs::socket(ends[0]), std::chrono::milliseconds(50)));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
