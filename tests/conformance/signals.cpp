// Signals as values.
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "../support/engines.hpp"

using asyncfs::received_signal;
using asyncfs::signal_block;
using asyncfs::signal_set;
using asyncfs::task;
using tests::on_every_kernel_engine;
using tests::place;
using namespace std::chrono_literals;

namespace {

bool is_blocked(int number) {
  sigset_t blocked;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  return sigismember(&blocked, number) == 1;
}

// A handler that counts, so that a signal which escapes a watch is seen and does not end the tests.
class escaped {
 public:
  explicit escaped(int number) : number_(number), before_(std::signal(number, [](int) { count_ = count_ + 1; })) {
    count_ = 0;
  }
  escaped(const escaped&) = delete;
  escaped& operator=(const escaped&) = delete;
  ~escaped() { std::signal(number_, before_); }
  [[nodiscard]] static int count() { return count_; }

 private:
  static inline volatile std::sig_atomic_t count_ = 0;
  int number_;
  void (*before_)(int);
};

int code_of(void (*attempt)()) {
  try {
    attempt();
  } catch (const std::system_error& error) {
    return error.code().value();
  }
  return 0;
}

}  // namespace

TEST_CASE("a signal sent to the process is given to the task that waits for it, with its sender") {
  const escaped handler(SIGUSR1);
  on_every_kernel_engine([](place& at) -> task<void> {
    asyncfs::signal_watch watch = co_await asyncfs::watch_signals({SIGUSR1, SIGUSR2});
    CHECK(is_blocked(SIGUSR1));
    CHECK(is_blocked(SIGUSR2));
    asyncfs::future<std::optional<received_signal>> waiting = asyncfs::spawn(at.home, watch.next());
    co_await asyncfs::sleep_for(1ms);
    CHECK_FALSE(waiting.ready());
    ::kill(::getpid(), SIGUSR1);
    const auto first = co_await std::move(waiting);
    CHECK(first.has_value());
    if (first) {
      CHECK(first->number == SIGUSR1);
      CHECK(first->code == SI_USER);
      CHECK(first->sender == ::getpid());
      CHECK(first->user == ::getuid());
    }
    ::sigqueue(::getpid(), SIGUSR2, {.sival_int = 42});  // came before it was asked for
    const auto second = co_await watch.next();
    if (second) {
      CHECK(second->number == SIGUSR2);
      CHECK(second->code == SI_QUEUE);
      CHECK(second->value == 42);
    }
  });
  CHECK(handler.count() == 0);
  CHECK_FALSE(is_blocked(SIGUSR1));
  CHECK_FALSE(is_blocked(SIGUSR2));
}

TEST_CASE("real-time signals all arrive, in order, with what was sent along") {
  on_every_kernel_engine([](place&) -> task<void> {
    const int number = SIGRTMIN + 3;
    asyncfs::signal_watch watch = co_await asyncfs::watch_signals({number});
    for (int i = 0; i < 20; ++i) ::sigqueue(::getpid(), number, {.sival_int = i});
    for (int i = 0; i < 20; ++i) {
      const auto one = co_await watch.next();
      CHECK(one.has_value());
      if (one) CHECK(one->value == i);
    }
  });
}

TEST_CASE("a signal from another thread, or sent to the loop's thread alone, wakes a loop that sleeps") {
  on_every_kernel_engine([](place&) -> task<void> {
    for (const bool to_thread : {false, true}) {
      const ::pthread_t loop_thread = ::pthread_self();
      asyncfs::signal_watch watch = co_await asyncfs::watch_signals({SIGUSR1});
      const std::jthread sender([loop_thread, to_thread] {
        if (to_thread)
          ::pthread_kill(loop_thread, SIGUSR1);
        else
          ::kill(::getpid(), SIGUSR1);
      });
      const auto one = co_await watch.next();
      CHECK(one.has_value());
      if (one) CHECK(one->number == SIGUSR1);
    }
  });
}

TEST_CASE("a wait for a signal that is cancelled loses none") {
  const escaped handler(SIGUSR1);
  on_every_kernel_engine([](place& at) -> task<void> {
    asyncfs::signal_watch watch = co_await asyncfs::watch_signals({SIGUSR1});
    int error = -1;
    auto wait = [](asyncfs::signal_watch& from, int& e) -> task<void> {
      try {
        co_await from.next();
        e = 0;
      } catch (const std::system_error& failure) {
        e = failure.code().value();
      }
    };
    {
      const asyncfs::future<void> dropped = asyncfs::spawn(at.home, wait(watch, error));
      co_await asyncfs::sleep_for(1ms);
      CHECK(error == -1);
    }
    for (int i = 0; i < 5000 && error == -1; ++i) co_await asyncfs::sleep_for(1ms);
    CHECK(error == ECANCELED);
    ::kill(::getpid(), SIGUSR1);
    error = -1;
    {
      const asyncfs::future<void> dropped = asyncfs::spawn(at.home, wait(watch, error));
    }
    for (int i = 0; i < 5000 && error == -1; ++i) co_await asyncfs::sleep_for(1ms);
    CHECK(error == ECANCELED);  // before it began
    const auto one = co_await watch.next();
    CHECK(one->number == SIGUSR1);
  });
  CHECK(handler.count() == 0);
}

