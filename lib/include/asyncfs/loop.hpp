// The event loop: one thread, one engine, a ready queue, timers, and posts from other threads.
//
// A turn of the loop, in this order:
//   1. reap completions into a local batch, and advance the engine's queue, before any user code runs;
//      then take in what other threads posted (bounded);
//   2. run ready continuations, as many as were ready when the phase began (bounded), in order;
//   3. make due timers ready (bounded);
//   4. submit everything queued and wait, in one call; do not wait when work is ready.
//
// Threads: everything but `post` belongs to the loop's thread. No user code ever runs inside the call that starts an
// operation. Errors of operations are their results'; an exception that escapes a callback leaves `run_until`.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <source_location>
#include <vector>

#include <asyncfs/detail/list.hpp>
#include <asyncfs/engine.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

class loop;
class cancel_scope;

namespace detail {

// Something that the loop runs once, when its turn comes.
class ready_node {
 public:
  virtual void run() = 0;
  ready_node* next_in_queue;  // the queue's
  std::source_location site;  // the user's line that goes on when it runs

 protected:
  ~ready_node() = default;
};

// Something that another thread sends to a loop, without allocating: it belongs to the sender until `deliver` has run on
// the loop's thread, or `discard` because the loop was destroyed first. No user code runs in either, except for posts.
class message : public letter {
 public:
  virtual void deliver() = 0;
  virtual void discard() noexcept = 0;

 protected:
  ~message() = default;
};

struct scope_hook : list_hook {};
struct backlog_hook : list_hook {};

// An operation that was started: what the loop, its scope and a cancel know of it. It lives in the awaiting frame or
// in a pooled slot, must not move, and must not be destroyed before it has ended; that aborts the program, since the
// kernel may still write to memory the operation points to.
class pending : public ready_node, public scope_hook, public backlog_hook {
 public:
  enum class state : std::uint8_t { idle, waiting_for_room, in_flight, in_timer, parked, ready, ended };

  pending(const pending&) = delete;
  pending& operator=(const pending&) = delete;

  // Writes the request; user_data and code are the loop's to set.
  virtual void prepare(request& slot) = 0;
  // Phase 1, no user code: a completion came. The default keeps the value and becomes ready at the last one.
  virtual void arrive(const completion& event);
  // Of one that is parked: takes it out of where it waits. False: too late, what it waits for is on its way to it.
  [[nodiscard]] virtual bool withdraw() noexcept { return true; }
  [[nodiscard]] virtual std::string_view name() const noexcept { return describe(code_).name; }

  [[nodiscard]] opcode code() const noexcept { return code_; }
  [[nodiscard]] state now() const noexcept { return state_; }

 protected:
  // `bounded`: it ends by itself, so it counts against the loop's limit.
  // `arrives_once`: the default `arrive` will do, so the loop need not ask.
  pending(opcode code, bool bounded, bool arrives_once = false) noexcept
      : code_(code), bounded_(bounded), arrives_once_(arrives_once) {}
  ~pending() {
    if (state_ != state::idle && state_ != state::ended) [[unlikely]]
      destroyed_in_flight();
  }
  // What came last. Only after the operation has ended.
  [[nodiscard]] completion outcome() const noexcept { return {request::pointer(this), value_, completion_flags_}; }
  [[nodiscard]] loop& home() const noexcept { return *loop_; }
  [[nodiscard]] cancel_scope& origin() const noexcept { return *scope_; }
  [[nodiscard]] bool has_begun() const noexcept { return state_ != state::idle; }
  // To be called first in `run`: from here on the operation may be destroyed, or started again.
  void finish() noexcept { state_ = state::ended; }

 private:
  friend class asyncfs::loop;
  friend class asyncfs::cancel_scope;
  [[noreturn]] void destroyed_in_flight() const noexcept;

  // Set when it starts, and when it completes: making one must cost next to nothing.
  loop* loop_;
  cancel_scope* scope_;
  std::int32_t value_;
  std::uint32_t completion_flags_;
  std::uint32_t timer_index_;
  opcode code_;
  state state_ = state::idle;
  bool bounded_;
  bool arrives_once_;
};

}  // namespace detail

// What is cancelled together: operations, and the scopes below. Loop-local, never allocates.
//
// What outlives a scope (a listener's request, a scope below) becomes its parent's.
class cancel_scope : public detail::scope_hook {
 public:
  explicit cancel_scope(cancel_scope* parent = nullptr) noexcept;
  ~cancel_scope();

  // Asks every operation in this scope and below to end early; those started later end at once as cancelled.
  // Loop thread. Completions still come, and may be successes that won the race.
  void cancel() noexcept;
  [[nodiscard]] bool cancelled() const noexcept { return requested_; }
  // Makes `child`, with all that is in it, part of this one and of no other; `leave` takes it out again.
  void adopt(cancel_scope& child) noexcept;
  // What is in it goes to the parent, if it has one.
  void leave() noexcept;

