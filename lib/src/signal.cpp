#include <asyncfs/signal.hpp>

#include <array>
#include <cerrno>
#include <utility>

#include <asyncfs/poll.hpp>

namespace asyncfs {

namespace {

// How many blocks of this thread name a signal, and whether the first of them found it unblocked.
struct blocked_signal {
  unsigned blocks = 0;
  bool was_free = false;
};
thread_local std::array<blocked_signal, NSIG> blocked;

template <class F>
void for_each_signal(const sigset_t& set, F fn) {
  for (int number = 1; number < NSIG; ++number)
    if (sigismember(&set, number) == 1) fn(number, blocked[static_cast<std::size_t>(number)]);
}

}  // namespace

void signal_set::add(int number) {
  if (number == SIGKILL || number == SIGSTOP || sigaddset(&raw_, number) != 0)
    detail::throw_failure(failure(EINVAL).error(), "signal_set");
}

signal_block::signal_block(const signal_set& signals) noexcept : signals_(signals.raw()) {
  sigset_t before;
  ::pthread_sigmask(SIG_BLOCK, &signals_, &before);
  for_each_signal(signals_, [&](int number, blocked_signal& one) {
    if (one.blocks++ == 0) one.was_free = sigismember(&before, number) == 0;
  });
}

signal_block::signal_block(signal_block&& other) noexcept : signals_(other.signals_) { sigemptyset(&other.signals_); }

signal_block& signal_block::operator=(signal_block&& other) noexcept {
  if (this != &other) {
    release();
    signals_ = other.signals_;
    sigemptyset(&other.signals_);
  }
  return *this;
}

signal_block::~signal_block() { release(); }

void signal_block::release() noexcept {
  sigset_t free_again;
  sigemptyset(&free_again);
  for_each_signal(signals_, [&](int number, blocked_signal& one) {
    if (--one.blocks == 0 && one.was_free) sigaddset(&free_again, number);
  });
  sigemptyset(&signals_);
  ::pthread_sigmask(SIG_UNBLOCK, &free_again, nullptr);
}

task<std::optional<received_signal>> signal_watch::next() {
  signalfd_siginfo raw;
  for (;;) {
    const auto got = co_await as_result(from_.read(std::as_writable_bytes(std::span(&raw, 1))));
    if (got) break;
    if (got.error().value() != EAGAIN) detail::throw_failure(got.error(), "signal_watch.next");
    // Either another reader was faster, or the kernel cannot let reads of a signalfd wait in the ring (before 6.10).
    co_await poll(from_.fd(), POLLIN);
  }
  co_return received_signal{
      .number = static_cast<int>(raw.ssi_signo),
      .code = raw.ssi_code,
      .sender = static_cast<pid_t>(raw.ssi_pid),
      .user = raw.ssi_uid,
      .value = raw.ssi_int,
      .pointer = raw.ssi_ptr,
      .status = raw.ssi_status,
  };
}

task<signal_watch> watch_signals(signal_set signals) {
  signal_block block(signals);
  file from = co_await operation(detail::signalfd_kind{signals.raw()});
  co_return signal_watch(std::move(from), std::move(block));
}

task<received_signal> wait_for_signal(signal_set signals) {
  signal_watch watch = co_await watch_signals(signals);
  const std::optional<received_signal> first = co_await watch.next();
  co_return *first;
}

}  // namespace asyncfs
