// Engines on their own: storms of cancels, completions that pile up, and descriptors that change under them.
#include <asyncfs/asyncfs.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "../catch.hpp"
#include "../support/engines.hpp"

using asyncfs::completion;
using asyncfs::opcode;
using asyncfs::request;
using asyncfs::task;
using tests::bytes_of;
using tests::fails;
using tests::gives;
using tests::on_every_real_engine;
using tests::place;
using tests::works;
using namespace std::chrono_literals;

namespace {

// Enough that work which grows with the square of it would take minutes.
constexpr std::size_t storm = 300'000;

// Runs `test(engine&)` on each engine, with a guard against storms that do not pass.
template <class F>
void on_every_bare_engine(F test) {
  for (const tests::engine_under_test& one : tests::real_engines()) {
    DYNAMIC_SECTION(one.name) {
      if (const std::string reason = tests::refusal(one); !reason.empty()) {
        tests::leave_out("the engine '" + one.name + "': " + reason);
        continue;
      }
      std::signal(SIGALRM, tests::hung);
      ::alarm(60);
      auto made = asyncfs::make_engine(one.options.engine);
      made->engine->adopt_thread();
      test(*made->engine);
      ::alarm(0);
    }
  }
}

void submit(asyncfs::engine& engine, const request& work) {
  if (engine.direct(work.code)) {
    request* slot = engine.slot();
    REQUIRE(slot != nullptr);
    *slot = work;
  } else {
    REQUIRE(engine.submit(work));
  }
}

std::vector<completion> collect(asyncfs::engine& engine, std::size_t count, std::size_t batch_size = 256) {
  std::vector<completion> all;
  std::vector<completion> batch(batch_size);
  while (all.size() < count) {
    const std::size_t got = engine.reap(batch);
    all.insert(all.end(), batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(got));
    if (got == 0) engine.enter({.until_completion = true});
  }
  return all;
}

// Keeps every computing thread of the process busy, so that what is submitted after waits.
class busy_workers {
 public:
  explicit busy_workers(asyncfs::engine& engine) {
    const unsigned count = std::max(1u, std::thread::hardware_concurrency());
    arguments_ = {.function = wait, .argument = this};
    for (unsigned i = 0; i < count; ++i)
      submit(engine, {.code = opcode::call, .address = request::pointer(&arguments_), .options = 1, .user_data = 64});
    while (begun_.load() != count) std::this_thread::yield();
    count_ = count;
  }
  // They end; their completions come.
  std::size_t let_go() {
    go_.store(true);
    go_.notify_all();
    return count_;
  }

 private:
  static std::int32_t wait(void* self) noexcept {
    auto& here = *static_cast<busy_workers*>(self);
    here.begun_.fetch_add(1);
    here.go_.wait(false);
    return 0;
  }
  asyncfs::call_arguments arguments_{};
  std::atomic<unsigned> begun_{0};
  std::atomic<bool> go_{false};
  unsigned count_ = 0;
};

std::int32_t do_nothing(void*) noexcept { return 0; }

}  // namespace

TEST_CASE("cancelling a storm of jobs costs the same for each, and they end in the order they were cancelled") {
  on_every_bare_engine([](asyncfs::engine& engine) {
    busy_workers busy(engine);
    const asyncfs::call_arguments idle{.function = do_nothing, .argument = nullptr};
    for (std::size_t i = 0; i < storm; ++i)
      submit(engine,
             {.code = opcode::call, .address = request::pointer(&idle), .options = 1, .user_data = 128 + i * 64});
    for (std::size_t i = storm; i-- > 0;) engine.cancel(128 + i * 64);
    const auto ended = collect(engine, storm);
    bool in_order = ended.size() == storm;
    for (std::size_t i = 0; in_order && i < storm; ++i)
      in_order = ended[i].user_data == 128 + (storm - 1 - i) * 64 && ended[i].value == -ECANCELED;
    CHECK(in_order);
    CHECK(collect(engine, busy.let_go()).size() > 0);
  });
}

