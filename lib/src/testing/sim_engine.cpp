// The engine of a simulation: takes requests, lets the seed decide when each takes effect, when it completes, and what
// befalls it, and carries it out on the simulated world in between.
//
// A request goes through: queued (its effect lies ahead), perhaps waiting (for a peer), done (its completion lies ahead).
// Virtual time moves when the loop sleeps, and by a microsecond at every visit, so that nothing can spin for ever.

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <queue>
#include <unordered_map>

#include "testing/core.hpp"

namespace asyncfs::testing::detail {

namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds a_visit = std::chrono::microseconds(1);
constexpr auto patience = std::chrono::seconds(5);  // real time, for other threads, before a run counts as stuck
constexpr std::int64_t delayed_factor = 1000;
constexpr std::uint16_t multishot = 1;  // of accept, in request::priority

bool is_multishot(const request& work) { return work.code == opcode::accept && (work.priority & multishot) != 0; }

class sim_engine final : public engine {
 public:
  sim_engine(std::shared_ptr<core> shared, const engine_options& options)
      : shared_(std::move(shared)), faults_(options.faults) {}

  [[nodiscard]] std::string_view name() const noexcept override { return "sim"; }
  [[nodiscard]] runs where(opcode) const noexcept override { return runs::in_ring; }
  [[nodiscard]] steady_time now() noexcept override { return shared_->clock; }
  [[nodiscard]] std::uint64_t random() noexcept override { return shared_->random.next(); }

