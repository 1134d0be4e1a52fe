// Load for an echo server: N connections on the loopback, each sending one message of 64 bytes, waiting until it has
// come back whole, checking every byte, and sending the next. Every message differs in every word from all others, so
// bytes that get lost, repeated or mixed up between connections are found.
//
// usage: echo_load PORT [--connections=N] [--rounds=N] [--server=PID] [--timeout=SECONDS]
//   --connections   default 1000
//   --rounds        round trips a connection, default 100
//   --server        also tell how much CPU time the process took for a round trip
//   --timeout       give up when nothing has come back for so long, default 10
//
// Prints 'ROUND_TRIPS_PER_SECOND [SERVER_CPU_NS_PER_ROUND_TRIP]'. Exit status: 0; 1 when an answer was wrong or missing; 2 else.
#include <arpa/inet.h>
#include <dirent.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t words = 8;
using message = std::array<std::uint64_t, words>;

struct settings {
  std::uint16_t port = 0;
  unsigned connections = 1000;
  std::uint64_t rounds = 100;
  int server = 0;
  int timeout = 10;
};

[[noreturn]] void fail(int status, const char* what, int error = 0) {
  std::fprintf(stderr, "echo_load: %s%s%s\n", what, error != 0 ? ": " : "", error != 0 ? std::strerror(error) : "");
  std::exit(status);
}

// splitmix64: a bijection, so that no two counters give the same word.
std::uint64_t scramble(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

struct connection {
  int fd = -1;
  std::uint64_t number = 0, round = 0;
  std::size_t received = 0;
  message out{}, in{};

  void compose() {
    for (std::size_t i = 0; i < words; ++i) out[i] = scramble(number << 40 | round << 3 | i);
    received = 0;
  }
};

// CPU time of all threads of a process, in nanoseconds.
std::uint64_t cpu_of(int pid) {
  const std::string threads = "/proc/" + std::to_string(pid) + "/task";
  DIR* directory = ::opendir(threads.c_str());
  if (directory == nullptr) fail(2, "cannot look at the server's process", errno);
  std::uint64_t sum = 0;
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] == '.') continue;
    unsigned long long on_cpu = 0;
    if (std::FILE* f = std::fopen((threads + "/" + entry->d_name + "/schedstat").c_str(), "re")) {
      if (std::fscanf(f, "%llu", &on_cpu) == 1) sum += on_cpu;
      std::fclose(f);
    }
  }
  ::closedir(directory);
  return sum;
}

int connect_to(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail(2, "socket", errno);
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail(2, "connect", errno);
  return fd;
}

class load {
 public:
  explicit load(const settings& wanted) : wanted_(wanted), connections_(wanted.connections) {
    io_uring_params parameters{};
    parameters.flags =
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP;
    const unsigned entries = 2 * wanted.connections + 1;
    if (const int error = io_uring_queue_init_params(entries, &ring_, &parameters); error < 0)
      fail(2, "io_uring", -error);
    io_uring_register_ring_fd(&ring_);
    for (connection& c : connections_) {
      c.number = static_cast<std::uint64_t>(&c - connections_.data()) + 1;
      c.fd = connect_to(wanted.port);
    }
  }
  ~load() { io_uring_queue_exit(&ring_); }

  void run() {
    for (connection& c : connections_) next(c);
    while (left_ > 0) {
      __kernel_timespec patience{.tv_sec = wanted_.timeout, .tv_nsec = 0};
      io_uring_cqe* cqe = nullptr;
      const int error = io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, &patience, nullptr);
      if (error == -ETIME) fail(1, "an answer is missing");
      if (error < 0 && error != -EINTR && error != -EBUSY) fail(2, "io_uring_enter", -error);
      unsigned head = 0, count = 0;
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
  // Sends the next message; the receive waits beside it, and does not try before there is something to receive.
  void next(connection& c) {
    c.compose();
    ++left_;
    io_uring_sqe* sqe = slot();
    io_uring_prep_send(sqe, c.fd, c.out.data(), sizeof c.out, MSG_NOSIGNAL | MSG_WAITALL);
    io_uring_sqe_set_data64(sqe, 0);
    receive(c);
  }
  void receive(connection& c) {
    io_uring_sqe* sqe = slot();
    auto* bytes = reinterpret_cast<char*>(c.in.data());
    io_uring_prep_recv(sqe, c.fd, bytes + c.received, sizeof c.in - c.received, 0);
    sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    io_uring_sqe_set_data(sqe, &c);
  }
  void handle(const io_uring_cqe& event) {
    if (event.res < 0) fail(1, event.user_data == 0 ? "send" : "receive", -event.res);
    if (event.user_data == 0) {
      if (event.res != static_cast<int>(sizeof(message))) fail(1, "a send came out short");
      return;
    }
    auto& c = *static_cast<connection*>(io_uring_cqe_get_data(&event));
    if (event.res == 0) fail(1, "the server closed a connection");
    c.received += static_cast<std::size_t>(event.res);
    if (c.received < sizeof(message)) return receive(c);
    if (c.in != c.out) fail(1, "an answer differs from what was sent");
    --left_;
    if (++c.round < wanted_.rounds) next(c);
  }

  settings wanted_;
  std::vector<connection> connections_;
  io_uring ring_{};
  std::size_t left_ = 0;
};

settings parse(int argc, char** argv) {
  settings s;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto value = [&](std::string_view name) { return word.starts_with(name) ? argv[i] + name.size() : nullptr; };
    if (const char* n = value("--connections="))
      s.connections = static_cast<unsigned>(std::atoi(n));
    else if (const char* r = value("--rounds="))
      s.rounds = static_cast<std::uint64_t>(std::atoll(r));
    else if (const char* p = value("--server="))
      s.server = std::atoi(p);
    else if (const char* t = value("--timeout="))
      s.timeout = std::atoi(t);
    else
      s.port = static_cast<std::uint16_t>(std::atoi(argv[i]));
  }
  if (s.port == 0 || s.connections == 0 || s.rounds == 0)
    fail(2, "usage: echo_load PORT [--connections=N] [--rounds=N] [--server=PID] [--timeout=SECONDS]");
  return s;
}

}  // namespace

int main(int argc, char** argv) {
  const settings wanted = parse(argc, argv);
  load all(wanted);
  const std::uint64_t cpu = wanted.server != 0 ? cpu_of(wanted.server) : 0;
  const auto begin = std::chrono::steady_clock::now();
  all.run();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const auto trips = static_cast<double>(wanted.connections) * static_cast<double>(wanted.rounds);
  std::printf("%.0f", trips / took.count());
  if (wanted.server != 0) std::printf(" %.0f", static_cast<double>(cpu_of(wanted.server) - cpu) / trips);
  std::printf("\n");
}
