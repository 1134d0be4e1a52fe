// Pipes, and waiting until a descriptor is ready.
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <numeric>

#include "../support/engines.hpp"

using asyncfs::pipe_ends;
using asyncfs::task;
using tests::bytes_of;
using tests::fails;
using tests::gives;
using tests::on_every_kernel_engine;
using tests::place;
using tests::works;
using namespace std::chrono_literals;

namespace {

// Counts SIGPIPE while it lives, so that a test that fails says so instead of dying.
class sigpipe_counter {
 public:
  sigpipe_counter() : before_(std::signal(SIGPIPE, [](int) { count_ = count_ + 1; })) { count_ = 0; }
  sigpipe_counter(const sigpipe_counter&) = delete;
  sigpipe_counter& operator=(const sigpipe_counter&) = delete;
  ~sigpipe_counter() { std::signal(SIGPIPE, before_); }
  [[nodiscard]] static int count() { return count_; }

 private:
  static inline volatile std::sig_atomic_t count_ = 0;
  void (*before_)(int);
};

std::vector<std::byte> pattern(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 31 + i / 4099);
  return bytes;
}

// Fills the pipe until it takes no more; how much that was.
task<std::size_t> fill(const asyncfs::pipe_writer& to) {
  const std::vector<std::byte> piece(4096);
  std::size_t filled = 0;
  for (int room = POLLOUT; room != 0;) {
    filled += co_await to.write(piece);
    pollfd one{to.fd(), POLLOUT, 0};
    ::poll(&one, 1, 0);
    room = one.revents;
  }
  co_return filled;
}

template <class Op>
task<void> note_error(Op op, int& error) {
  const auto r = co_await asyncfs::as_result(std::move(op));
  error = r ? 0 : r.error().value();
}

task<void> until_noted(const int& error) {
  for (int i = 0; i < 5000 && error == -1; ++i) co_await asyncfs::sleep_for(1ms);
}

}  // namespace

