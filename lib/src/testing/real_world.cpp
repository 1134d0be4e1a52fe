#include "testing/real_world.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <cerrno>

#include "engine/perform.hpp"

namespace asyncfs::detail {

namespace {

constexpr short always_polled = POLLERR | POLLHUP | POLLNVAL;

short events_of(const request& work) {
  if (work.code == opcode::poll_add) return static_cast<short>(work.options | POLLRDHUP);  // as the ring
  return describe(work.code).waits_for == readiness::output ? POLLOUT : POLLIN;
}

class real_world final : public world {
 public:
  std::int32_t attempt(request& work, const std::shared_ptr<void>&, std::uint64_t& waits_on) override {
    waits_on = static_cast<std::uint32_t>(work.fd);  // so that those who wait for one descriptor are together
    if (!powered_ && work.code != opcode::close && work.code != opcode::nop && work.code != opcode::call) return -EIO;
    if ((work.flags & request::only_if_cached) != 0) return detail::attempt(work);
    if (!may_wait_for_a_peer(work)) return perform(work);
    // These two have no flag for "do not wait"; only the descriptor's mode says it.
    if (work.code == opcode::accept || work.code == opcode::connect) set_nonblocking(work.fd);
    const std::int32_t value = detail::attempt(work);
    if (work.code == opcode::connect && value == -EINPROGRESS) {
      work.extra = 1;  // under way: the next attempt asks for its outcome
      return must_wait;
    }
    if (value == -EAGAIN && work.code == opcode::poll_add && !can_change(work.fd)) return -EINVAL;
    return value == -EAGAIN ? must_wait : value;
  }
  std::vector<std::uint64_t> take_changes() override { return {}; }
  bool look_outside(std::span<const request* const> waiting, std::chrono::milliseconds patience,
                    std::vector<std::size_t>& ready) override {
    if (waiting.empty()) return false;
    // Each descriptor once: poll(2) takes no more than a process may have.
    polled_.clear();
    which_.clear();
    for (const request* one : waiting) {
      if (polled_.empty() || polled_.back().fd != one->fd) polled_.push_back({one->fd, 0, 0});
      polled_.back().events = static_cast<short>(polled_.back().events | events_of(*one));
      which_.push_back(polled_.size() - 1);
    }
    if (::poll(polled_.data(), polled_.size(), static_cast<int>(patience.count())) > 0)
      for (std::size_t i = 0; i < waiting.size(); ++i)
        if ((polled_[which_[i]].revents & (events_of(*waiting[i]) | always_polled)) != 0) ready.push_back(i);
    return true;
  }
  void set_time(std::int64_t) noexcept override {}
  void cut_power() override { powered_ = false; }
  void lose_unsynced(int) noexcept override {}

 private:
  // What a file of this kind is not ready for at once it never will be.
  static bool can_change(int fd) noexcept {
    struct stat status;
    return ::fstat(fd, &status) != 0 || (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode));
  }
  static void set_nonblocking(int fd) noexcept {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) == 0) ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  }
  std::vector<pollfd> polled_;
  std::vector<std::size_t> which_;  // of these, for each that waits
  bool powered_ = true;
};

}  // namespace

std::unique_ptr<world> make_real_world() { return std::make_unique<real_world>(); }

}  // namespace asyncfs::detail
