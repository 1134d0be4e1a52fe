// The engine for machines where io_uring is refused: system calls on worker threads, and epoll for what waits.
//
// `sync` is the same engine with the file calls made in place, one after the other, on the loop's thread.

#include <algorithm>
#include <cstdint>
#include <limits>

#include "engine/bell.hpp"
#include "engine/completion_queue.hpp"
#include "engine/factories.hpp"
#include "engine/job_board.hpp"
#include "engine/perform.hpp"
#include "engine/poller.hpp"

namespace asyncfs::detail {

namespace {

class threads_engine final : public engine {
 public:
  threads_engine(const engine_options& options, bool in_place)
      : in_place_(in_place),
        faults_(options.faults),
        bell_(EFD_NONBLOCK),
        poller_(bell_.fd(), finished_),
        workers_(*this) {}

  [[nodiscard]] std::string_view name() const noexcept override { return in_place_ ? "sync" : "threads"; }
  [[nodiscard]] runs where(opcode code) const noexcept override {
    if (in_place_ && code == opcode::call) return runs::on_worker;
    return in_place_ || stays_here(code) ? runs::in_place : runs::on_worker;
  }

  [[nodiscard]] bool submit(const request& work) override {
    finished_.reserve();
    try {
      start(work);
    } catch (...) {
      finished_.release();
      throw;
    }
    ++count_.submitted;
    return true;
  }

  void cancel(std::uint64_t user_data) noexcept override {
    if (!poller_.cancel(user_data)) workers_.cancel(user_data);
  }

  [[nodiscard]] std::size_t reap(std::span<completion> batch) noexcept override {
    const std::size_t count = finished_.take(batch);
    return count + workers_.reap(batch.subspan(count));
  }

  [[nodiscard]] bool has_finished_work() const noexcept override {
    return !finished_.empty() || workers_.has_finished();
  }

  void enter(const wait& how) noexcept override {
    ++count_.enters;
    if (!how.until_completion || !fall_asleep()) {
      poller_.poll(0);
      return;
    }
    if (poller_.poll(milliseconds_until(how.deadline))) bell_.silence();
    awake();
  }

 protected:
  [[nodiscard]] bool refill() noexcept override { return false; }
  void ring_bell() noexcept override { bell_.ring(); }

 private:
  // With room reserved for a completion: used by `finish`, or given back. Throws before anything was started.
  void start(const request& work) {
    if (faults_ != nullptr && faults_->inject) [[unlikely]]
      if (const auto value = faults_->inject(work)) {
        if (work.code == opcode::close && *value != -ECANCELED) {
          poller_.forget(work.fd);
          static_cast<void>(perform(work));
        }
        return finish(work, *value);
      }
    if (work.code == opcode::close) poller_.forget(work.fd);
    if (may_wait_for_a_peer(work) && poller_.start(work)) return finished_.release();
    if ((work.flags & request::only_if_cached) != 0) return finish(work, attempt(work));
    if (where(work.code) == runs::in_place) return finish(work, perform(work));
    if (const std::int32_t value = try_cached(work); value != -EAGAIN) return finish(work, value);
    workers_.submit(work);
    finished_.release();
  }
  // Calls that neither wait for a device nor take longer than handing them to another thread would.
  static bool stays_here(opcode code) noexcept {
    switch (code) {
      case opcode::nop:
      case opcode::close:
      case opcode::fstat:
      case opcode::socket:
      case opcode::bind:
      case opcode::listen:
      case opcode::shutdown:
      case opcode::pipe:
      case opcode::signalfd:
      case opcode::pidfd_send_signal: return true;
      default: return false;
    }
  }
  // What the caches hold needs no worker: asked without waiting, it costs less than a hop to another thread.
  static std::int32_t try_cached(const request& work) noexcept {
    if (work.code != opcode::read && work.code != opcode::readv && work.code != opcode::openat &&
        work.code != opcode::openat2)
      return -EAGAIN;
    const std::int32_t value = attempt(work);
    return value == -EOPNOTSUPP ? -EAGAIN : value;
  }
  int milliseconds_until(steady_time deadline) noexcept {
    if (deadline == steady_time::max()) return -1;
    const std::int64_t left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max()));
  }
  void finish(const request& work, std::int32_t value) noexcept {
    finished_.put({.user_data = work.user_data, .value = value, .flags = 0});
  }

  const bool in_place_;
  const engine_faults* const faults_;
  const bell bell_;
  completion_queue finished_;
  poller poller_;
  job_board workers_;
};

}  // namespace

std::unique_ptr<engine> make_threads_engine(const engine_options& options) {
  return std::make_unique<threads_engine>(options, false);
}
std::unique_ptr<engine> make_sync_engine(const engine_options& options) {
  return std::make_unique<threads_engine>(options, true);
}

}  // namespace asyncfs::detail
