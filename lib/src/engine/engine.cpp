#include <asyncfs/engine.hpp>

#include <sys/random.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "engine/factories.hpp"

namespace asyncfs {

// splitmix64, seeded by the kernel: for names and jitter, not for secrets.
std::uint64_t engine::random() noexcept {
  if (random_state_ == 0 && ::getrandom(&random_state_, sizeof random_state_, 0) != sizeof random_state_)
    random_state_ =
        reinterpret_cast<std::uintptr_t>(this) ^ static_cast<std::uint64_t>(now().time_since_epoch().count());
  std::uint64_t z = random_state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

void engine::give_up(const std::string& why) const noexcept {
  std::fprintf(stderr, "asyncfs: %s\n", why.c_str());
  std::abort();
}

result<engine_kind> parse_engine_kind(std::string_view word) {
  if (word == "auto") return engine_kind::automatic;
  if (word == "uring") return engine_kind::uring;
  if (word == "threads") return engine_kind::threads;
  if (word == "sync") return engine_kind::sync;
  return failure(EINVAL);
}

std::string explain_uring_refusal(const std::error_code& error) {
  if (!error) return {};
  int disabled = -1;
  if (std::FILE* sysctl = std::fopen("/proc/sys/kernel/io_uring_disabled", "re")) {
    if (std::fscanf(sysctl, "%d", &disabled) != 1) disabled = -1;
    std::fclose(sysctl);
  }
  switch (error.value()) {
    case ENOSYS: return "this kernel has no io_uring, or a seccomp filter hides it; Linux 5.11 or newer is needed";
    case EPERM:
      if (disabled > 0)
        return "the sysctl kernel.io_uring_disabled is " + std::to_string(disabled) +
               "; an administrator can set it to 0";
      return "a security policy (a container's seccomp profile, most often) forbids io_uring; allow io_uring_setup, "
             "io_uring_enter and io_uring_register";
    case ENOMEM: return "the limit on locked memory is too low; raise RLIMIT_MEMLOCK (ulimit -l)";
    case EMFILE:
    case ENFILE: return "no file descriptor is left; raise RLIMIT_NOFILE (ulimit -n)";
    case EOPNOTSUPP: return "this kernel's io_uring lacks what the ring engine needs; Linux 5.11 or newer is needed";
    default: return "io_uring_setup failed: " + error.message();
  }
}

result<chosen_engine> make_engine(const engine_options& options) {
  if (options.make) return chosen_engine{options.make(options), "given by the caller"};
  switch (options.kind) {
    case engine_kind::threads: return chosen_engine{detail::make_threads_engine(options), "asked for"};
    case engine_kind::sync: return chosen_engine{detail::make_sync_engine(options), "asked for"};
    case engine_kind::uring:
    case engine_kind::automatic: break;
  }
  auto ring = detail::make_uring_engine(options);
  if (ring)
    return chosen_engine{std::move(*ring), options.kind == engine_kind::uring ? "asked for" : "io_uring works here"};
  if (options.kind == engine_kind::uring) return failure(ring.error());
  return chosen_engine{detail::make_threads_engine(options), "no io_uring: " + explain_uring_refusal(ring.error())};
}

}  // namespace asyncfs
