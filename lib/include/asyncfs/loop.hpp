// The event loop: one thread, one engine, a ready queue, timers, and posts from other threads.
//
// A turn of the loop, in this order:
//   1. reap completions into a local batch, and advance the engine's queue, before any user code runs;
//      then take in what other threads posted (bounded);
//   2. run ready continuations, as many as were ready when the phase began (bounded), in order;
//   3. make due timers ready (bounded);
//   4. submit everything queued and wait, in one call; do not wait when work is ready, and not long when the engine had
//      no room for some.
//
// Threads: everything but `post` belongs to the loop's thread. No user code ever runs inside the call that starts an
// operation. Errors of operations are their results'; an exception that escapes a callback leaves `run_until`.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include <asyncfs/cancel_scope.hpp>
#include <asyncfs/detail/meter.hpp>
#include <asyncfs/detail/timer_heap.hpp>
#include <asyncfs/engine.hpp>
#include <asyncfs/observer.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

// A limit of 0 is taken as 1.
struct loop_options {
  engine_options engine;
  unsigned in_flight_limit = 4096;  // operations that end by themselves; more wait their turn without a slot
  unsigned completions_a_turn = 256;
  unsigned posts_a_turn = 256;
  bool metrics = true;  // off: `metrics` counts, and measures no time
  // Makes an observer for the loop, on the loop's thread before its first turn.
  std::function<std::unique_ptr<loop_observer>()> observer{};
};

class loop {
 public:
  // Throws std::system_error when the engine asked for by name cannot be made.
  explicit loop(const loop_options& options = {});
  // For tests: a loop over an engine of the caller's.
  explicit loop(std::unique_ptr<asyncfs::engine> engine, const loop_options& options = {});
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;
  // Everything must have ended: see `drain`. Waits for threads that are still inside a call of `post`.
  ~loop();

  // The loop that runs on this thread, or null.
  [[nodiscard]] static loop* current() noexcept;
  // Any thread: whether this one runs the loop, now or between two calls of `run_until`. Not so before the first.
  [[nodiscard]] bool belongs_here() const noexcept {
    return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }

  // Turns until `done` holds; it is asked between turns and before sleeping. Binds the loop to this thread the first
  // time. In a simulation, throws std::logic_error when nothing can go on any more; a second time, with all cancelled, it
  // ends the program.
  void run_until(const std::function<bool()>& done);
  // Cancels all that is left, and turns until every operation and every task has ended.
  void drain();

  [[nodiscard]] asyncfs::engine& engine() noexcept { return *engine_; }
  [[nodiscard]] std::string_view engine_reason() const noexcept { return engine_reason_; }
  [[nodiscard]] cancel_scope& root() noexcept { return root_; }
  [[nodiscard]] steady_time now() noexcept { return engine_->now(); }

  // Any thread: runs fn on the loop's thread, in posting order. `fn` is moved into one pooled allocation. A loop that is
  // destroyed first destroys fn without calling it.
  void post(std::move_only_function<void()> fn, std::source_location site = std::source_location::current());

  // ---- for operations ---------------------------------------------------------------------------------------------

  // Starts an operation: into the engine's slot when that is possible at once, else by its turn.
  template <class Kind>
  [[gnu::always_inline]] void start(detail::pending& op, cancel_scope& scope, const Kind& kind) {
    if constexpr (requires { Kind::at_once; }) return start_slowly(op, scope);
    const bool bounded = op.bounded_;  // known to the compiler until the stores below might have changed it
    if (!engine_->direct(Kind::code) || bounded_in_flight_ >= fast_limit_ || !backlog_.empty() || scope.requested_ ||
        !engine_->has_slot_at_once()) [[unlikely]]
      return start_slowly(op, scope);
    request& slot = engine_->slot_at_once();
    prepare(slot, kind);
    slot.code = Kind::code;
    slot.user_data = request::pointer(&op);
    enlist(op, scope);
    op.state_ = detail::pending::state::in_flight;
    bounded_in_flight_ += bounded;
    ++in_flight_;
  }
  void start_slowly(detail::pending& op, cancel_scope& scope);
  // Makes an operation that has not ended part of another scope, and cancels it if that one is cancelled.
  void move_to(cancel_scope& scope, detail::pending& op) noexcept;
  // Makes `op` ready at `when`; cancelling takes it out early. Its outcome is 0, or -ECANCELED.
  void start_timer(detail::pending& op, cancel_scope& scope, steady_time when);
  // Takes a timer out as if it had never been started. False: it has fired.
  bool stop_timer(detail::pending& op) noexcept;
  // The operation waits for something in this process, until `complete`; cancelling asks it to withdraw.
  void park(detail::pending& op, cancel_scope& scope) noexcept;
  void complete(detail::pending& op, std::int32_t value) noexcept;
  // Asks for an early end. The operation still completes, once.
  void cancel(detail::pending& op) noexcept;

