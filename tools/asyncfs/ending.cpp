#include "ending.hpp"

#include <signal.h>
#include <unistd.h>

namespace tool {

void die_of(int signal) {
  ::signal(signal, SIG_DFL);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
  ::raise(signal);
  ::_exit(128 + signal);  // of those that do not kill
}

}  // namespace tool
