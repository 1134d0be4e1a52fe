#include <asyncfs/loop.hpp>

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>

#include <asyncfs/frame_pool.hpp>

#include "sigpipe.hpp"

namespace asyncfs {

namespace {

thread_local loop* running_loop = nullptr;

constexpr unsigned ready_a_turn = 1024;
constexpr unsigned timers_a_turn = 256;
constexpr int inline_steps = 64;
constexpr std::size_t look_ahead = 4;  // completions
constexpr std::size_t most_told = 20;  // of the operations in a deadlock
// An engine without room mostly has some again when it is entered, or with the next completion. What is in flight may
// wait for what was refused, though, and a kernel may lack memory: so it is asked again, this often.
constexpr auto between_refusals = std::chrono::milliseconds(1);

// Its engine and all that it keeps are one thread's: a ring refuses every other, and would be asked for ever.
[[noreturn]] void runs_on_another_thread() noexcept {
  std::fputs(
      "asyncfs: a loop runs on another thread than the one that ran it first; each thread needs a loop of its own\n",
      stderr);
  std::abort();
}

}  // namespace

// ---- pending -------------------------------------------------------------------------------------------------------

void detail::pending::arrive(const completion& event) {
  if ((event.flags & completion::notification) == 0) {
    value_ = event.value;
    completion_flags_ = event.flags;
  }
  if (event.last()) {
    state_ = state::ready;
    loop_->make_ready(*this);
  }
}

void detail::pending::destroyed_in_flight() const noexcept {
  std::fprintf(stderr,
               "asyncfs: a coroutine frame or callback was destroyed while its operation '%.*s' had not ended; "
               "await it, or cancel its scope and let the loop drain first\n",
               static_cast<int>(name().size()), name().data());
  std::abort();
}

// ---- cancel_scope --------------------------------------------------------------------------------------------------

cancel_scope::cancel_scope(cancel_scope* parent) noexcept : scope_hook() {
  if (parent != nullptr) parent->adopt(*this);
}

cancel_scope::~cancel_scope() { leave(); }

void cancel_scope::leave() noexcept {
  cancel_scope* const parent = std::exchange(parent_, nullptr);
  if (linked()) unlink();
  while (cancel_scope* child = children_.pop_front()) {
    child->parent_ = nullptr;
    if (parent != nullptr) parent->adopt(*child);
  }
  while (detail::pending* op = operations_.front()) {
    if (parent == nullptr) op->destroyed_in_flight();
    op->loop_->move_to(*parent, *op);
  }
}

void cancel_scope::adopt(cancel_scope& child) noexcept {
  if (child.linked()) child.unlink();
  children_.push_back(child);
  child.parent_ = this;
  if (requested_) child.cancel();
}

void cancel_scope::cancel() noexcept {
  // Without recursion: scopes nest as deep as the tasks of a program do. Cancelling an operation ends no coroutine, so
  // no scope comes or goes meanwhile.
  cancel_scope* at = this;
  for (;;) {
    cancel_scope* onward = nullptr;
    if (!at->requested_) {
      at->requested_ = true;
      at->operations_.for_each([](detail::pending& op) { op.loop_->cancel(op); });
      onward = at->children_.front();
    }
    while (onward == nullptr) {
      if (at == this) return;
      onward = at->parent_->children_.after(*at);
      if (onward == nullptr) at = at->parent_;
    }
    at = onward;
  }
}

// The user's code, and nothing but it, runs in here. The node may be gone afterwards.
inline void loop::run(detail::ready_node& node) {
  meter_.callback_begins(node);
  if (observer_ == nullptr) [[likely]]
    node.run();
  else
    run_observed(node);
  meter_.callback_ended();
}

// ---- posts ---------------------------------------------------------------------------------------------------------

// A function on its way to a loop.
class loop::posted_function final : public detail::message, public detail::ready_node, public detail::pooled {
 public:
  posted_function(loop& home, std::move_only_function<void()> fn, const std::source_location& from) noexcept
      : home_(home), fn_(std::move(fn)) {
    site = from;
  }
  void deliver() override {
    const std::unique_ptr<posted_function> self(this);
    home_.run(*this);
  }
  void discard() noexcept override { delete this; }

