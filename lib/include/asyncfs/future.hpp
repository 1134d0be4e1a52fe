// future<T>: a handle to a task or operation that runs by itself, in the manner of a promise in JavaScript.
//
//   auto f = asyncfs::spawn(loop, file.read_at(buffer, 0))
//                .then([](std::size_t n) { return n * 2; })
//                .on_error([](std::exception_ptr) { return std::size_t{0}; });
//   std::size_t n = f.get();          // on another thread; or co_await std::move(f) in a task
//
// What is spawned begins from the loop's ready queue, never inside `spawn`. `.then`, `.on_error` and `.finally` run
// on the loop that made the future, and take the future with them. `.get` waits and is for other threads: on the
// loop's own it throws std::logic_error, but between two runs of the loop for a future that has ended. Dropping a future
// that has not ended asks its work to cancel; the loop still waits for it. `spawn` may be called from any thread while
// the loop lives; what a loop did not come to begin before it was destroyed ends with std::errc::operation_canceled.
//
// An error that nobody took, because the last handle was dropped, goes to the handler of unhandled.hpp.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <variant>
#include <vector>

#include <asyncfs/detail/future_waiter.hpp>
#include <asyncfs/unhandled.hpp>
#include <asyncfs/when.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

template <class T>
class future;

namespace detail {

// Shared by the running work, the future, and whoever waits.
template <class T>
class future_state final : public ready_node, private task_end, public std::enable_shared_from_this<future_state<T>> {
 public:
  future_state(loop& home, task<T> work, const std::source_location& from)
      : home_(home), scope_(nullptr), work_(std::move(work)) {
    site = from;
  }
  ~future_state() {
    if (ended_ && !abandoned_ && work_.promise().failed()) unhandled(work_.promise().error(), site);
  }

  // Any thread: the work begins from the loop's ready queue.
  void spawn() {
    self_ = this->shared_from_this();
    if (loop::current() == &home_)
      start();
    else
      home_.send(starting_);
  }
  // Loop thread: for work that begins with waiting for another future, and so runs no user code yet.
  void start_waiting() {
    self_ = this->shared_from_this();
    enter_loop();
    run();
  }
  void wait() {
    if (loop::current() == &home_)
      throw std::logic_error(
          "asyncfs::future::get on the loop's own thread would wait for itself; co_await it, or use then()");
    std::unique_lock lock(mutex_);
    if (!ended_ && home_.belongs_here())
      throw std::logic_error(
          "asyncfs::future::get on the thread of a loop that does not run now would wait for ever; run the loop "
          "until the future is ready()");
    end_.wait(lock, [this] { return ended_; });
  }
  // Any loop's thread: false when it has ended already, else wakes `waiter` at the end.
  bool notify(future_waiter& waiter) {
    const std::lock_guard lock(mutex_);
    if (ended_) return false;
    waiter_ = &waiter;
    return true;
  }
  // Loop thread: cancelling `above` cancels this work, until it has ended.
  void link(cancel_scope& above) noexcept { above.adopt(scope_); }
  // Any thread, before and after the end. Allocates nothing.
  void cancel() noexcept {
    if (loop::current() == &home_) return scope_.cancel();
    const std::lock_guard lock(mutex_);
    if (ended_ || cancelling_.of) return;
    cancelling_.of = this->shared_from_this();
    home_.send(cancelling_);
  }
  [[nodiscard]] bool done() {
    const std::lock_guard lock(mutex_);
    return ended_;
  }
  [[nodiscard]] loop& home() const noexcept { return home_; }
  T take() {
    if (abandoned_) throw std::system_error(ECANCELED, std::system_category(), "the loop was destroyed");
    return work_.take();
  }

 private:
  struct start_message final : message {
    explicit start_message(future_state& state) noexcept : of(state) {}
    void deliver() override { of.start(); }
    void discard() noexcept override { of.abandon(); }
    future_state& of;
  };
  struct cancel_message final : message {
    void deliver() override {
      std::shared_ptr<future_state> alive;
      {
        const std::lock_guard lock(of->mutex_);
        alive = std::move(of);
      }
      alive->scope_.cancel();
    }
    void discard() noexcept override { of.reset(); }
    std::shared_ptr<future_state> of;
  };

  void start() {
    enter_loop();
    home_.make_ready(*this);
  }
  void enter_loop() {
    home_.task_started();
    if (!scope_.linked()) home_.root().adopt(scope_);
  }
  void run() override { work_.begin(home_, scope_, *this, site); }
  void ended() noexcept override {
    scope_.leave();
    home_.task_ended();
    finish();
  }
  void abandon() noexcept {
    abandoned_ = true;
    finish();
  }
  void finish() noexcept {
    const auto alive = std::move(self_);
    future_waiter* waiter = nullptr;
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
      waiter = waiter_;
      end_.notify_all();
    }
    if (waiter != nullptr) waiter->wake();
  }

