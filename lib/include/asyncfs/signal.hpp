// Signals (signal(7)) as values that a task waits for, instead of handlers that interrupt it.
//
//   int number = (co_await asyncfs::wait_for_signal({SIGINT, SIGTERM})).number;
//
//   asyncfs::signal_watch watch = co_await asyncfs::watch_signals({SIGHUP, SIGCHLD});
//   while (auto signal = co_await watch.next()) reload_if(signal->number == SIGHUP);
//
// A signal is read from a signalfd(2) only if no thread takes it first, so every thread of the process must have it
// blocked. A watch blocks its signals on the loop's thread; threads started later inherit that, and the library's own
// workers block everything. Where other threads run already, block the signals in main, before they start:
//
//   const asyncfs::signal_block quiet({SIGINT, SIGTERM});
//
// The same signal, sent again before it was read, counts once (real-time signals are queued). Of several watches for
// one signal, one gets it. Signals that a fault in the program raises (SIGSEGV and the like) cannot be watched for: they
// kill it although blocked.
#pragma once

#include <signal.h>
#include <sys/signalfd.h>

#include <concepts>
#include <cstdint>
#include <optional>

#include <asyncfs/file.hpp>
#include <asyncfs/task.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

// A set of signals. Throws std::system_error, EINVAL, for what is no signal, and for SIGKILL and SIGSTOP.
class signal_set {
 public:
  template <std::same_as<int>... Numbers>
  signal_set(Numbers... numbers) {
    sigemptyset(&raw_);
    (add(numbers), ...);
  }

  void add(int number);
  [[nodiscard]] bool contains(int number) const noexcept { return sigismember(&raw_, number) == 1; }
  [[nodiscard]] const sigset_t& raw() const noexcept { return raw_; }

 private:
  sigset_t raw_;
};

// Blocks the signals on the thread that makes it; to be destroyed on the same. Those that were not blocked before are
// unblocked with the last block that names them, and one that nobody has read is then delivered after all: the second
// Ctrl-C of an impatient user ends the program.
class signal_block {
 public:
  explicit signal_block(const signal_set& signals) noexcept;
  signal_block(signal_block&& other) noexcept;
  signal_block& operator=(signal_block&& other) noexcept;
  ~signal_block();

 private:
  void release() noexcept;
  sigset_t signals_;
};

// What signalfd(2) tells. Which fields mean something depends on the signal and its code: sigaction(2), siginfo_t.
struct received_signal {
  int number = 0;
  int code = 0;               // SI_USER, SI_QUEUE, CLD_EXITED ...
  pid_t sender = 0;           // for SIGCHLD the child
  uid_t user = 0;             // the sender's real user
  int value = 0;              // sent along with sigqueue(3)
  std::uint64_t pointer = 0;  // the same, had it been sent as a pointer
  int status = 0;             // SIGCHLD: exit code or signal
};

namespace detail {

struct signalfd_kind {
  using value_type = file;
  static constexpr opcode code = opcode::signalfd;
  sigset_t signals;

  void prepare(request& slot) const noexcept {
    slot.address = request::pointer(&signals);
    slot.options = SFD_CLOEXEC | SFD_NONBLOCK;
  }
  result<file> complete(const completion& event) const {
    if (event.value < 0) return failure(-event.value);
    return file(event.value);
  }
};

}  // namespace detail

// Loop thread only. One task at a time may wait.
class signal_watch {
 public:
  // `from`: a non-blocking signalfd for what `block` names; see watch_signals.
  signal_watch(file from, signal_block block) noexcept : from_(std::move(from)), block_(std::move(block)) {}

  // Waits for the next signal. The optional always has a value, so that a watch is an asynchronous sequence that never
  // ends. Cancelling loses no signal: it is read later, or delivered when the watch goes. The watch must stay where it is
  // meanwhile.
  [[nodiscard]] task<std::optional<received_signal>> next();
  [[nodiscard]] int fd() const noexcept { return from_.fd(); }

 private:
  file from_;
  signal_block block_;  // outlives no thread: see signal_block
};

// Blocks the signals when the task begins. EMFILE, ENFILE: no descriptors left.
[[nodiscard]] task<signal_watch> watch_signals(signal_set signals);

// The first of these signals that comes from now on; they are blocked until then.
[[nodiscard]] task<received_signal> wait_for_signal(signal_set signals);

}  // namespace asyncfs