TEST_CASE("what is written to a pipe is read from it, and its end is seen once the writer is closed") {
  on_every_kernel_engine([](place&) -> task<void> {
    pipe_ends ends = co_await asyncfs::open_pipe();
    CHECK((::fcntl(ends.reader.fd(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((::fcntl(ends.writer.fd(), F_GETFD) & FD_CLOEXEC) != 0);
    std::array<std::byte, 16> buffer;
    co_await gives(ends.writer.write(bytes_of("hello")), 5u);
    co_await gives(ends.reader.read(std::span(buffer).first(2)), 2u);
    co_await gives(ends.reader.read(buffer), 3u);
    CHECK(buffer[0] == std::byte{'l'});
    co_await works(ends.writer.close());
    CHECK_FALSE(ends.writer);
    co_await gives(ends.reader.read(buffer), 0u);
    co_await gives(ends.reader.read(buffer), 0u);
    co_await works(ends.reader.close());
    co_await fails(ends.reader.read(buffer), EBADF);
  });
}

TEST_CASE("a read waits for what another task writes") {
  on_every_kernel_engine([](place& at) -> task<void> {
    const pipe_ends ends = co_await asyncfs::open_pipe();
    std::array<std::byte, 16> buffer;
    asyncfs::future<std::size_t> reading = asyncfs::spawn(at.home, ends.reader.read(buffer));
    co_await asyncfs::sleep_for(1ms);
    CHECK_FALSE(reading.ready());
    co_await gives(ends.writer.write(bytes_of("late")), 4u);
    const std::size_t got = co_await std::move(reading);
    CHECK(got == 4);
  });
}

TEST_CASE("much more than a pipe holds goes through it whole, both ways at once") {
  on_every_kernel_engine([](place&) -> task<void> {
    const std::vector<std::byte> out = pattern((5u << 20) + 17), back = pattern((3u << 20) + 1);
    struct one_way {
      pipe_ends ends;
      const std::vector<std::byte>& bytes;
      std::string received;
    };
    pipe_ends first = co_await asyncfs::open_pipe();
    pipe_ends second = co_await asyncfs::open_pipe();
    one_way there{std::move(first), out, {}};
    one_way home{std::move(second), back, {}};
    auto send = [](one_way& way) -> task<void> {
      co_await asyncfs::write_all(way.ends.writer, way.bytes);
      co_await way.ends.writer.close();
    };
    auto receive = [](one_way& way) -> task<void> { way.received = co_await asyncfs::read_to_end(way.ends.reader); };
    co_await asyncfs::when_all(send(there), receive(there), send(home), receive(home));
    CHECK(std::ranges::equal(bytes_of(there.received), out));
    CHECK(std::ranges::equal(bytes_of(home.received), back));
  });
}

TEST_CASE("a write to a full pipe waits until somebody reads") {
  on_every_kernel_engine([](place& at) -> task<void> {
    const pipe_ends ends = co_await asyncfs::open_pipe();
    const std::size_t filled = co_await fill(ends.writer);
    asyncfs::future<std::size_t> writing = asyncfs::spawn(at.home, ends.writer.write(bytes_of("more")));
    co_await asyncfs::sleep_for(1ms);
    CHECK_FALSE(writing.ready());
    std::vector<std::byte> buffer(filled);
    co_await gives(ends.reader.read(buffer), filled);
    const std::size_t written = co_await std::move(writing);
    CHECK(written == 4);
    co_await gives(ends.reader.read(buffer), 4u);
  });
}

TEST_CASE("a write that does not fit into a pipe is short, and says what went") {
  on_every_kernel_engine([](place&) -> task<void> {
    const pipe_ends ends = co_await asyncfs::open_pipe();
    const std::size_t filled = co_await fill(ends.writer);
    std::vector<std::byte> buffer(std::max<std::size_t>(filled, 1u << 20));
    co_await gives(ends.reader.read(std::span(buffer).first(8192)), 8192u);
    const std::size_t written = co_await ends.writer.write(buffer);
    CHECK(written > 0);
    CHECK(written <= 8192);
    std::size_t received = 0;
    while (received < filled - 8192 + written) received += co_await ends.reader.read(buffer);
    CHECK(received == filled - 8192 + written);
  });
}

TEST_CASE("writing to a pipe that nobody reads is an error, and no signal is left behind") {
  const sigpipe_counter signals;
  on_every_kernel_engine([](place& at) -> task<void> {
    pipe_ends ends = co_await asyncfs::open_pipe();
    co_await works(ends.reader.close());
    co_await fails(ends.writer.write(bytes_of("x")), EPIPE);
    const iovec piece{&at, 1};
    const asyncfs::file same(::dup(ends.writer.fd()));
    co_await fails(same.writev_at({&piece, 1}, asyncfs::stream_position), EPIPE);
    // One that waits for room when the reader goes.
    pipe_ends full = co_await asyncfs::open_pipe();
    co_await fill(full.writer);
    int error = -1;
    asyncfs::future<void> writing = asyncfs::spawn(at.home, note_error(full.writer.write(bytes_of("x")), error));
    co_await asyncfs::sleep_for(1ms);
    CHECK(error == -1);
    co_await works(full.reader.close());
    co_await std::move(writing);
    CHECK(error == EPIPE);
  });
  CHECK(signals.count() == 0);
  sigset_t blocked;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  CHECK(sigismember(&blocked, SIGPIPE) == 0);
}

TEST_CASE("a SIGPIPE that was already waiting when the loop began is still there when it ends") {
  sigset_t only, before, pending;
  sigemptyset(&only);
  sigaddset(&only, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &only, &before);
  ::pthread_kill(::pthread_self(), SIGPIPE);
  asyncfs::run([]() -> task<void> { co_await asyncfs::nop(); }());
  sigpending(&pending);
  CHECK(sigismember(&pending, SIGPIPE) == 1);
  const timespec at_once{};
  CHECK(sigtimedwait(&only, nullptr, &at_once) == SIGPIPE);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE("a read or write of a pipe that is cancelled before it starts, or while it waits, ends; the pipe goes on") {
  on_every_kernel_engine([](place& at) -> task<void> {
    const pipe_ends ends = co_await asyncfs::open_pipe();
    const pipe_ends full = co_await asyncfs::open_pipe();
    const std::size_t filled = co_await fill(full.writer);
    std::array<std::byte, 8> buffer;
    int reading = -1, writing = -1, before = -1;
    {
      const asyncfs::future<void> one = asyncfs::spawn(at.home, note_error(ends.reader.read(buffer), reading));
      const asyncfs::future<void> two = asyncfs::spawn(at.home, note_error(full.writer.write(buffer), writing));
      co_await asyncfs::sleep_for(2ms);
      CHECK(reading == -1);
      CHECK(writing == -1);
      const asyncfs::future<void> three = asyncfs::spawn(at.home, note_error(ends.reader.read(buffer), before));
    }
    co_await until_noted(reading);
    co_await until_noted(writing);
    co_await until_noted(before);
    CHECK(reading == ECANCELED);
    CHECK(writing == ECANCELED);
    CHECK(before == ECANCELED);
    co_await gives(ends.writer.write(bytes_of("later")), 5u);
    co_await gives(ends.reader.read(buffer), 5u);
    std::vector<std::byte> all(filled);
    co_await gives(full.reader.read(all), filled);
    co_await gives(full.writer.write(buffer), 8u);
  });
}

TEST_CASE("bytes that came when a read was cancelled are in its result, or still in the pipe") {
  on_every_kernel_engine([](place& at) -> task<void> {
    const pipe_ends ends = co_await asyncfs::open_pipe();
    for (int round = 0; round < 50; ++round) {
      std::array<std::byte, 8> buffer;
      struct outcome {
        bool ended = false;
        std::size_t bytes = 0;
      } seen;
      {
        const asyncfs::future<void> reading = asyncfs::spawn(
            at.home, [](const asyncfs::pipe_reader& from, std::span<std::byte> into, outcome& o) -> task<void> {
              const auto r = co_await asyncfs::as_result(from.read(into));
              o = {.ended = true, .bytes = r.value_or(0)};
            }(ends.reader, buffer, seen));
        co_await asyncfs::nop();
        co_await works(ends.writer.write(bytes_of("x")));
      }
      for (int i = 0; i < 5000 && !seen.ended; ++i) co_await asyncfs::sleep_for(1ms);
      CHECK(seen.ended);
      if (seen.bytes == 0) co_await gives(ends.reader.read(buffer), 1u);
    }
  });
}

TEST_CASE("reading to the end stops past the limit") {
  on_every_kernel_engine([](place&) -> task<void> {
    for (const std::size_t size : {std::size_t{10}, std::size_t{11}}) {
      pipe_ends ends = co_await asyncfs::open_pipe();
      const std::string text(size, 'x');
      co_await asyncfs::write_all(ends.writer, bytes_of(text));
      co_await works(ends.writer.close());
      int error = 0;
      std::string got;
      try {
        got = co_await asyncfs::read_to_end(ends.reader, 10);
      } catch (const std::system_error& e) {
        error = e.code().value();
      }
      CHECK(error == (size == 10 ? 0 : EFBIG));
      CHECK(got == (size == 10 ? text : ""));
    }
  });
}

TEST_CASE("a pipe that no descriptor is left for is an error, and leaks none") {
  on_every_kernel_engine([](place&) -> task<void> {
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const std::size_t open = tests::open_descriptors();
    // First with enough of them: the sanitizers look at each type once, and need a descriptor for that.
    for (const rlim_t limit : {before.rlim_cur, rlim_t{3}}) {
      const rlimit now{.rlim_cur = limit, .rlim_max = before.rlim_max};
      ::setrlimit(RLIMIT_NOFILE, &now);
      const auto made = co_await asyncfs::as_result(asyncfs::open_pipe());
      ::setrlimit(RLIMIT_NOFILE, &before);
      CHECK((made ? 0 : made.error().value()) == (limit == 3 ? EMFILE : 0));
    }
    CHECK(tests::open_descriptors() == open);
  });
}

TEST_CASE("a large write to a FIFO does not hold up the loop that reads it") {
  on_every_kernel_engine([](place& at) -> task<void> {
    const std::string path = at.path + "/fifo";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    const asyncfs::pipe_reader reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    asyncfs::pipe_writer writer(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    ::fcntl(reader.fd(), F_SETFL, 0);
    const std::vector<std::byte> out = pattern(1u << 20);
    asyncfs::future<std::string> reading = asyncfs::spawn(at.home, asyncfs::read_to_end(reader));
    co_await asyncfs::write_all(writer, out);
    const iovec pieces[] = {{nullptr, 0}, {&writer, 1}};
    {
      const asyncfs::file same(::dup(writer.fd()));
      co_await gives(same.writev_at(pieces, asyncfs::stream_position), 1u);
    }
    co_await works(writer.close());
    const std::string in = co_await std::move(reading);
    CHECK(in.size() == out.size() + 1);
    CHECK(std::equal(out.begin(), out.end(), bytes_of(in).begin()));
  });
}

// ---- poll ----------------------------------------------------------------------------------------------------------

TEST_CASE("polling gives the events that hold, at once or when they come") {
  on_every_kernel_engine([](place& at) -> task<void> {
    pipe_ends ends = co_await asyncfs::open_pipe();
    co_await gives(asyncfs::poll(ends.writer.fd(), POLLOUT), POLLOUT);
    asyncfs::future<int> waiting = asyncfs::spawn(at.home, asyncfs::poll(ends.reader.fd(), POLLIN));
    co_await asyncfs::sleep_for(1ms);
    CHECK_FALSE(waiting.ready());
    co_await works(ends.writer.write(bytes_of("x")));
    const int events = co_await std::move(waiting);
    CHECK(events == POLLIN);
    co_await gives(asyncfs::poll(ends.reader.fd(), POLLIN | POLLPRI), POLLIN);
    co_await works(ends.writer.close());
    co_await gives(asyncfs::poll(ends.reader.fd(), POLLIN), POLLIN | POLLHUP);
    co_await gives(asyncfs::poll(ends.reader.fd(), 0), POLLHUP);
    co_await gives(asyncfs::poll(at.dir.fd(), POLLIN), POLLIN);
    co_await fails(asyncfs::poll(-1, POLLIN), EBADF);
  });
}

TEST_CASE("polls wait for their own events, beside each other and beside transfers") {
  on_every_kernel_engine([](place& at) -> task<void> {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    const asyncfs::socket a(fds[0]), b(fds[1]);
    asyncfs::future<int> urgent = asyncfs::spawn(at.home, asyncfs::poll(a.fd(), POLLPRI));
    std::array<std::byte, 4> buffer;
    asyncfs::future<std::size_t> receiving = asyncfs::spawn(at.home, a.receive(buffer));
    asyncfs::future<int> first = asyncfs::spawn(at.home, asyncfs::poll(a.fd(), POLLRDHUP));
    asyncfs::future<int> second = asyncfs::spawn(at.home, asyncfs::poll(a.fd(), POLLRDHUP));
    co_await asyncfs::sleep_for(1ms);
    co_await works(b.send(bytes_of("x")));
    const std::size_t received = co_await std::move(receiving);
    CHECK(received == 1);
    CHECK_FALSE(first.ready());
    CHECK_FALSE(urgent.ready());
    co_await works(b.shutdown(SHUT_WR));
    const int one = co_await std::move(first), two = co_await std::move(second);
    CHECK(one == POLLRDHUP);
    CHECK(two == POLLRDHUP);
    const int hung_up = co_await std::move(urgent);
    CHECK(hung_up == POLLRDHUP);
    // Input or output, whichever comes first, although this one waits in no line for output.
    const pipe_ends full = co_await asyncfs::open_pipe();
    const std::size_t filled = co_await fill(full.writer);
    asyncfs::future<int> either = asyncfs::spawn(at.home, asyncfs::poll(full.writer.fd(), POLLIN | POLLOUT));
    co_await asyncfs::sleep_for(1ms);
    CHECK_FALSE(either.ready());
    std::vector<std::byte> all(filled);
    co_await works(full.reader.read(all));
    const int room = co_await std::move(either);
    CHECK(room == POLLOUT);
  });
}

TEST_CASE("a poll that waits ends as cancelled") {
  on_every_kernel_engine([](place& at) -> task<void> {
    const pipe_ends ends = co_await asyncfs::open_pipe();
    int error = -1;
    {
      const asyncfs::future<void> dropped =
          asyncfs::spawn(at.home, note_error(asyncfs::poll(ends.reader.fd(), POLLIN), error));
      co_await asyncfs::sleep_for(1ms);
      CHECK(error == -1);
    }
    co_await until_noted(error);
    CHECK(error == ECANCELED);
    int early = -1;
    {
      const asyncfs::future<void> dropped =
          asyncfs::spawn(at.home, note_error(asyncfs::poll(ends.reader.fd(), POLLIN), early));
    }
    co_await until_noted(early);
    CHECK(early == ECANCELED);
  });
}

TEST_CASE("a poll for what can never come is refused") {
  tests::on_every_real_engine([](place& at) -> task<void> {
    const asyncfs::file plain(::open((at.path + "/plain").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    co_await gives(asyncfs::poll(plain.fd(), POLLIN | POLLOUT), POLLIN | POLLOUT);
    co_await fails(asyncfs::poll(plain.fd(), POLLPRI), EINVAL);
  });
}