  void make_ready(detail::ready_node& node) noexcept { ready_.push(node); }
  // After this many inline steps a chain of finished tasks, or of waits that are over at once, goes through the ready
  // queue: builds without tail calls do not grow the stack, and nobody keeps the loop from its turn without computing.
  [[nodiscard]] bool may_resume_inline() noexcept { return --inline_budget_ > 0; }
  // The same for a wait that was over before it began. False: the task goes on at once; true: it does so when `node`
  // runs.
  [[nodiscard]] bool takes_turn(detail::ready_node& node) noexcept {
    if (may_resume_inline()) [[likely]]
      return false;
    ready_.push(node);
    return true;
  }
  [[nodiscard]] bool takes_turn(detail::pending& op) noexcept {
    if (!takes_turn(static_cast<detail::ready_node&>(op))) [[likely]]
      return false;
    op.loop_ = this;
    op.state_ = detail::pending::state::ready;
    return true;
  }

  // Any thread; allocates nothing.
  void send(detail::message& mail) noexcept {
    if (current() == this)
      engine_->post_to_self(mail);
    else
      engine_->post(mail);
  }

  void task_started() noexcept { ++tasks_; }
  void task_ended() noexcept { --tasks_; }
  [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }

  // Summed over all turns: how many operations were in flight when the turn began, and how many of these had ended.
  // Close to equal, everything completes as it is submitted (cached); far apart, a device sets the pace.
  struct flow_counters {
    std::uint64_t in_flight = 0, completed = 0;
  };
  [[nodiscard]] const flow_counters& flow() const noexcept { return flow_; }

  // Loop thread.
  [[nodiscard]] loop_metrics metrics();
  // Tells the observer of everything from here on; null ends that. The caller's, and must outlive its use.
  void observe(loop_observer* by) noexcept;
  // What another thread may see of a running loop (stall.hpp).
  [[nodiscard]] const detail::pulse& pulse() const noexcept { return meter_.pulse(); }
  // The user's code goes on from here, without a turn of the loop in between.
  void goes_on_from(const std::source_location& site) noexcept { meter_.goes_on_from(site); }

 private:
  friend class detail::pending;
  class posted_function;
  void turn(const std::function<bool()>& done);
  void take_in_completions();
  bool begins_again(detail::pending& op, completion& event) noexcept;
  void take_in_posts();
  void run_ready();
  void fire_timers();
  [[nodiscard]] bool start_backlog();
  bool hand_over(detail::pending& op);
  // A slot is no part of a kind, so that clearing it costs nothing before a kind that writes all of it.
  template <class Kind>
  static void prepare(request& __restrict slot, const Kind& __restrict kind) noexcept {
    slot = request{};
    kind.prepare(slot);
  }
  void enlist(detail::pending& op, cancel_scope& scope) noexcept {
    op.loop_ = this;
    op.scope_ = &scope;
    scope.operations_.push_back(op);
  }
  void end(detail::pending& op, std::int32_t value) noexcept;
  void report_deadlock();
  void run(detail::ready_node& node);
  void run_observed(detail::ready_node& node);
  void note_start(const detail::pending& op, const request& work) noexcept;
  void note_completions(std::span<const completion> batch) noexcept;

  std::unique_ptr<asyncfs::engine> engine_;
  std::string engine_reason_;
  detail::queue<detail::ready_node> ready_;
  flow_counters flow_;
  std::size_t in_flight_ = 0;
  std::size_t bounded_in_flight_ = 0;
  std::size_t fast_limit_;  // the limit, or 0 while observed: then every operation is started slowly
  std::size_t in_flight_limit_;
  int inline_budget_ = 0;
  detail::list<detail::pending, detail::backlog_hook> backlog_;
  unsigned refusals_ = 0;  // of the backlog's first, in a row
  cancel_scope root_;
  std::size_t tasks_ = 0, parked_ = 0;
  detail::timer_heap timers_;
  std::vector<completion> batch_;
  unsigned posts_a_turn_;
  std::atomic<std::thread::id> thread_{};  // none until the loop has run; a thread always sees that it is the one
  detail::meter meter_;
  loop_observer* observer_ = nullptr;
  std::function<std::unique_ptr<loop_observer>()> make_observer_;
  std::unique_ptr<loop_observer> own_observer_;
};

}  // namespace asyncfs
