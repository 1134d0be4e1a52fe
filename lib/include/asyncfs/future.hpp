// future<T>: a handle to a task or operation that runs by itself, in the manner of a promise in JavaScript.
//
//   auto f = asyncfs::spawn(loop, file.read_at(buffer, 0))
//                .then([](std::size_t n) { return n * 2; })
//                .on_error([](std::exception_ptr) { return std::size_t{0}; });
//   std::size_t n = f.get();          // on another thread; or co_await std::move(f) in a task
//
// What is spawned begins from the loop's ready queue, never inside `spawn`. `.then`, `.on_error` and `.finally` run
// on the loop that made the future, and take the future with them. `.get` waits and is for other threads: on the
// loop's own thread it throws std::logic_error. Dropping a future that has not ended asks its work to cancel; the loop
// still waits for it. `spawn` may be called from any thread while the loop lives.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <variant>

#include <asyncfs/task.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

template <class T>
class future;

namespace detail {

// Shared by the running work, the future, and whoever waits.
template <class T>
class future_state final : public ready_node, public std::enable_shared_from_this<future_state<T>> {
 public:
  future_state(loop& home, task<T> work) : home_(home), scope_(nullptr), work_(std::move(work)) {}

  // Loop thread: puts the work into the ready queue.
  void start() {
    enter_loop();
    home_.make_ready(*this);
  }
  // Loop thread: for work that begins with waiting for another future, and so runs no user code yet.
  void start_waiting() {
    enter_loop();
    run();
  }
  void wait() {
    if (loop::current() == &home_)
      throw std::logic_error(
          "asyncfs::future::get on the loop's own thread would wait for itself; co_await it, or use then()");
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return done_; });
  }
  // Loop thread: false when it has ended already, else `waiter` becomes ready at the end, and cancelling its scope
  // cancels this work.
  bool notify(ready_node& waiter, cancel_scope& scope) noexcept {
    if (done_) return false;
    waiter_ = &waiter;
    scope.adopt(scope_);
    return true;
  }
  // Any thread.
  void cancel() {
    if (loop::current() == &home_) return scope_.cancel();
    const std::lock_guard lock(mutex_);
    if (!done_) home_.post([state = this->shared_from_this()] { state->scope_.cancel(); });
  }
  [[nodiscard]] bool done() {
    const std::lock_guard lock(mutex_);
    return done_;
  }
  [[nodiscard]] loop& home() const noexcept { return home_; }
  T take() { return work_.take(); }

 private:
  void enter_loop() {
    self_ = this->shared_from_this();
    home_.task_started();
    if (!scope_.linked()) home_.root().adopt(scope_);
  }
  void run() override {
    work_.begin(home_, scope_, epilogue::calling([this] { end(); }).frame);
  }
  void end() {
    const auto alive = std::move(self_);
    scope_.leave();
    home_.task_ended();
    if (waiter_ != nullptr) home_.make_ready(*waiter_);
    const std::lock_guard lock(mutex_);
    done_ = true;
    ended_.notify_all();
  }

  loop& home_;
  cancel_scope scope_;
  task<T> work_;
  ready_node* waiter_ = nullptr;
  std::shared_ptr<future_state> self_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool done_ = false;
};

template <class T>
class future_awaiter final : public ready_node {
 public:
  explicit future_awaiter(std::shared_ptr<future_state<T>> state) noexcept : state_(std::move(state)) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <awaiting_promise P>
  bool await_suspend(std::coroutine_handle<P> waiter) noexcept {
    waiter_ = waiter;
    return state_->notify(*this, waiter.promise().scope());
  }
  T await_resume() { return state_->take(); }

 private:
  void run() override { waiter_.resume(); }
  std::shared_ptr<future_state<T>> state_;
  std::coroutine_handle<> waiter_;
};

template <class T>
struct is_task : std::false_type {};
template <class T>
struct is_task<task<T>> : std::true_type {};

