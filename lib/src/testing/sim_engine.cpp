// The engine of a simulation: takes requests, lets the seed decide when each takes effect, when it completes, and what
// befalls it, and carries it out on the simulated world in between.
//
// A request goes through: queued (its effect lies ahead), perhaps waiting (for a peer), done (its completion lies ahead).
// Virtual time moves when the loop sleeps, and by a microsecond at every visit, so that nothing can spin for ever.

#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <queue>
#include <unordered_map>

#include "testing/core.hpp"

namespace asyncfs::testing::detail {

namespace {

using asyncfs::detail::world;
using std::chrono::nanoseconds;

constexpr nanoseconds a_visit = std::chrono::microseconds(1);
// Real time: what real descriptors and other threads get before a virtual deadline passes, at a time, and altogether
// before a run counts as stuck.
constexpr auto a_glance = std::chrono::milliseconds(1);
constexpr auto a_moment = std::chrono::milliseconds(20);
constexpr auto patience = std::chrono::seconds(5);
constexpr std::size_t waiters_a_visit = 64;
constexpr std::int64_t delayed_factor = 1000;
constexpr std::uint64_t soon_ns = 1000;
constexpr std::uint16_t multishot = 1;  // of accept, in request::priority

bool is_multishot(const request& work) { return work.code == opcode::accept && (work.priority & multishot) != 0; }

// A directory has a link for each below it: proc(5) counts the threads so. False if it cannot be known.
bool only_thread() {
  struct stat threads{};
  return ::stat("/proc/self/task", &threads) == 0 && threads.st_nlink == 3;
}

bool is_transfer(opcode code) {
  switch (code) {
    case opcode::read:
    case opcode::write:
    case opcode::readv:
    case opcode::writev:
    case opcode::send:
    case opcode::recv: return true;
    default: return false;
  }
}

class sim_engine final : public engine {
 public:
  sim_engine(std::shared_ptr<core> shared, const engine_options& options)
      : shared_(std::move(shared)), faults_(options.faults) {}

  [[nodiscard]] std::string_view name() const noexcept override { return "sim"; }
  [[nodiscard]] runs where(opcode) const noexcept override { return runs::in_ring; }
  [[nodiscard]] steady_time now() noexcept override { return shared_->clock; }
  [[nodiscard]] std::uint64_t random() noexcept override { return shared_->random.next(); }

  void adopt_thread() override {
    if (std::this_thread::get_id() != shared_->thread)
      shared_->give_up("a loop of it runs on another thread than the one it was made on");
  }

  [[nodiscard]] bool submit(const request& work) override {
    core& s = *shared_;
    if (s.random.happens(s.options.faults.of(fault::queue_full))) {
      s.meet(fault::queue_full, 0, work.code);
      return false;
    }
    auto owned = std::make_unique<job>();
    job& one = *owned;
    one.number = ++s.operations;
    visits_without_operation_ = 0;
    if (one.number == s.options.most_operations) s.give_up("it does not end: too many operations", in_flight());
    one.work = work;
    one.held = s.world->hold(work);
    s.log.submitted(s.clock, one.number, work);
    one.bad_luck = choose_misfortune(s, work, one.number);
    if (faults_ != nullptr && faults_->inject) one.injected = faults_->inject(work);
    schedule(one, latency(one));
    jobs_.emplace(work.user_data, std::move(owned));
    ++count_.submitted;
    return true;
  }

  void cancel(std::uint64_t user_data) noexcept override {
    const auto found = jobs_.find(user_data);
    if (found == jobs_.end()) return;
    job& one = *found->second;
    core& s = *shared_;
    s.note(event_log::event::cancel, one.number, one.work.code, 0);
    one.cancel_asked = true;
    const bool may_win = one.work.code != opcode::close;  // whatever comes of it, the descriptor is gone
    switch (one.now) {
      case job::stage::queued:
        // Ahead of the effect: mostly it wins.
        if (may_win && s.random.below(4) != 0) return end_cancelled(one);
        s.meet(fault::cancel_lost, one.number, one.work.code);
        // A transfer that is under way may be cut short.
        if (is_transfer(one.work.code) && one.bad_luck.error == 0 && bytes_wanted(one.work) > 1 &&
            s.random.below(2) == 0) {
          one.bad_luck.most_bytes = 1 + static_cast<std::uint32_t>(s.random.below(bytes_wanted(one.work) - 1));
          take_effect(one);
        }
        return;
      case job::stage::waiting:
        // What it waits for may have come in the same moment.
        if (s.random.below(4) == 0) {
          take_effect(one);
          if (one.value != -ECANCELED) s.meet(fault::cancel_lost, one.number, one.work.code);
          return;
        }
        stop_waiting(one);
        return end_cancelled(one);
      case job::stage::done: s.meet(fault::cancel_lost, one.number, one.work.code); return;
    }
  }