 private:
  void run() override { fn_(); }
  loop& home_;
  std::move_only_function<void()> fn_;
};

void loop::post(std::move_only_function<void()> fn, std::source_location site) {
  send(*new posted_function(*this, std::move(fn), site));
}

// ---- loop ----------------------------------------------------------------------------------------------------------

loop::loop(const loop_options& options)
    : fast_limit_(std::max(options.in_flight_limit, 1u)),
      in_flight_limit_(fast_limit_),
      batch_(std::max(options.completions_a_turn, 1u)),
      posts_a_turn_(std::max(options.posts_a_turn, 1u)),
      meter_(options.metrics),
      make_observer_(options.observer) {
  auto chosen = make_engine(options.engine);
  if (!chosen)
    throw std::system_error(chosen.error(), "cannot set up the engine: " + explain_uring_refusal(chosen.error()));
  engine_ = std::move(chosen->engine);
  engine_reason_ = std::move(chosen->reason);
}

loop::loop(std::unique_ptr<asyncfs::engine> engine, const loop_options& options)
    : engine_(std::move(engine)),
      engine_reason_("given by the caller"),
      fast_limit_(std::max(options.in_flight_limit, 1u)),
      in_flight_limit_(fast_limit_),
      batch_(std::max(options.completions_a_turn, 1u)),
      posts_a_turn_(std::max(options.posts_a_turn, 1u)),
      meter_(options.metrics),
      make_observer_(options.observer) {}

loop::~loop() {
  const bool others = !backlog_.empty() || !timers_.empty() || !ready_.empty() || parked_ != 0;
  if (in_flight_ != 0 || tasks_ != 0 || others) {
    std::fprintf(stderr,
                 "asyncfs: a loop was destroyed with %zu operations in flight, %zu tasks%s; call drain() first\n",
                 in_flight_, tasks_, others ? ", and others that wait for their turn" : "");
    std::abort();
  }
  engine_->await_callers();
  while (detail::letter* mail = engine_->take_post()) static_cast<detail::message*>(mail)->discard();
}

loop* loop::current() noexcept { return running_loop; }

void loop::run_until(const std::function<bool()>& done) {
  const int bound_to = meter_.pulse().thread.load(std::memory_order_relaxed);
  if (bound_to != 0 && bound_to != ::gettid()) runs_on_another_thread();
  if (thread_.load(std::memory_order_relaxed) == std::thread::id()) {
    engine_->adopt_thread();
    thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    meter_.begin();
    if (make_observer_) {
      own_observer_ = make_observer_();
      observe(own_observer_.get());
    }
  }
  const detail::sigpipe_block quiet;
  struct mark_running {
    loop* outer;
    detail::meter& meter;
    ~mark_running() {
      running_loop = outer;
      meter.run_ended();
    }
  } const restore{std::exchange(running_loop, this), meter_};
  meter_.run_begins();
  while (!done()) turn(done);
}

void loop::drain() {
  root_.cancel();
  run_until([this] {
    return in_flight_ == 0 && tasks_ == 0 && ready_.empty() && backlog_.empty() && timers_.empty() && parked_ == 0 &&
           !engine_->has_posts();
  });
  root_.requested_ = false;
}

void loop::turn(const std::function<bool()>& done) {
  take_in_completions();
  take_in_posts();
  run_ready();
  if (!timers_.empty()) fire_timers();
  const bool refused = !backlog_.empty() && !start_backlog();
  const bool idle = ready_.empty() && !engine_->has_finished_work() && !engine_->has_posts() && !done();
  asyncfs::engine::wait how{.until_completion = idle && (!refused || refusals_ > 1), .deadline = timers_.earliest()};
  if (refused) how.deadline = std::min(how.deadline, now() + between_refusals);
  const steady_time began = observer_ != nullptr ? now() : steady_time();
  meter_.rests();
  engine_->enter(how);
  meter_.resumes();
  if (observer_ != nullptr) observer_->entered(in_flight_, began, now());
  if (how.until_completion && engine_->nothing_can_wake()) [[unlikely]]
    report_deadlock();
}

void loop::report_deadlock() {
  std::string what;
  std::size_t waiting = 0;
  const auto look_into = [&](auto&& self, cancel_scope& scope) -> void {
    scope.operations_.for_each([&](const detail::pending& op) {
      if (++waiting > most_told) return;
      what.append(waiting == 1 ? " " : ", ").append(op.name());
      if (op.site.line() != 0)
        what.append(" (").append(op.site.file_name()).append(":").append(std::to_string(op.site.line())) += ')';
    });
    scope.children_.for_each([&](cancel_scope& child) { self(self, child); });
  };
  look_into(look_into, root_);
  if (waiting > most_told) what.append(", and ").append(std::to_string(waiting - most_told)).append(" more");
  if (waiting == 0)
    what = "deadlock: tasks wait for each other, or for another loop; nothing can wake them";
  else
    what = "deadlock: " + std::to_string(waiting) + (waiting == 1 ? " task waits for" : " tasks wait for") + what +
           (waiting == 1 ? "; nothing can wake it" : "; nothing can wake them");
  if (root_.requested_) engine_->give_up(what + ", though all was cancelled");
  throw std::logic_error(what);
}

void loop::take_in_completions() {
  const std::size_t count = engine_->reap(batch_);
  std::size_t ended = 0, bounded = 0;
  flow_.in_flight += in_flight_;
  flow_.completed += count;
  meter_.completed(count);
  if (observer_ != nullptr) note_completions({batch_.data(), count});
  completion* const batch = batch_.data();
  for (std::size_t i = 0; i < count; ++i) {
    completion& event = batch[i];
    // The kernel's own work has pushed the operations out of the first-level cache.
    if (i + look_ahead < count) {
      const auto* soon = reinterpret_cast<const char*>(static_cast<std::uintptr_t>(batch[i + look_ahead].user_data));
      __builtin_prefetch(soon, 1);
      __builtin_prefetch(soon + 64, 1);
    }
    auto& op = *reinterpret_cast<detail::pending*>(static_cast<std::uintptr_t>(event.user_data));
    const bool ends_simply = op.arrives_once_ && (event.flags & (completion::more | completion::notification)) == 0;
    if (ends_simply || event.last()) [[likely]] {
      ++ended;
      bounded += op.bounded_;
      if (event.value == -EINTR && begins_again(op, event)) [[unlikely]]
        continue;
      static_cast<detail::scope_hook&>(op).unlink();
    }
    if (ends_simply) [[likely]] {
      op.value_ = event.value;
      op.completion_flags_ = event.flags;
      op.state_ = detail::pending::state::ready;
      ready_.push(op);
    } else {
      op.arrive(event);
    }
  }
  in_flight_ -= ended;
  bounded_in_flight_ -= bounded;
}

// A signal, or a cancel that met a system call under way, interrupted it before it did anything. Cancelled, that is how
// it ends; otherwise it waits for its turn again. Not so where the first attempt leaves something behind: a descriptor
// that is closed, a connection that is being made, whatever a function does.
bool loop::begins_again(detail::pending& op, completion& event) noexcept {
  if (!op.arrives_once_ || op.code() == opcode::close || op.code() == opcode::call) return false;
  if (op.scope_->requested_) {
    event.value = -ECANCELED;
    return false;
  }
  if (op.code() == opcode::connect) return false;
  op.state_ = detail::pending::state::waiting_for_room;
  backlog_.push_back(op);
  return true;
}

void loop::take_in_posts() {
  for (unsigned i = 0; i < posts_a_turn_; ++i) {
    detail::letter* mail = engine_->take_post();
    if (mail == nullptr) return;
    static_cast<detail::message*>(mail)->deliver();
  }
}

// Only what was ready when the phase began: continuations that make others ready cannot keep I/O waiting.
void loop::run_ready() {
  const detail::ready_node* const last = ready_.back();
  for (unsigned i = 0; i < ready_a_turn; ++i) {
    detail::ready_node* node = ready_.pop();
    if (node == nullptr) return;
    const bool ends_phase = node == last;
    __builtin_prefetch(node->next_in_queue);  // null does no harm
    inline_budget_ = inline_steps;
    run(*node);
    if (ends_phase) return;
  }
}

void loop::run_observed(detail::ready_node& node) {
  const std::source_location site = node.site;
  const steady_time began = now();
  node.run();
  if (observer_ != nullptr) observer_->ran(site, began, now());
}

void loop::observe(loop_observer* by) noexcept {
  observer_ = by;
  fast_limit_ = by == nullptr ? in_flight_limit_ : 0;
}

void loop::note_start(const detail::pending& op, const request& work) noexcept {
  const bool has_descriptor = work.fd >= 0;
  observer_->started({.id = request::pointer(&op),
                      .code = op.code(),
                      .name = op.name().data(),
                      .site = op.site,
                      .fd = has_descriptor ? work.fd : -1,
                      .offset = work.offset,
                      .length = work.length},
                     now());
}

void loop::note_completions(std::span<const completion> batch) noexcept {
  const steady_time at = now();
  for (const completion& event : batch)
    observer_->completed({.id = event.user_data, .value = event.value, .last = event.last()}, at);
}

void loop::start_slowly(detail::pending& op, cancel_scope& scope) {
  enlist(op, scope);
  if (scope.requested_) return end(op, -ECANCELED);
  try {
    if ((!op.bounded_ || bounded_in_flight_ < in_flight_limit_) && backlog_.empty() && hand_over(op)) return;
  } catch (...) {  // out of memory: nothing was started
    static_cast<detail::scope_hook&>(op).unlink();
    throw;
  }
  op.state_ = detail::pending::state::waiting_for_room;
  backlog_.push_back(op);
}

bool loop::hand_over(detail::pending& op) {
  request work;
  op.prepare(work);
  work.code = op.code();
  work.user_data = request::pointer(&op);
  if (engine_->direct(op.code()) && (work.flags & request::only_if_cached) == 0) {
    request* slot = engine_->slot();
    if (slot == nullptr) return false;
    *slot = work;
  } else if (!engine_->submit(work)) {
    return false;
  }
  if (observer_ != nullptr) note_start(op, work);
  op.state_ = detail::pending::state::in_flight;
  ++in_flight_;
  bounded_in_flight_ += op.bounded_;
  return true;
}

// False: the engine has no room for the first.
bool loop::start_backlog() {
  while (detail::pending* op = backlog_.front()) {
    if (op->bounded_ && bounded_in_flight_ >= in_flight_limit_) return true;
    static_cast<detail::backlog_hook&>(*op).unlink();
    try {
      if (!hand_over(*op)) {
        backlog_.push_front(*op);
        ++refusals_;
        return false;
      }
      refusals_ = 0;
    } catch (const std::bad_alloc&) {
      end(*op, -ENOMEM);
    }
  }
  return true;
}

// Ends an operation that no engine holds.
void loop::end(detail::pending& op, std::int32_t value) noexcept {
  static_cast<detail::scope_hook&>(op).unlink();
  const bool was_told = op.state_ > detail::pending::state::waiting_for_room;  // of its start
  if (observer_ != nullptr && was_told)
    observer_->completed({.id = request::pointer(&op), .value = value, .last = true}, now());
  op.arrive({.user_data = request::pointer(&op), .value = value, .flags = 0});
}

void loop::move_to(cancel_scope& scope, detail::pending& op) noexcept {
  if (op.scope_ == &scope) return;
  static_cast<detail::scope_hook&>(op).unlink();
  enlist(op, scope);
  if (scope.requested_) cancel(op);
}

void loop::cancel(detail::pending& op) noexcept {
  switch (op.state_) {
    case detail::pending::state::waiting_for_room:
      static_cast<detail::backlog_hook&>(op).unlink();
      return end(op, -ECANCELED);
    case detail::pending::state::in_timer: timers_.remove(op); return end(op, -ECANCELED);
    case detail::pending::state::in_flight: return engine_->cancel(request::pointer(&op));
    case detail::pending::state::parked:
      if (op.withdraw()) complete(op, -ECANCELED);
      return;
    case detail::pending::state::idle:
    case detail::pending::state::ready:
    case detail::pending::state::ended: return;  // its outcome stands
  }
}

void loop::park(detail::pending& op, cancel_scope& scope) noexcept {
  enlist(op, scope);
  op.state_ = detail::pending::state::parked;
  ++parked_;
  if (observer_ != nullptr) note_start(op, {});
}

void loop::complete(detail::pending& op, std::int32_t value) noexcept {
  --parked_;
  end(op, value);
}

// ---- timers --------------------------------------------------------------------------------------------------------

void loop::start_timer(detail::pending& op, cancel_scope& scope, steady_time when) {
  if (!scope.requested_) timers_.reserve_one();
  enlist(op, scope);
  if (scope.requested_) return end(op, -ECANCELED);
  op.state_ = detail::pending::state::in_timer;
  timers_.put(op, when);
  if (observer_ != nullptr) note_start(op, {});
}

bool loop::stop_timer(detail::pending& op) noexcept {
  if (op.state_ != detail::pending::state::in_timer) return false;
  timers_.remove(op);
  static_cast<detail::scope_hook&>(op).unlink();
  op.state_ = detail::pending::state::idle;
  if (observer_ != nullptr)
    observer_->completed({.id = request::pointer(&op), .value = -ECANCELED, .last = true}, now());
  return true;
}

void loop::fire_timers() {
  const steady_time now = engine_->now();
  for (unsigned i = 0; i < timers_a_turn && timers_.earliest() <= now && !timers_.empty(); ++i)
    end(timers_.take_earliest(), 0);
}

}  // namespace asyncfs