 private:
  friend class loop;
  detail::list<detail::pending, detail::scope_hook> operations_;
  detail::list<cancel_scope, detail::scope_hook> children_;
  cancel_scope* parent_ = nullptr;
  bool requested_ = false;
};

struct loop_options {
  engine_options engine;
  unsigned in_flight_limit = 4096;  // operations that end by themselves; more wait their turn without a slot
  unsigned completions_a_turn = 256;
  unsigned posts_a_turn = 256;
};

class loop {
 public:
  // Throws std::system_error when the engine asked for by name cannot be made.
  explicit loop(const loop_options& options = {});
  // For tests: a loop over an engine of the caller's.
  explicit loop(std::unique_ptr<asyncfs::engine> engine, const loop_options& options = {});
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;
  // Everything must have ended: see `drain`.
  ~loop();

  // The loop that runs on this thread, or null.
  [[nodiscard]] static loop* current() noexcept;

  // Turns until `done` holds; it is asked between turns and before sleeping. Binds the loop to this thread the first time.
  void run_until(const std::function<bool()>& done);
  // Cancels all that is left, and turns until every operation and every task has ended.
  void drain();

  [[nodiscard]] asyncfs::engine& engine() noexcept { return *engine_; }
  [[nodiscard]] std::string_view engine_reason() const noexcept { return engine_reason_; }
  [[nodiscard]] cancel_scope& root() noexcept { return root_; }
  [[nodiscard]] steady_time now() noexcept { return engine_->now(); }

  // Any thread: runs fn on the loop's thread, in posting order. `fn` is moved into one allocation. A loop that is
  // destroyed first destroys fn without calling it.
  void post(std::move_only_function<void()> fn);

  // ---- for operations ---------------------------------------------------------------------------------------------

  // Starts an operation: into the engine's slot when that is possible at once, else by its turn.
  template <class Kind>
  [[gnu::always_inline]] void start(detail::pending& op, cancel_scope& scope, const Kind& kind) {
    if (engine_->direct(Kind::code) && bounded_in_flight_ < in_flight_limit_ && backlog_.empty() && !scope.requested_)
        [[likely]] {
      if (request* slot = engine_->slot()) [[likely]] {
        prepare(*slot, kind);
        slot->code = Kind::code;
        slot->user_data = request::pointer(&op);
        enlist(op, scope);
        op.state_ = detail::pending::state::in_flight;
        bounded_in_flight_ += op.bounded_;
        ++in_flight_;
        return;
      }
    }
    start_slowly(op, scope);
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
  // After this many inline steps a chain of finished tasks goes through the ready queue, so that builds without
  // tail calls do not grow the stack.
  [[nodiscard]] bool may_resume_inline() noexcept { return --inline_budget_ > 0; }

  // Any thread; allocates nothing.
  void send(detail::message& mail) noexcept { engine_->post(mail); }

  void task_started() noexcept { ++tasks_; }
  void task_ended() noexcept { --tasks_; }
  [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }

  // Summed over all turns: how many operations were in flight when the turn began, and how many of these had ended.
  // Close to equal, everything completes as it is submitted (cached); far apart, a device sets the pace.
  struct flow_counters {
    std::uint64_t in_flight = 0, completed = 0;
  };
  [[nodiscard]] const flow_counters& flow() const noexcept { return flow_; }

 private:
  friend class detail::pending;
  struct timer_entry {
    steady_time when;
    detail::pending* op;
  };

  void turn(const std::function<bool()>& done);
  void take_in_completions();
  void take_in_posts();
  void run_ready();
  void fire_timers();
  void start_backlog();
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
  void remove_timer(std::uint32_t index) noexcept;
  [[nodiscard]] static bool earlier(const timer_entry& a, const timer_entry& b) noexcept;
  void place_timer(std::uint32_t index, const timer_entry& entry) noexcept;
  void sift(std::uint32_t index, const timer_entry& entry) noexcept;

  std::unique_ptr<asyncfs::engine> engine_;
  std::string engine_reason_;
  detail::queue<detail::ready_node> ready_;
  flow_counters flow_;
  std::size_t in_flight_ = 0;
  std::size_t bounded_in_flight_ = 0;
  std::size_t in_flight_limit_;
  int inline_budget_ = 0;
  detail::list<detail::pending, detail::backlog_hook> backlog_;
  cancel_scope root_;
  std::size_t tasks_ = 0, parked_ = 0;
  std::vector<timer_entry> timers_;  // 4-ary heap, earliest first; of equals the one that was started first
  std::uint32_t timers_started_ = 0;
  std::vector<completion> batch_;
  unsigned posts_a_turn_;
  bool adopted_ = false;
};

}  // namespace asyncfs