  [[nodiscard]] bool submit(const request& work) override {
    core& s = *shared_;
    // Room comes with completions, so there must be something to complete.
    if (!jobs_.empty() && s.random.happens(s.options.faults.of(fault::queue_full))) {
      s.meet(fault::queue_full, 0, work.code);
      return false;
    }
    auto owned = std::make_unique<job>();
    job& one = *owned;
    one.number = ++s.operations;
    one.work = work;
    one.bad_luck = choose_misfortune(s, work, one.number);
    if (faults_ != nullptr && faults_->inject) one.injected = faults_->inject(work);
    s.note(core::event::submitted, one.number, work.code, static_cast<std::int64_t>(work.length));
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
    s.note(core::event::cancel, one.number, one.work.code, 0);
    switch (one.now) {
      case job::stage::queued:
        // Ahead of the effect: mostly it wins.
        if (s.random.below(4) != 0) return end_cancelled(one);
        s.meet(fault::cancel_lost, one.number, one.work.code);
        return;
      case job::stage::waiting:
        // What it waits for may have come in the same moment.
        if (s.random.below(4) == 0 && take_effect(one)) {
          s.meet(fault::cancel_lost, one.number, one.work.code);
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
    shared_->clock += a_visit;
    run_events(shared_->clock);
    if (!how.until_completion) return;
    while (finished_.empty() && !has_posts()) {
      const steady_time next = events_.empty() ? steady_time::max() : events_.top().at;
      if (how.deadline <= next && how.deadline != steady_time::max()) {
        sleep_until(how.deadline);
        return;
      }
      if (next != steady_time::max()) {
        sleep_until(next);
        run_events(next);
      } else if (!wait_for_outside()) {
        stuck();
      }
    }
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
    misfortune bad_luck;
    std::optional<std::int32_t> injected;  // the result, in place of any effect
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
    shared_->note(core::event::slept, 0, opcode::timeout, 0);
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

  // False: it has to wait for somebody.
  bool take_effect(job& one) {
    core& s = *shared_;
    if (s.power_cut_at != 0 && one.number >= s.power_cut_at && !s.power_is_cut) {
      s.power_is_cut = true;
      s.world->cut_power();
      s.meet(fault::power_loss, one.number, one.work.code);
    }
    s.world->set_time(s.clock.time_since_epoch().count());
    std::uint64_t waits_on = 0;
    std::int32_t value = 0;
    if (one.injected) {
      value = *one.injected;
    } else if (one.bad_luck.error != 0 && one.work.code != opcode::close) {
      value = std::exchange(one.bad_luck.error, 0);
      if (one.work.code == opcode::fsync && value == -EIO) s.world->lose_unsynced(one.work.fd);
    } else {
      request work = one.work;
      work.length = shortened(work, one.bad_luck);
      value = s.world->attempt(work, waits_on);
      if (value >= 0 && one.bad_luck.error != 0) value = one.bad_luck.error;  // a close that tells of an old failure
      if (value == -EAGAIN && (one.work.flags & request::only_if_cached) == 0 && s.world->may_wait(one.work)) {
        if (one.now != job::stage::waiting || one.waits_on != waits_on) begin_waiting(one, waits_on);
        wake_waiting();
        return false;
      }
    }
    s.note(core::event::effect, one.number, one.work.code, shown(one.work.code, value));
    if (one.now == job::stage::waiting) stop_waiting(one);
    if (is_multishot(one.work) && value >= 0) {
      finished_.push_back({.user_data = one.work.user_data, .value = value, .flags = completion::more});
      one.now = job::stage::queued;
      schedule(one, latency(one));
    } else {
      one.value = value;
      one.now = job::stage::done;
      schedule(one, latency(one));
    }
    wake_waiting();
    return true;
  }
  static std::uint32_t shortened(const request& work, const misfortune& luck) {
    return luck.most_bytes == ~0u ? work.length : std::min(work.length, luck.most_bytes);
  }
  // Descriptors of real files are other numbers in each run.
  [[nodiscard]] std::int64_t shown(opcode code, std::int32_t value) const {
    const bool gives_descriptor = code == opcode::openat || code == opcode::openat2 || code == opcode::create ||
                                  code == opcode::socket || code == opcode::accept;
    return shared_->memory == nullptr && gives_descriptor && value >= 0 ? 0 : value;
  }

  void begin_waiting(job& one, std::uint64_t on) {
    if (one.now == job::stage::waiting) stop_waiting(one);
    one.now = job::stage::waiting;
    one.waits_on = on;
    waiting_[on].push_back(&one);
    shared_->note(core::event::waits, one.number, one.work.code, 0);
  }
  void stop_waiting(job& one) {
    const auto found = waiting_.find(one.waits_on);
    std::erase(found->second, &one);
    if (found->second.empty()) waiting_.erase(found);
    one.now = job::stage::queued;
  }
  // Those who wait for what changed look again, each at a moment of its own.
  void wake_waiting() {
    for (const std::uint64_t id : shared_->world->take_changes()) {
      const auto found = waiting_.find(id);
      if (found == waiting_.end()) continue;
      for (job* one : found->second) schedule(*one, nanoseconds(0));
    }
  }

  void end_cancelled(job& one) {
    shared_->meet(fault::cancel_won, one.number, one.work.code);
    one.value = -ECANCELED;
    one.now = job::stage::done;
    schedule(one, nanoseconds(static_cast<std::int64_t>(shared_->random.below(1000))));
  }
  void deliver(job& one) {
    core& s = *shared_;
    if (one.number < newest_delivered_) s.coverage.mark(fault::reordered);
    newest_delivered_ = std::max(newest_delivered_, one.number);
    s.note(core::event::completed, one.number, one.work.code, shown(one.work.code, one.value));
    finished_.push_back({.user_data = one.work.user_data, .value = one.value, .flags = 0});
    jobs_.erase(one.work.user_data);
  }

  // Real descriptors, or a post of another thread. False: nothing came.
  bool wait_for_outside() {
    std::vector<const request*> all;
    for (const auto& [id, jobs] : waiting_)
      for (const job* one : jobs) all.push_back(&one->work);
    if (shared_->world->wait_for_outside(all)) {
      for (const auto& [id, jobs] : waiting_)
        for (job* one : jobs) schedule(*one, nanoseconds(0));
      return true;
    }
    if (!fall_asleep()) return true;
    std::unique_lock lock(mutex_);
    news_.wait_for(lock, patience, [this] { return rung_; });
    awake();
    return std::exchange(rung_, false);
  }

  [[noreturn]] void stuck() const {
    std::fprintf(stderr, "asyncfs simulation: the loop sleeps, and nothing is left that could wake it\n%s",
                 shared_->text(30).c_str());
    std::map<std::uint64_t, const job*> in_order;
    for (const auto& [id, one] : jobs_) in_order[one->number] = one.get();
    for (const auto& [number, one] : in_order)
      std::fprintf(stderr, "  in flight: #%llu %s\n", static_cast<unsigned long long>(number),
                   std::string(describe(one->work.code).name).c_str());
    std::fprintf(stderr, "to see this again: %s\n", replay_command(shared_->options.seed).c_str());
    std::abort();
  }

  const std::shared_ptr<core> shared_;
  const engine_faults* const faults_;
  std::unordered_map<std::uint64_t, std::unique_ptr<job>> jobs_;  // never iterated where order matters
  std::priority_queue<event, std::vector<event>, std::greater<>> events_;
  std::map<std::uint64_t, std::deque<job*>> waiting_;
  std::vector<completion> finished_;
  std::uint64_t last_event_ = 0, newest_delivered_ = 0;
  std::mutex mutex_;
  std::condition_variable news_;
  bool rung_ = false;
};

}  // namespace

std::unique_ptr<engine> make_engine(std::shared_ptr<core> shared, const engine_options& options) {
  return std::make_unique<sim_engine>(std::move(shared), options);
}

}  // namespace asyncfs::testing::detail
