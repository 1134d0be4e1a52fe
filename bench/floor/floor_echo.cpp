// Floor for the echo examples: a TCP echo server on bare liburing. Multishot accept; each connection receives, sends
// all of it back, and receives again.
//
// usage: floor_echo PORT      (0: any free port, printed on standard output)
#include <arpa/inet.h>
#include <liburing.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace {

constexpr unsigned entries = 4096;

struct connection {
  int fd;
  unsigned length = 0, sent = 0;
  bool sending = false;
  char buffer[4096];
};

[[noreturn]] void die(const char* what, int error) {
  std::fprintf(stderr, "floor_echo: %s: %s\n", what, std::strerror(error));
  std::exit(2);
}

class server {
 public:
  explicit server(int listening) : listening_(listening) {
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL;
    if (const int error = io_uring_queue_init_params(entries, &ring_, &parameters); error < 0) die("io_uring", -error);
    io_uring_register_ring_fd(&ring_);
  }

  [[noreturn]] void run() {
    accept();
    for (;;) {
      const int error = io_uring_submit_and_wait(&ring_, 1);
      if (error < 0 && error != -EINTR && error != -EBUSY) die("io_uring_enter", -error);
      unsigned head = 0, count = 0;
      io_uring_cqe* cqe = nullptr;
      io_uring_for_each_cqe(&ring_, head, cqe) {
        handle(*cqe);
        ++count;
      }
      io_uring_cq_advance(&ring_, count);
    }
  }

 private:
  io_uring_sqe* slot() {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe != nullptr) return sqe;
    io_uring_submit(&ring_);
    return io_uring_get_sqe(&ring_);
  }
  void accept() {
    io_uring_sqe* sqe = slot();
    io_uring_prep_multishot_accept(sqe, listening_, nullptr, nullptr, SOCK_CLOEXEC);
    io_uring_sqe_set_data(sqe, nullptr);
  }
  void receive(connection& c) {
    c.sending = false;
    io_uring_sqe* sqe = slot();
    io_uring_prep_recv(sqe, c.fd, c.buffer, sizeof c.buffer, 0);
    io_uring_sqe_set_data(sqe, &c);
  }
  void send(connection& c) {
    c.sending = true;
    io_uring_sqe* sqe = slot();
    io_uring_prep_send(sqe, c.fd, c.buffer + c.sent, c.length - c.sent, MSG_NOSIGNAL);
    io_uring_sqe_set_data(sqe, &c);
  }
  void handle(const io_uring_cqe& event) {
    auto* c = static_cast<connection*>(io_uring_cqe_get_data(&event));
    if (c == nullptr) {
      if (event.res < 0) die("accept", -event.res);
      if ((event.flags & IORING_CQE_F_MORE) == 0) accept();
      return receive(*new connection{.fd = event.res});
    }
    if (event.res <= 0) {
      ::close(c->fd);
      delete c;
      return;
    }
    if (!c->sending) {
      c->length = static_cast<unsigned>(event.res);
      c->sent = 0;
      return send(*c);
    }
    c->sent += static_cast<unsigned>(event.res);
    if (c->sent < c->length) return send(*c);
    receive(*c);
  }

  io_uring ring_{};
  int listening_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: floor_echo PORT\n");
    return 2;
  }
  const int listening = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int one = 1;
  ::setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[1])));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listening, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die("bind", errno);
  if (::listen(listening, SOMAXCONN) != 0) die("listen", errno);
  socklen_t size = sizeof address;
  ::getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size);
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  server(listening).run();
}
