// While it lives, SIGPIPE is blocked on the thread that made it; one that was raised meanwhile is taken back at the end.
//
// So a write that nobody reads is the error EPIPE and nothing else. The signal is sent to the very thread that writes:
// the loop's, since the ring writes to streams there; workers have all signals blocked.
#pragma once

#include <signal.h>

#include <cerrno>

namespace asyncfs::detail {

class sigpipe_block {
 public:
  sigpipe_block() noexcept {
    sigset_t before, pending;
    sigemptyset(&signal_);
    sigaddset(&signal_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &signal_, &before);
    ::sigpending(&pending);
    was_blocked_ = sigismember(&before, SIGPIPE) == 1;
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
  }
  sigpipe_block(const sigpipe_block&) = delete;
  sigpipe_block& operator=(const sigpipe_block&) = delete;
  ~sigpipe_block() {
    const timespec at_once{};
    if (!was_pending_)
      while (::sigtimedwait(&signal_, nullptr, &at_once) < 0 && errno == EINTR) {
      }
    if (!was_blocked_) ::pthread_sigmask(SIG_UNBLOCK, &signal_, nullptr);
  }

 private:
  sigset_t signal_;
  bool was_blocked_, was_pending_;
};

}  // namespace asyncfs::detail