TEST_CASE("waiting for the first of some signals gives that one") {
  const escaped handler(SIGTERM);
  on_every_kernel_engine([](place& at) -> task<void> {
    asyncfs::future<received_signal> waiting = asyncfs::spawn(at.home, asyncfs::wait_for_signal({SIGINT, SIGTERM}));
    while (!is_blocked(SIGTERM)) co_await asyncfs::yield();
    ::kill(::getpid(), SIGTERM);
    const received_signal got = co_await std::move(waiting);
    CHECK(got.number == SIGTERM);
    CHECK_FALSE(is_blocked(SIGTERM));
    CHECK_FALSE(is_blocked(SIGINT));
  });
  CHECK(handler.count() == 0);
}

TEST_CASE("a signal that nobody read is delivered when its watch goes") {
  const escaped handler(SIGUSR1);
  on_every_kernel_engine([](place&) -> task<void> {
    asyncfs::signal_watch watch = co_await asyncfs::watch_signals({SIGUSR1});
    const int before = escaped::count();
    ::kill(::getpid(), SIGUSR1);
    CHECK(escaped::count() == before);
    {
      const asyncfs::signal_watch gone = std::move(watch);
    }
    CHECK(escaped::count() == before + 1);
  });
}

TEST_CASE("a signal stays blocked until the last that blocks it is gone, in whatever order they go") {
  {
    std::optional<signal_block> first(std::in_place, signal_set{SIGUSR1, SIGUSR2});
    std::optional<signal_block> second(std::in_place, signal_set{SIGUSR1});
    first.reset();
    CHECK(is_blocked(SIGUSR1));
    CHECK_FALSE(is_blocked(SIGUSR2));
    signal_block third = std::move(*second);
    second.reset();
    CHECK(is_blocked(SIGUSR1));
    third = signal_block(signal_set(SIGUSR2));
    CHECK_FALSE(is_blocked(SIGUSR1));
    CHECK(is_blocked(SIGUSR2));
  }
  CHECK_FALSE(is_blocked(SIGUSR2));
  // What the program had blocked itself stays so.
  sigset_t own;
  sigemptyset(&own);
  sigaddset(&own, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &own, nullptr);
  {
    const signal_block block(signal_set{SIGUSR1});
  }
  CHECK(is_blocked(SIGUSR1));
  ::pthread_sigmask(SIG_UNBLOCK, &own, nullptr);
}

TEST_CASE("what cannot be watched for is refused") {
  CHECK(code_of([] { signal_set{SIGKILL}; }) == EINVAL);
  CHECK(code_of([] { signal_set{SIGSTOP}; }) == EINVAL);
  CHECK(code_of([] { signal_set{0}; }) == EINVAL);
  CHECK(code_of([] { signal_set{1000}; }) == EINVAL);
  CHECK(signal_set{SIGINT}.contains(SIGINT));
  CHECK_FALSE(signal_set{SIGINT}.contains(SIGTERM));
}

TEST_CASE("a watch that no descriptor is left for is an error, and unblocks its signals again") {
  on_every_kernel_engine([](place&) -> task<void> {
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const rlimit few{.rlim_cur = 3, .rlim_max = before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
    int error = 0;
    try {
      const asyncfs::signal_watch none = co_await asyncfs::watch_signals({SIGUSR1});
    } catch (const std::system_error& e) {
      error = e.code().value();
    }
    ::setrlimit(RLIMIT_NOFILE, &before);
    CHECK(error == EMFILE);
    CHECK_FALSE(is_blocked(SIGUSR1));
  });
}

TEST_CASE("a watch for SIGCHLD tells which child ended, and how") {
  on_every_kernel_engine([](place&) -> task<void> {
    asyncfs::signal_watch watch = co_await asyncfs::watch_signals({SIGCHLD});
    asyncfs::process child = co_await asyncfs::spawn_process({"sh", "-c", "exit 5"});
    const auto news = co_await watch.next();
    CHECK(news->number == SIGCHLD);
    CHECK(news->sender == child.pid());
    CHECK(news->code == CLD_EXITED);
    CHECK(news->status == 5);
    co_await child.wait();
  });
}