  loop& home_;
  cancel_scope scope_;
  task<T> work_;
  future_waiter* waiter_ = nullptr;
  std::shared_ptr<future_state> self_;  // while the loop has it
  start_message starting_{*this};
  cancel_message cancelling_;
  std::mutex mutex_;
  std::condition_variable end_;
  bool ended_ = false, abandoned_ = false;
};

template <class T>
class future_awaiter final : public future_waiter {
 public:
  explicit future_awaiter(std::shared_ptr<future_state<T>> of) noexcept : state_(std::move(of)) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <awaiting_promise P>
  bool await_suspend(std::coroutine_handle<P> waiter, std::source_location at = std::source_location::current()) {
    loop& home = waiter.promise().home();
    cancel_scope& scope = waiter.promise().scope();
    this->suspend(home, waiter, at);
    if (!state_->notify(*this)) return home.takes_turn(*this);
    if (&home == &state_->home()) {
      state_->link(scope);
    } else {
      home.park(*this, scope);  // the end may have come already, but is taken in by a later turn
      if (scope.cancelled()) state_->cancel();
    }
    return true;
  }
  T await_resume() { return state_->take(); }

 private:
  // The wait goes on: the work is asked to end, and its end is waited for.
  [[nodiscard]] bool withdraw() noexcept override {
    state_->cancel();
    return false;
  }
  std::shared_ptr<future_state<T>> state_;
};

}  // namespace detail

template <class T>
class [[nodiscard("dropping a future cancels its work")]] future {
 public:
  using value_type = T;

  future() noexcept = default;
  explicit future(std::shared_ptr<detail::future_state<T>> state) noexcept : state_(std::move(state)) {}
  future(future&&) noexcept = default;
  future& operator=(future&& other) noexcept {
    drop();
    state_ = std::move(other.state_);
    return *this;
  }
  ~future() { drop(); }

  // Waits for the end; the value, or what the work threw. Once. Where that would keep the loop from running, on its own
  // thread: std::logic_error.
  T get() {
    check();
    state_->wait();
    return std::exchange(state_, nullptr)->take();
  }
  [[nodiscard]] bool ready() const { return state_ && state_->done(); }

  // On any loop. Cancelling the awaiting task cancels the work, and the wait is over when that has ended.
  auto operator co_await() && {
    check();
    return detail::future_awaiter<T>(std::move(state_));
  }

  // What fn returns is awaited when it can be: a task, an operation, a future ...

  // fn(value), or fn() for void. Errors skip it.
  template <class F>
  auto then(F fn, std::source_location site = std::source_location::current()) &&;
  // fn(std::exception_ptr) gives the value instead; values skip it.
  template <class F>
  future<T> on_error(F fn, std::source_location site = std::source_location::current()) &&;
  // fn() in either case; the outcome stays, unless fn fails.
  template <class F>
  future<T> finally(F fn, std::source_location site = std::source_location::current()) &&;
  // The loop that made it.
  [[nodiscard]] loop& home() const noexcept { return state_->home(); }

 private:
  void check() const {
    if (!state_) [[unlikely]]
      throw std::logic_error("asyncfs::future: empty, or its outcome was taken before");
  }
  void drop() noexcept {
    if (state_ && !state_->done()) state_->cancel();
    state_.reset();
  }
  std::shared_ptr<detail::future_state<T>> state_;
};

namespace detail {
template <class T>
std::shared_ptr<future_state<T>> make_state(loop& home, task<T> work, const std::source_location& site) {
  return std::allocate_shared<future_state<T>>(pool_allocator<future_state<T>>(), home, std::move(work), site);
}
}  // namespace detail

// Any thread. Throws std::bad_alloc, and then nothing was begun.
template <awaitable A>
future<awaited_t<A>> spawn(loop& home, A what, std::source_location site = std::source_location::current()) {
  auto state = detail::make_state(home, as_task(std::move(what)), site);
  state->spawn();
  return future<awaited_t<A>>(std::move(state));
}

