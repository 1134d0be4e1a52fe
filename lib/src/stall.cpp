#include <asyncfs/stall.hpp>

#include <signal.h>
#include <time.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

namespace asyncfs {

namespace {

using namespace std::chrono_literals;

constexpr int looks_a_threshold = 5;
constexpr int lasting_thresholds = 10;
constexpr double mostly_computing = 0.5;  // of the time

// Of the processor, by another thread; nothing when it has ended.
std::chrono::nanoseconds used_by(clockid_t clock) noexcept {
  timespec used{};
  if (::clock_gettime(clock, &used) != 0) return {};
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

// A thread that receives no signals: they are for the threads that asked for them.
std::jthread quiet_thread(std::function<void(std::stop_token)> run) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  struct restore {
    const sigset_t& mask;
    ~restore() { pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
  } const restored{before};
  return std::jthread(std::move(run));
}

}  // namespace

std::string describe(const stall& what) {
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(what.duration).count();
  const bool computes = what.doing == stall::kind::computing;
  const std::string_view path = what.site.file_name();
  std::string text = what.over ? "the loop was blocked for " : "the loop has been blocked for ";
  text += std::to_string(milliseconds) + (computes ? " ms, computing: " : " ms, waiting: ");
  if (what.site.line() == 0)
    text += "something without a known line";
  else
    text +=
        "what goes on from " + std::string(path.substr(path.rfind('/') + 1)) + ":" + std::to_string(what.site.line());
  if (!what.operation.empty()) text += " (after '" + std::string(what.operation) + "')";
  text += computes ? " ran without awaiting anything; move it to offload(), or co_await yield() now and then"
                   : " made a call that waits; use the operation for it, or offload_blocking()";
  return text;
}

class stall_reporter::watcher {
 public:
  watcher(const loop& watched, std::chrono::nanoseconds threshold, handler report)
      : pulse_(watched.pulse()),
        threshold_(threshold),
        report_(std::move(report)),
        thread_(quiet_thread([this](const std::stop_token& stop) { watch(stop); })) {}
  ~watcher() {
    thread_.request_stop();
    {
      const std::lock_guard lock(mutex_);
    }
    wake_.notify_all();
  }

 private:
  struct look {
    bool resting;
    std::uint64_t callbacks;
    std::source_location site;
    opcode cause;
    steady_time at;
    std::chrono::nanoseconds used;
  };

  [[nodiscard]] look look_now() const noexcept {
    return {pulse_.resting.load(std::memory_order_relaxed),
            pulse_.callbacks.load(std::memory_order_relaxed),
            pulse_.site.load(std::memory_order_relaxed),
            pulse_.cause.load(std::memory_order_relaxed),
            std::chrono::steady_clock::now(),
            used_by(pulse_.clock.load(std::memory_order_relaxed))};
  }
  static bool same(const look& a, const look& b) noexcept {
    return !a.resting && !b.resting && a.callbacks == b.callbacks;
  }

  void watch(const std::stop_token& stop) {
    const auto pause = std::max<std::chrono::nanoseconds>(threshold_ / looks_a_threshold, 1ms);
    look first = look_now(), last = first;
    bool said_lasting = false;
    std::unique_lock lock(mutex_);
    for (;;) {
      const bool stopping = wake_.wait_for(lock, pause, [&] { return stop.stop_requested(); });
      const look now = look_now();
      if (same(first, now) && !stopping) {
        last = now;
        if (!said_lasting && now.at - first.at >= threshold_ * lasting_thresholds) {
          said_lasting = true;
          say(first, now, false);
        }
        continue;
      }
      // It went on somewhere between the two looks.
      if (last.at - first.at >= threshold_ - pause) say(first, now, true);
      if (stopping) return;
      first = last = now;
      said_lasting = false;
    }
  }

  void say(const look& first, const look& last, bool over) {
    const auto duration = last.at - first.at;
    if (over && duration < threshold_) return;
    const auto share = std::chrono::duration<double>(last.used - first.used) / std::chrono::duration<double>(duration);
    const stall what{.duration = duration,
                     .doing = share >= mostly_computing ? stall::kind::computing : stall::kind::waiting,
                     .site = first.site,
                     .operation = first.cause == detail::no_operation ? "" : describe(first.cause).name,
                     .over = over};
    if (report_) return report_(what);
    std::fprintf(stderr, "asyncfs: %s\n", describe(what).c_str());
  }

  const detail::pulse& pulse_;
  const std::chrono::nanoseconds threshold_;
  const handler report_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::jthread thread_;
};

stall_reporter::stall_reporter(const loop& watched, std::chrono::nanoseconds threshold, handler report)
    : watcher_(std::make_unique<watcher>(watched, threshold, std::move(report))) {}
stall_reporter::~stall_reporter() = default;

}  // namespace asyncfs