TEST_CASE("a job's user_data may be used again while the cancelled one is still with the workers") {
  on_every_bare_engine([](asyncfs::engine& engine) {
    busy_workers busy(engine);
    const asyncfs::call_arguments idle{.function = do_nothing, .argument = nullptr};
    const request work{.code = opcode::call, .address = request::pointer(&idle), .options = 1, .user_data = 128};
    submit(engine, work);
    engine.cancel(128);
    CHECK(collect(engine, 1).at(0).value == -ECANCELED);
    submit(engine, work);
    const std::size_t others = busy.let_go();
    std::size_t succeeded = 0;
    for (const completion& one : collect(engine, others + 1)) succeeded += one.user_data == 128 && one.value == 0;
    CHECK(succeeded == 1);
  });
}

TEST_CASE("a storm of completions is taken one by one, in order, at the same cost for each") {
  on_every_bare_engine([](asyncfs::engine& engine) {
    if (engine.where(opcode::fstat) != asyncfs::runs::in_place) return;
    struct statx raw{};
    for (std::size_t i = 0; i < storm; ++i)
      submit(engine, {.code = opcode::fstat, .fd = -1, .offset = request::pointer(&raw), .user_data = 128 + i * 64});
    const auto ended = collect(engine, storm, 1);
    bool in_order = true;
    for (std::size_t i = 0; in_order && i < storm; ++i)
      in_order = ended[i].user_data == 128 + i * 64 && ended[i].value == -EBADF;
    CHECK(in_order);
  });
}

TEST_CASE("cancelling a storm of requests that wait for one socket ends each of them, once") {
  on_every_bare_engine([](asyncfs::engine& engine) {
    constexpr std::size_t waiting = 5'000;
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    const asyncfs::descriptor a(ends[0]), b(ends[1]);
    std::array<std::byte, 8> buffer;
    const request receive{
        .code = opcode::recv, .fd = a.fd(), .address = request::pointer(buffer.data()), .length = buffer.size()};
    for (std::size_t i = 0; i < waiting; ++i) {
      request one = receive;
      one.user_data = 128 + i * 64;
      submit(engine, one);
    }
    engine.enter({});
    for (std::size_t i = 0; i < waiting; ++i) engine.cancel(128 + i * 64);
    std::vector<bool> seen(waiting);
    for (const completion& one : collect(engine, waiting)) {
      CHECK(one.value == -ECANCELED);
      const std::size_t i = (one.user_data - 128) / 64;
      REQUIRE(i < waiting);
      CHECK_FALSE(seen[i]);
      seen[i] = true;
    }
  });
}

TEST_CASE("cancels asked before the ring has run at all are not lost, however many") {
  for (const tests::engine_under_test& one : tests::real_engines()) {
    DYNAMIC_SECTION(one.name) {
      if (!tests::refusal(one).empty()) continue;
      auto options = one.options.engine;
      options.entries = 8;
      auto made = asyncfs::make_engine(options);
      asyncfs::engine& engine = *made->engine;
      int ends[2];
      REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
      const asyncfs::descriptor a(ends[0]), b(ends[1]);
      std::array<std::byte, 8> buffer;
      std::size_t count = 0;
      for (; count < 8; ++count) {
        const request receive{.code = opcode::recv,
                              .fd = a.fd(),
                              .address = request::pointer(buffer.data()),
                              .length = buffer.size(),
                              .user_data = 128 + count * 64};
        submit(engine, receive);
      }
      std::signal(SIGALRM, tests::hung);
      ::alarm(20);
      for (std::size_t i = 0; i < count; ++i) engine.cancel(128 + i * 64);
      engine.adopt_thread();
      for (const completion& ended : collect(engine, count)) CHECK(ended.value == -ECANCELED);
      ::alarm(0);
    }
  }
}