namespace detail {

// For work that awaits another future first. When that one `runs` still, the work joins it at once: no user code runs
// yet, and every link of a chain saves a turn through the ready queue.
template <class T>
future<T> spawn_after(bool runs, loop& home, task<T> work, const std::source_location& site) {
  if (!runs || loop::current() != &home) return spawn(home, std::move(work), site);
  auto state = make_state(home, std::move(work), site);
  state->start_waiting();
  return future<T>(std::move(state));
}

// What fn gives for a value of T, and what is in it when that can be awaited.
template <class T, class F>
struct then_result : std::invoke_result<F&, T> {};
template <class F>
struct then_result<void, F> : std::invoke_result<F&> {};
template <class R>
struct unwrapped : std::type_identity<R> {};
template <awaitable R>
struct unwrapped<R> : std::type_identity<awaited_t<R>> {};

template <class T, class F, class R = typename then_result<T, F>::type>
task<typename unwrapped<R>::type> then_task(future<T> before, F fn) {
  if constexpr (std::is_void_v<T>) {
    co_await for_caller(std::move(before));
    if constexpr (awaitable<R>)
      co_return co_await for_caller(fn());
    else
      co_return fn();
  } else {
    T value = co_await for_caller(std::move(before));
    if constexpr (awaitable<R>)
      co_return co_await for_caller(fn(std::move(value)));
    else
      co_return fn(std::move(value));
  }
}

template <class T, class F>
task<T> on_error_task(future<T> before, F fn) {
  std::exception_ptr error;
  try {
    co_return co_await for_caller(std::move(before));
  } catch (...) {
    error = std::current_exception();
  }
  if constexpr (awaitable<std::invoke_result_t<F&, std::exception_ptr>>)
    co_return co_await for_caller(fn(std::move(error)));
  else
    co_return fn(std::move(error));
}

template <class T, class F>
task<T> finally_task(future<T> before, F fn) {
  std::exception_ptr error;
  std::optional<std::conditional_t<std::is_void_v<T>, std::monostate, T>> value;
  try {
    if constexpr (std::is_void_v<T>)
      co_await for_caller(std::move(before));
    else
      value.emplace(co_await for_caller(std::move(before)));
  } catch (...) {
    error = std::current_exception();
  }
  if constexpr (awaitable<std::invoke_result_t<F&>>)
    static_cast<void>(co_await for_caller(fn()));
  else
    fn();
  if (error) std::rethrow_exception(error);
  if constexpr (!std::is_void_v<T>) co_return *std::move(value);
}

}  // namespace detail

template <class T>
template <class F>
auto future<T>::then(F fn, std::source_location site) && {
  check();
  loop& home = state_->home();
  const bool runs = !state_->done();
  return detail::spawn_after(runs, home, detail::then_task(std::move(*this), std::move(fn)), site);
}
template <class T>
template <class F>
future<T> future<T>::on_error(F fn, std::source_location site) && {
  check();
  loop& home = state_->home();
  const bool runs = !state_->done();
  return detail::spawn_after(runs, home, detail::on_error_task(std::move(*this), std::move(fn)), site);
}
template <class T>
template <class F>
future<T> future<T>::finally(F fn, std::source_location site) && {
  check();
  loop& home = state_->home();
  const bool runs = !state_->done();
  return detail::spawn_after(runs, home, detail::finally_task(std::move(*this), std::move(fn)), site);
}

// Promise.all, allSettled, any and race: when_all and its kin (when.hpp), as a future on the loop of the first. All
// futures must be of that loop. At least one.
template <class First, class... T>
auto all(future<First> first, future<T>... others) {
  loop& home = first.home();
  return spawn(home, when_all(std::move(first), std::move(others)...));
}
template <class First, class... T>
auto all_settled(future<First> first, future<T>... others) {
  loop& home = first.home();
  return spawn(home, when_all_settled(std::move(first), std::move(others)...));
}
template <class First, class... T>
auto any(future<First> first, future<T>... others) {
  loop& home = first.home();
  return spawn(home, when_any(std::move(first), std::move(others)...));
}
template <class First, class... T>
auto race(future<First> first, future<T>... others) {
  loop& home = first.home();
  return spawn(home, race(as_task(std::move(first)), as_task(std::move(others))...));
}

namespace detail {
template <class T>
std::vector<task<T>> as_tasks(std::vector<future<T>> futures) {
  std::vector<task<T>> tasks;
  tasks.reserve(futures.size());
  for (future<T>& one : futures) tasks.push_back(as_task(std::move(one)));
  return tasks;
}
}  // namespace detail

// The same for any number of one type, on the loop given.
template <class T>
auto all(loop& home, std::vector<future<T>> futures) {
  return spawn(home, when_all(detail::as_tasks(std::move(futures))));
}
template <class T>
auto all_settled(loop& home, std::vector<future<T>> futures) {
  return spawn(home, when_all_settled(detail::as_tasks(std::move(futures))));
}
template <class T>
auto any(loop& home, std::vector<future<T>> futures) {
  return spawn(home, when_any(detail::as_tasks(std::move(futures))));
}
template <class T>
auto race(loop& home, std::vector<future<T>> futures) {
  return spawn(home, race(detail::as_tasks(std::move(futures))));
}

}  // namespace asyncfs