  [[nodiscard]] std::size_t reap(std::span<completion> batch) noexcept override {
    const std::size_t count = std::min(batch.size(), finished_.size());
    std::copy_n(finished_.begin(), count, batch.begin());
    finished_.erase(finished_.begin(), finished_.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }
  [[nodiscard]] bool has_finished_work() const noexcept override { return !finished_.empty(); }

  void enter(const wait& how) noexcept override {
    ++count_.enters;
    if (++visits_without_operation_ == shared_->options.most_operations)
      shared_->give_up("it does not end: too many turns of a loop without an operation", in_flight());
    stuck_ = false;
    shared_->clock += a_visit;
    glance_outside();
    wake_waiting();  // descriptors that were dropped since, without an operation
    run_events(shared_->clock);
    if (!how.until_completion) return;
    while (finished_.empty() && !has_posts()) {
      wake_waiting();  // and those that a request in flight had kept open
      const steady_time next = events_.empty() ? steady_time::max() : events_.top().at;
      if (how.deadline <= next && how.deadline != steady_time::max()) {
        if (look_outside(a_glance)) continue;
        sleep_until(how.deadline);
        return;
      }
      if (next != steady_time::max()) {
        sleep_until(next);
        run_events(next);
      } else if (!wait_for_news()) {
        stuck_ = true;
        return;
      }
    }
  }
  [[nodiscard]] bool nothing_can_wake() const noexcept override { return stuck_; }
  [[noreturn]] void give_up(const std::string& why) const noexcept override {
    shared_->give_up(why.c_str(), in_flight());
  }

 protected:
  [[nodiscard]] bool refill() noexcept override { return false; }
  void ring_bell() noexcept override {
    const std::lock_guard lock(mutex_);
    rung_ = true;
    news_.notify_all();
  }

 private:
  struct job {
    enum class stage : std::uint8_t { queued, waiting, done };
    std::uint64_t number = 0;
    request work;
    std::shared_ptr<void> held;  // what its descriptor meant when it came
    misfortune bad_luck;
    std::optional<std::int32_t> injected;  // the outcome that the user's own faults ask for
    bool cancel_asked = false;
    bool woken = false;  // of one that waits: it will look again
    stage now = stage::queued;
    std::int32_t value = 0;
    std::uint64_t waits_on = 0;
    std::uint64_t event = 0;  // the one that is valid; others of it were overtaken
  };
  struct event {
    steady_time at;
    std::uint64_t order;  // of making: ties go to the older
    std::uint64_t user_data;
    bool operator>(const event& other) const noexcept { return at != other.at ? at > other.at : order > other.order; }
  };

  nanoseconds latency(const job& one) {
    core& s = *shared_;
    const auto most = static_cast<std::uint64_t>(std::max<std::int64_t>(s.options.latency.count(), 1));
    if (s.random.happens(s.options.faults.of(fault::delayed))) {
      s.meet(fault::delayed, one.number, one.work.code);
      return nanoseconds(static_cast<std::int64_t>(s.random.below(most)) * delayed_factor);
    }
    return nanoseconds(static_cast<std::int64_t>(s.random.below(most)));
  }
  void schedule(job& one, nanoseconds after) {
    one.event = ++last_event_;
    events_.push({shared_->clock + after, one.event, one.work.user_data});
  }
  void sleep_until(steady_time when) {
    if (when <= shared_->clock) return;
    shared_->clock = when;
    shared_->note(event_log::event::slept, 0, opcode::timeout, 0);
  }

  // Everything due up to then, in order of time.
  void run_events(steady_time until) {
    while (!events_.empty() && events_.top().at <= until) {
      const event next = events_.top();
      events_.pop();
      const auto found = jobs_.find(next.user_data);
      if (found == jobs_.end() || found->second->event != next.order) continue;
      job& one = *found->second;
      if (one.now == job::stage::done)
        deliver(one);
      else
        take_effect(one);
    }
  }

  // Carries it out; if it has to wait for somebody, that is all that happens.
  void take_effect(job& one) {
    core& s = *shared_;
    if (s.power_cut_at != 0 && one.number >= s.power_cut_at && !s.power_is_cut) cut_power(one);
    s.world->set_time(s.clock.time_since_epoch().count());
    one.woken = false;
    std::uint64_t waits_on = 0;
    const std::int32_t value = outcome(one, waits_on);
    if (value == world::must_wait && one.cancel_asked) {
      if (one.now == job::stage::waiting) stop_waiting(one);
      return end_cancelled(one);
    }
    if (value == world::must_wait) {
      if (one.now != job::stage::waiting || one.waits_on != waits_on) begin_waiting(one, waits_on);
      return wake_waiting();
    }
    s.note(event_log::event::effect, one.number, one.work.code, value);
    if (one.now == job::stage::waiting) stop_waiting(one);
    if (is_multishot(one.work) && value >= 0) {
      finished_.push_back({.user_data = one.work.user_data, .value = value, .flags = completion::more});
      if (one.cancel_asked)
        end_cancelled(one);
      else
        schedule(one, latency(one));
    } else {
      one.value = value;
      one.now = job::stage::done;
      schedule(one, latency(one));
    }
    wake_waiting();
  }
  std::int32_t outcome(job& one, std::uint64_t& waits_on) {
    core& s = *shared_;
    if (one.injected && one.work.code != opcode::close) return *one.injected;
    // A close that fails tells of an old failure, and closes.
    if (one.bad_luck.error != 0 && one.work.code != opcode::close) {
      const std::int32_t error = std::exchange(one.bad_luck.error, 0);
      if (one.work.code == opcode::fsync && error == -EIO && s.random.below(2) == 0)
        s.world->lose_unsynced(one.work.fd);
      return error;
    }
    request work = one.work;
    shorten(work, one.bad_luck.most_bytes);
    const std::int32_t value = s.world->attempt(work, one.held, waits_on);
    one.work.extra = work.extra;
    if (one.injected) return *one.injected;
    return value >= 0 && one.bad_luck.error != 0 ? one.bad_luck.error : value;
  }
  void shorten(request& work, std::uint32_t most) {
    if (bytes_wanted(work) <= most) return;
    if (work.code != opcode::readv && work.code != opcode::writev) {
      work.length = most;
      return;
    }
    const auto* const all = work.pointer_at<const iovec>(work.address);
    pieces_.clear();
    for (std::size_t left = most, i = 0; left > 0; ++i) {
      pieces_.push_back({all[i].iov_base, std::min(left, all[i].iov_len)});
      left -= pieces_.back().iov_len;
    }
    work.address = request::pointer(pieces_.data());
    work.length = static_cast<std::uint32_t>(pieces_.size());
  }
  void cut_power(const job& at) {
    shared_->power_is_cut = true;
    shared_->world->cut_power();
    shared_->meet(fault::power_loss, at.number, at.work.code);
    for (const auto& [id, jobs] : waiting_)
      for (job* one : jobs) wake(*one);
  }

  void begin_waiting(job& one, std::uint64_t on) {
    if (one.now == job::stage::waiting) stop_waiting(one);
    one.now = job::stage::waiting;
    one.waits_on = on;
    waiting_[on].push_back(&one);
    ++waiters_;
    shared_->note(event_log::event::waits, one.number, one.work.code, 0);
  }
  void stop_waiting(job& one) {
    const auto found = waiting_.find(one.waits_on);
    std::erase(found->second, &one);
    --waiters_;
    if (found->second.empty()) waiting_.erase(found);
    one.now = job::stage::queued;
  }
  // Those who wait for what changed look again, each at a moment of its own.
  void wake_waiting() {
    for (const std::uint64_t id : shared_->world->take_changes()) {
      const auto found = waiting_.find(id);
      if (found == waiting_.end()) continue;
      for (job* one : found->second) wake(*one);
    }
  }
  void wake(job& one) {
    if (std::exchange(one.woken, true)) return;
    schedule(one, nanoseconds(static_cast<std::int64_t>(shared_->random.below(soon_ns))));
  }

  void end_cancelled(job& one) {
    shared_->meet(fault::cancel_won, one.number, one.work.code);
    one.value = -ECANCELED;
    one.now = job::stage::done;
    schedule(one, nanoseconds(static_cast<std::int64_t>(shared_->random.below(soon_ns))));
  }
  void deliver(job& one) {
    core& s = *shared_;
    if (one.number < newest_delivered_) s.coverage.mark(fault::reordered);
    newest_delivered_ = std::max(newest_delivered_, one.number);
    s.note(event_log::event::completed, one.number, one.work.code, one.value);
    finished_.push_back({.user_data = one.work.user_data, .value = one.value, .flags = 0});
    jobs_.erase(one.work.user_data);
  }

  // At a cost that is spread over the visits, however many wait.
  void glance_outside() {
    glance_due_ += waiters_a_visit;
    if (glance_due_ < waiters_) return;
    glance_due_ = 0;
    look_outside({});
  }
  // Real descriptors. Whether something came that nobody looks at yet.
  bool look_outside(std::chrono::milliseconds how_long) {
    if (waiting_.empty()) return false;
    outside_.clear();
    outside_work_.clear();
    for (const auto& [id, jobs] : waiting_)
      for (job* one : jobs) {
        if (one->woken) continue;
        outside_.push_back(one);
        outside_work_.push_back(&one->work);
      }
    ready_.clear();
    something_outside_ = shared_->world->look_outside(outside_work_, how_long, ready_);
    for (const std::size_t i : ready_) wake(*outside_[i]);
    return !ready_.empty();
  }
  // Nothing of its own is left to do. False: nothing came from elsewhere either, for too long.
  bool wait_for_news() {
    something_outside_ = false;
    for (auto waited = std::chrono::milliseconds(0); waited < patience; waited += a_moment) {
      if (has_posts() || look_outside(a_moment)) return true;
      if (!something_outside_) return wait_for_bell();
    }
    return false;
  }
  bool wait_for_bell() {
    if (only_thread()) return has_posts();
    if (!fall_asleep()) return true;
    std::unique_lock lock(mutex_);
    news_.wait_for(lock, patience, [this] { return rung_; });
    awake();
    return std::exchange(rung_, false);
  }

  [[nodiscard]] std::string in_flight() const {
    std::map<std::uint64_t, const job*> in_order;
    for (const auto& [id, one] : jobs_) in_order[one->number] = one.get();
    std::string text;
    for (const auto& [number, one] : in_order)
      text.append("  in flight: #").append(std::to_string(number)).append(" ").append(describe(one->work.code).name) +=
          '\n';
    return text;
  }

  const std::shared_ptr<core> shared_;
  const engine_faults* const faults_;
  std::unordered_map<std::uint64_t, std::unique_ptr<job>> jobs_;  // never iterated where order matters
  std::priority_queue<event, std::vector<event>, std::greater<>> events_;
  std::map<std::uint64_t, std::deque<job*>> waiting_;
  std::vector<completion> finished_;
  std::vector<iovec> pieces_;
  std::vector<job*> outside_;
  std::vector<const request*> outside_work_;
  std::vector<std::size_t> ready_;
  std::size_t waiters_ = 0, glance_due_ = 0;
  bool something_outside_ = false;
  bool stuck_ = false;  // since the last `enter`
  std::uint64_t last_event_ = 0, newest_delivered_ = 0;
  std::uint64_t visits_without_operation_ = 0;
  std::mutex mutex_;
  std::condition_variable news_;
  bool rung_ = false;
};

}  // namespace

std::unique_ptr<engine> make_engine(std::shared_ptr<core> shared, const engine_options& options) {
  return std::make_unique<sim_engine>(std::move(shared), options);
}

}  // namespace asyncfs::testing::detail