TEST_CASE("a flood of connections to one multishot accept comes in order and loses none") {
  on_every_bare_engine([](asyncfs::engine& engine) {
    constexpr std::size_t flood = 200;
    const asyncfs::descriptor server(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = *asyncfs::endpoint::unix_path("@asyncfs-flood-" + std::to_string(::getpid()));
    REQUIRE(::bind(server.fd(), address.data(), address.size()) == 0);
    REQUIRE(::listen(server.fd(), flood) == 0);
    std::vector<asyncfs::descriptor> clients, served;
    for (std::size_t i = 0; i < flood; ++i) {
      clients.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      REQUIRE(::connect(clients.back().fd(), address.data(), address.size()) == 0);
      const auto number = static_cast<unsigned char>(i);
      REQUIRE(::send(clients.back().fd(), &number, 1, 0) == 1);
    }
    submit(engine,
           {.code = opcode::accept, .priority = 1, .fd = server.fd(), .options = SOCK_CLOEXEC, .user_data = 128});
    bool more = true, in_order = true;
    for (const completion& one : collect(engine, flood, 3)) {
      REQUIRE(one.value >= 0);
      served.emplace_back(one.value);
      more = more && !one.last();
      unsigned char number = 0;
      in_order =
          in_order && ::recv(one.value, &number, 1, 0) == 1 && number == static_cast<unsigned char>(served.size() - 1);
    }
    CHECK(more);
    CHECK(in_order);
    engine.cancel(128);
    const auto last = collect(engine, 1).at(0);
    CHECK(last.value == -ECANCELED);
    CHECK(last.last());
  });
}

TEST_CASE("a descriptor closed while somebody waits for it does not starve or feed the next owner of its number") {
  on_every_real_engine([](place& at) -> task<void> {
    int first[2], second[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, first) == 0);
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, second) == 0);
    const asyncfs::socket old_peer(first[1]), new_peer(second[1]);
    const int number = first[0];
    std::array<std::byte, 8> old_buffer{}, new_buffer{};
    int stale = -1;
    auto receive = [](const asyncfs::socket& from, std::span<std::byte> into, int& error) -> task<void> {
      const auto r = co_await asyncfs::as_result(from.receive(into));
      error = r ? 0 : r.error().value();
    };
    asyncfs::socket old(number);
    {
      const asyncfs::future<void> waiting = asyncfs::spawn(at.home, receive(old, old_buffer, stale));
      co_await asyncfs::sleep_for(2ms);
      // Closed and given out again behind the engine's back.
      REQUIRE(old.release() == number);
      REQUIRE(::dup3(second[0], number, O_CLOEXEC) == number);
      ::close(second[0]);
      const asyncfs::socket reused(number);
      asyncfs::future<std::size_t> receiving = asyncfs::spawn(at.home, reused.receive(new_buffer));
      co_await asyncfs::sleep_for(2ms);
      co_await gives(new_peer.send(bytes_of("new")), 3u);
      const std::size_t got = co_await std::move(receiving);
      CHECK(got == 3);
      CHECK(new_buffer[0] == std::byte{'n'});
      CHECK(old_buffer[0] == std::byte{});
      // The other direction, with nobody in line before.
      co_await gives(reused.send(bytes_of("back")), 4u);
    }
    for (int i = 0; i < 2000 && stale == -1; ++i) co_await asyncfs::sleep_for(1ms);
    CHECK(stale == ECANCELED);
  });
}

TEST_CASE("a number given out again for a file that is always ready leaves nobody waiting in vain") {
  on_every_real_engine([](place& at) -> task<void> {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const asyncfs::file writer(ends[1]);
    const int number = ends[0];
    co_await asyncfs::write_file(at.dir, "file", "bytes");
    int stale = -1;
    std::array<std::byte, 8> old_buffer{}, new_buffer{};
    auto read = [](const asyncfs::file& from, std::span<std::byte> into, int& error) -> task<void> {
      const auto r = co_await asyncfs::as_result(from.read(into));
      error = r ? 0 : r.error().value();
    };
    asyncfs::file old(number);
    {
      const asyncfs::future<void> waiting = asyncfs::spawn(at.home, read(old, old_buffer, stale));
      co_await asyncfs::sleep_for(2ms);
      REQUIRE(old.release() == number);
      asyncfs::file opened = co_await at.dir.open("file");
      REQUIRE(::dup3(opened.fd(), number, O_CLOEXEC) == number);
      const asyncfs::file reused(number);
      co_await gives(reused.read(new_buffer), 5u);
      CHECK(old_buffer[0] == std::byte{});
    }
    for (int i = 0; i < 2000 && stale == -1; ++i) co_await asyncfs::sleep_for(1ms);
    CHECK(stale == ECANCELED);
  });
}

