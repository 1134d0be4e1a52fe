#include "engine/spawn_program.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include <asyncfs/descriptor.hpp>

namespace asyncfs::detail {

namespace {

constexpr int first_other = STDERR_FILENO + 1;

// What posix_spawn(3) is told, step by step; after the first step that failed the others do nothing.
class spawn_plan {
 public:
  spawn_plan() noexcept {
    failed_ = ::posix_spawn_file_actions_init(&actions_);
    has_actions_ = failed_ == 0;
    if (failed_ == 0) failed_ = ::posix_spawnattr_init(&attributes_);
    has_attributes_ = failed_ == 0;
  }
  spawn_plan(const spawn_plan&) = delete;
  spawn_plan& operator=(const spawn_plan&) = delete;
  ~spawn_plan() {
    if (has_attributes_) ::posix_spawnattr_destroy(&attributes_);
    if (has_actions_) ::posix_spawn_file_actions_destroy(&actions_);
  }

  template <class... Step, class... Argument>
  void act(int (*step)(posix_spawn_file_actions_t*, Step...), Argument... argument) noexcept {
    if (failed_ == 0) failed_ = step(&actions_, argument...);
  }
  template <class Step, class Argument>
  void set(int (*step)(posix_spawnattr_t*, Step), Argument argument) noexcept {
    if (failed_ == 0) failed_ = step(&attributes_, argument);
  }
  // An errno value, or 0.
  int run(spawn_arguments& what) noexcept {
    char* const* const environment = what.environment != nullptr ? what.environment : environ;
    if (failed_ == 0)
      failed_ = ::posix_spawnp(&what.pid, what.program, &actions_, &attributes_, what.arguments, environment);
    return failed_;
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
  bool has_actions_, has_attributes_;
  int failed_;
};

// The child sets its descriptors one after the other, so none of the sources may be among those set before its turn.
int clear_of_targets(int source, int target, descriptor& copy) noexcept {
  if (source == target || source >= first_other) return source;
  copy = descriptor(::fcntl(source, F_DUPFD_CLOEXEC, first_other));
  return copy.fd();
}

std::int64_t fail(int error) noexcept {
  errno = error;
  return -1;
}

}  // namespace

std::int64_t spawn_program(spawn_arguments& what) noexcept {
  spawn_plan plan;
  if (what.directory >= 0) plan.act(::posix_spawn_file_actions_addfchdir_np, what.directory);
  descriptor copies[first_other];
  for (int target = 0; target < first_other; ++target) {
    const auto i = static_cast<std::size_t>(target);
    if (what.standard[i] < 0) continue;
    const int source = clear_of_targets(what.standard[i], target, copies[i]);
    if (source < 0) return -1;
    plan.act(::posix_spawn_file_actions_adddup2, source, target);
  }
  if (!what.keep_descriptors) plan.act(::posix_spawn_file_actions_addclosefrom_np, first_other);

  sigset_t none, defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  plan.set(::posix_spawnattr_setsigmask, &none);
  plan.set(::posix_spawnattr_setsigdefault, &defaults);
  int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  if (what.process_group == spawn_arguments::group::own) flags |= POSIX_SPAWN_SETPGROUP;  // number 0: its own pid
  if (what.process_group == spawn_arguments::group::own_session) flags |= POSIX_SPAWN_SETSID;
  plan.set(::posix_spawnattr_setflags, static_cast<short>(flags));

  if (const int error = plan.run(what); error != 0) return fail(error);
  const auto pidfd = ::syscall(SYS_pidfd_open, what.pid, 0);
  if (pidfd >= 0) return pidfd;
  const int error = errno;
  if (error == ESRCH) return fail(ECHILD);
  // No descriptor left to hold it by: a child that nobody can hold must not run.
  ::kill(what.pid, SIGKILL);
  while (::waitpid(what.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return fail(error);
}

}  // namespace asyncfs::detail
