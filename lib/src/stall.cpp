#include <asyncfs/stall.hpp>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>
#include <utility>

namespace asyncfs {

namespace {

using namespace std::chrono_literals;

constexpr int looks_a_threshold = 5;
constexpr int lasting_thresholds = 10;

// What the scheduler says of a thread. Its processor time would not tell: on a busy machine what computes gets little.
class thread_state {
 public:
  thread_state() noexcept = default;
  thread_state(const thread_state&) = delete;
  thread_state& operator=(const thread_state&) = delete;
  ~thread_state() { close(); }

  // Whether it waits for anything but a processor. Not when that is unknown.
  [[nodiscard]] bool waits(pid_t thread) noexcept {
    if (thread != thread_) open(thread);
    if (fd_ < 0) return false;
    char text[64];  // "number (name) state ...", where the name has at most 15 bytes
    const ssize_t length = ::pread(fd_, text, sizeof text, 0);
    if (length <= 0) return false;
    const std::string_view whole(text, static_cast<std::size_t>(length));
    const std::size_t name_end = whole.rfind(") ");
    return name_end != std::string_view::npos && name_end + 2 < whole.size() && whole[name_end + 2] != 'R';
  }

 private:
  void open(pid_t thread) noexcept {
    close();
    thread_ = thread;
    char path[64];
    std::snprintf(path, sizeof path, "/proc/self/task/%d/stat", static_cast<int>(thread));
    fd_ = ::open(path, O_RDONLY | O_CLOEXEC);
  }
  void close() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

  pid_t thread_ = 0;
  int fd_ = -1;
};

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
    bool waits;
  };
  // Looks at one callback, one after the other.
  struct stretch {
    explicit stretch(const look& one) noexcept : first(one), last(one), waiting(one.waits) {}
    void add(const look& one) noexcept {
      last = one;
      ++looks;
      waiting += one.waits;
    }
    [[nodiscard]] std::chrono::nanoseconds duration() const noexcept { return last.at - first.at; }
    look first, last;
    unsigned looks = 1, waiting;
  };

  [[nodiscard]] look look_now() noexcept {
    look now{pulse_.resting.load(std::memory_order_relaxed),
             pulse_.callbacks.load(std::memory_order_relaxed),
             pulse_.site.load(std::memory_order_relaxed),
             pulse_.cause.load(std::memory_order_relaxed),
             std::chrono::steady_clock::now(),
             false};
    if (!now.resting) now.waits = state_.waits(pulse_.thread.load(std::memory_order_relaxed));
    return now;
  }
  static bool same(const look& a, const look& b) noexcept {
    return !a.resting && !b.resting && a.callbacks == b.callbacks;
  }

  void watch(const std::stop_token& stop) {
    const auto pause = std::max<std::chrono::nanoseconds>(threshold_ / looks_a_threshold, 1ms);
    stretch seen(look_now());
    bool said_lasting = false;
    std::unique_lock lock(mutex_);
    for (;;) {
      const bool stopping = wake_.wait_for(lock, pause, [&] { return stop.stop_requested(); });
      const look now = look_now();
      if (same(seen.first, now) && !stopping) {
        seen.add(now);
        if (!said_lasting && seen.duration() >= threshold_ * lasting_thresholds) {
          said_lasting = true;
          say(seen, false);
        }
        continue;
      }
      // It went on somewhere between the two looks.
      if (seen.duration() >= threshold_) say(seen, true);
      if (stopping) return;
      seen = stretch(now);
      said_lasting = false;
    }
  }

  void say(const stretch& seen, bool over) {
    const stall what{.duration = seen.duration(),
                     .doing = seen.waiting * 2 > seen.looks ? stall::kind::waiting : stall::kind::computing,
                     .site = seen.first.site,
                     .operation = seen.first.cause == detail::no_operation ? "" : describe(seen.first.cause).name,
                     .over = over};
    if (report_) return report_(what);
    std::fprintf(stderr, "asyncfs: %s\n", describe(what).c_str());
  }

  const detail::pulse& pulse_;
  const std::chrono::nanoseconds threshold_;
  const handler report_;
  thread_state state_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::jthread thread_;
};

stall_reporter::stall_reporter(const loop& watched, std::chrono::nanoseconds threshold, handler report)
    : watcher_(std::make_unique<watcher>(watched, threshold, std::move(report))) {}
stall_reporter::~stall_reporter() = default;

}  // namespace asyncfs