template <class Kind>
task<typename Kind::value_type> as_task(operation<Kind> op) {
  co_return co_await std::move(op);
}

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

  // Waits for the end; the value, or what the work threw. Once. Not on the loop's own thread.
  T get() {
    state_->wait();
    return std::exchange(state_, nullptr)->take();
  }
  [[nodiscard]] bool ready() const { return state_->done(); }

  // On the loop that made the future.
  auto operator co_await() && noexcept { return detail::future_awaiter<T>(std::move(state_)); }

  // fn(value), or fn() for void; when it returns a task, that is awaited. Errors skip it.
  template <class F>
  auto then(F fn) &&;
  // fn(std::exception_ptr) gives the value instead; values skip it.
  template <class F>
  future<T> on_error(F fn) &&;
  // fn() in either case; the outcome stays.
  template <class F>
  future<T> finally(F fn) &&;

 private:
  void drop() noexcept {
    if (state_ && !state_->done()) state_->cancel();
    state_.reset();
  }
  std::shared_ptr<detail::future_state<T>> state_;
};

namespace detail {
template <class T>
std::shared_ptr<future_state<T>> make_state(loop& home, task<T> work) {
  return std::allocate_shared<future_state<T>>(pool_allocator<future_state<T>>(), home, std::move(work));
}
}  // namespace detail

template <class T>
future<T> spawn(loop& home, task<T> work) {
  auto state = detail::make_state(home, std::move(work));
  if (loop::current() == &home)
    state->start();
  else
    home.post([state] { state->start(); });
  return future<T>(std::move(state));
}
template <class Kind>
future<typename Kind::value_type> spawn(loop& home, operation<Kind> op) {
  return spawn(home, detail::as_task(std::move(op)));
}

namespace detail {

// For work that awaits another future first. When that one `runs` still, the work joins it at once: no user code runs
// yet, and every link of a chain saves a turn through the ready queue.
template <class T>
future<T> spawn_after(bool runs, loop& home, task<T> work) {
  if (!runs || loop::current() != &home) return spawn(home, std::move(work));
  auto state = make_state(home, std::move(work));
  state->start_waiting();
  return future<T>(std::move(state));
}

// What fn gives for a value of T, and what is in it when that is a task.
template <class T, class F>
struct then_result : std::invoke_result<F&, T> {};
template <class F>
struct then_result<void, F> : std::invoke_result<F&> {};
template <class R>
struct unwrapped : std::type_identity<R> {};
template <class R>
struct unwrapped<task<R>> : std::type_identity<R> {};

template <class T, class F, class R = typename then_result<T, F>::type>
task<typename unwrapped<R>::type> then_task(future<T> before, F fn) {
  if constexpr (std::is_void_v<T>) {
    co_await std::move(before);
    if constexpr (is_task<R>::value)
      co_return co_await fn();
    else
      co_return fn();
  } else {
    T value = co_await std::move(before);
    if constexpr (is_task<R>::value)
      co_return co_await fn(std::move(value));
    else
      co_return fn(std::move(value));
  }
}

template <class T, class F>
task<T> on_error_task(future<T> before, F fn) {
  std::exception_ptr error;
  try {
    co_return co_await std::move(before);
  } catch (...) {
    error = std::current_exception();
  }
  co_return fn(std::move(error));
}

template <class T, class F>
task<T> finally_task(future<T> before, F fn) {
  std::exception_ptr error;
  std::optional<std::conditional_t<std::is_void_v<T>, std::monostate, T>> value;
  try {
    if constexpr (std::is_void_v<T>)
      co_await std::move(before);
    else
      value.emplace(co_await std::move(before));
  } catch (...) {
    error = std::current_exception();
  }
  fn();
  if (error) std::rethrow_exception(error);
  if constexpr (!std::is_void_v<T>) co_return *std::move(value);
}

}  // namespace detail

template <class T>
template <class F>
auto future<T>::then(F fn) && {
  loop& home = state_->home();
  const bool runs = !state_->done();
  return detail::spawn_after(runs, home, detail::then_task(std::move(*this), std::move(fn)));
}
template <class T>
template <class F>
future<T> future<T>::on_error(F fn) && {
  loop& home = state_->home();
  const bool runs = !state_->done();
  return detail::spawn_after(runs, home, detail::on_error_task(std::move(*this), std::move(fn)));
}
template <class T>
template <class F>
future<T> future<T>::finally(F fn) && {
  loop& home = state_->home();
  const bool runs = !state_->done();
  return detail::spawn_after(runs, home, detail::finally_task(std::move(*this), std::move(fn)));
}

}  // namespace asyncfs