TEST_CASE("a connection that waits for room in a Unix socket's queue ends as cancelled, and then there is room") {
  on_every_real_engine([](place& at) -> task<void> {
    const auto address = *asyncfs::endpoint::unix_path(at.path + "/socket");
    const asyncfs::socket server = co_await asyncfs::socket::open(AF_UNIX, SOCK_STREAM);
    co_await works(server.bind(address));
    co_await works(server.listen(0));
    const asyncfs::socket filling = co_await asyncfs::connect(address);
    int ended = -1;
    auto connect = [](asyncfs::endpoint to, int& error) -> task<void> {
      const asyncfs::socket s = co_await asyncfs::socket::open(AF_UNIX, SOCK_STREAM);
      const auto r = co_await asyncfs::as_result(s.connect(to));
      error = r ? 0 : r.error().value();
    };
    {
      const asyncfs::future<void> waiting = asyncfs::spawn(at.home, connect(address, ended));
      co_await asyncfs::sleep_for(2ms);
      CHECK(ended == -1);
    }
    for (int i = 0; i < 5000 && ended == -1; ++i) co_await asyncfs::sleep_for(1ms);
    CHECK(ended == ECANCELED);
    const asyncfs::socket served = co_await server.accept();
    const asyncfs::socket next = co_await asyncfs::connect(address);
    CHECK(next);
  });
}

TEST_CASE("a connection that meets a full queue ends as cancelled however early it is cancelled") {
  on_every_real_engine([](place& at) -> task<void> {
    const auto address = *asyncfs::endpoint::unix_path(at.path + "/socket");
    const asyncfs::socket server = co_await asyncfs::socket::open(AF_UNIX, SOCK_STREAM);
    co_await works(server.bind(address));
    co_await works(server.listen(0));
    const asyncfs::socket filling = co_await asyncfs::connect(address);
    const auto connect = [](const asyncfs::socket& s, asyncfs::endpoint to, int& error) -> task<void> {
      const auto r = co_await asyncfs::as_result(s.connect(to));
      error = r ? 0 : r.error().value();
    };
    constexpr int attempts = 300;
    int cancelled = 0;
    for (int i = 0; i < attempts; ++i) {
      const asyncfs::socket s = co_await asyncfs::socket::open(AF_UNIX, SOCK_STREAM);
      int ended = -1;
      {
        const asyncfs::future<void> waiting = asyncfs::spawn(at.home, connect(s, address, ended));
        co_await asyncfs::yield();
        if (i % 3 == 1) co_await asyncfs::nop();
        if (i % 3 == 2) co_await asyncfs::sleep_for(std::chrono::microseconds(i));
      }
      for (int turns = 0; turns < 2000 && ended == -1; ++turns) co_await asyncfs::sleep_for(1ms);
      REQUIRE(ended != -1);
      cancelled += ended == ECANCELED;
    }
    CHECK(cancelled == attempts);
  });
}

TEST_CASE("opening a FIFO that nobody else has open does not stop the loop") {
  on_every_real_engine([](place& at) -> task<void> {
    co_await works(at.dir.make_node("fifo", S_IFIFO | 0600, 0));
    co_await works(at.dir.status("fifo"));
    co_await fails(at.dir.open("fifo", O_WRONLY), ENXIO);
    const asyncfs::file reading = co_await at.dir.open("fifo", O_RDONLY);
    CHECK((::fcntl(reading.fd(), F_GETFL) & O_NONBLOCK) == 0);  // as it was asked for
    const asyncfs::file writing = co_await at.dir.open("fifo", O_WRONLY);
    std::array<std::byte, 8> buffer;
    co_await gives(writing.write(bytes_of("hello")), 5u);
    co_await gives(reading.read(buffer), 5u);
    const asyncfs::file asked = co_await at.dir.open("fifo", O_RDONLY | O_NONBLOCK);
    CHECK((::fcntl(asked.fd(), F_GETFL) & O_NONBLOCK) != 0);
  });
}
