#include "testing/real_world.hpp"

#include <fcntl.h>
#include <poll.h>

#include <cerrno>

#include "engine/perform.hpp"

namespace asyncfs::detail {

namespace {

constexpr int a_moment_ms = 20;
constexpr int most_moments = 500;  // without any news: ten seconds

class real_world final : public world {
 public:
  std::int32_t attempt(const request& work, std::uint64_t&) override {
    const std::int32_t value = carry_out(work);
    if (value != -EAGAIN) {
      changed_ = true;
      fruitless_ = 0;
    }
    return value;
  }
  [[nodiscard]] bool may_wait(const request& work) const noexcept override { return may_wait_for_a_peer(work); }
  // What one request did may be what another waits for: who waits looks again after every effect.
  std::vector<std::uint64_t> take_changes() override {
    if (!changed_) return {};
    changed_ = false;
    return {0};
  }
  bool wait_for_outside(const std::vector<const request*>& waiting) override {
    if (waiting.empty()) return false;
    std::vector<pollfd> all;
    for (const request* one : waiting) all.push_back({one->fd, events_of(*one), 0});
    ::poll(all.data(), all.size(), a_moment_ms);
    return ++fruitless_ < most_moments;
  }
  void set_time(std::int64_t) noexcept override {}
  void cut_power() override { powered_ = false; }
  void lose_unsynced(int) noexcept override {}

 private:
  std::int32_t carry_out(const request& work) const {
    if (!powered_ && work.code != opcode::close && work.code != opcode::nop && work.code != opcode::call) return -EIO;
    if ((work.flags & request::only_if_cached) != 0) return detail::attempt(work);
    if (!may_wait_for_a_peer(work)) return perform(work);
    // These have no flag for "do not wait".
    if (work.code == opcode::accept && !ready(work)) return -EAGAIN;
    if (work.code == opcode::connect) return connect(work);
    return detail::attempt(work);
  }
  // Asked again, a connection under way gives its outcome.
  static std::int32_t connect(const request& work) {
    const int flags = ::fcntl(work.fd, F_GETFL);
    if (flags < 0) return -errno;
    ::fcntl(work.fd, F_SETFL, flags | O_NONBLOCK);
    const std::int32_t value = perform(work);
    ::fcntl(work.fd, F_SETFL, flags);
    return value == -EINPROGRESS || value == -EALREADY ? -EAGAIN : value;
  }
  static short events_of(const request& work) {
    if (work.code == opcode::poll_add) return static_cast<short>(work.options);
    return describe(work.code).waits_for == readiness::output ? POLLOUT : POLLIN;
  }
  static bool ready(const request& work) {
    pollfd one{work.fd, events_of(work), 0};
    return work.fd < 0 || ::poll(&one, 1, 0) != 0;  // poll(2) skips negative numbers
  }

  bool changed_ = false, powered_ = true;
  int fruitless_ = 0;
};

}  // namespace

std::unique_ptr<world> make_real_world() { return std::make_unique<real_world>(); }

}  // namespace asyncfs::detail
