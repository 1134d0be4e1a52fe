// What one operation, one task, one timer costs. All on one thread; times are an operation unless the name says a batch.
//
//   nop/raw/N           N NOPs by bare liburing, one io_uring_enter a batch: the floor of the others
//   nop/awaited/N       N coroutines, each awaiting a NOP again and again: one io_uring_enter a round
//   nop/unmeasured/N    the same on a loop without metrics
//   nop/result/N        the same, awaited with as_result
//   nop/callback/N      N chains of callbacks, each starting the next NOP
//   nop/future/N        N chains of spawn(nop).then(...)
//   nop/with_timeout/N  N coroutines, each awaiting a NOP under a time limit that does not pass
//   switch/direct       one coroutine hands over to another (symmetric transfer)
//   switch/queue/N      N coroutines take turns through the loop's ready queue
//   task/await          start a leaf task, await its value
//   task/nested/6       the same through six tasks
//   task/spawn          spawn a task as a future, await it
//   scope/spawn         a leaf task spawned in a scope that is joined every 64
//   when_all/2          two leaf tasks, awaited together
//   semaphore/free      acquire a permit that is there, give it back
//   semaphore/handed/N  N coroutines hand one permit round: the next one waits for it
//   event/set           await an event that has happened
//   event/ping_pong     two coroutines wake each other: one event set and awaited
//   channel/N           a value from one coroutine to another through a channel of capacity N
//   post                a function to the own loop
//   timer/cancel/N      schedule a timer at a random time and cancel it while N others are pending
//   timer/fire/N        schedule a timer that is due, and let it fire, while N others are pending
//
// The counter `allocations` is heap allocations an operation: 0 in the steady state. For figures that hold:
//   micro --benchmark_repetitions=9 --benchmark_enable_random_interleaving=true --benchmark_report_aggregates_only=true
#include <benchmark/benchmark.h>
#include <liburing.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <asyncfs/asyncfs.hpp>
#include <cstdlib>
#include <new>
#include <random>
#include <vector>

namespace {
std::size_t allocations = 0;
}  // namespace

// Not inlined: GCC 12 would take malloc here and delete there for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using benchmark::State;

// Reports the heap allocations an iteration between its construction and its destruction.
class allocation_counter {
 public:
  explicit allocation_counter(State& state) : state_(state), before_(allocations) {}
  ~allocation_counter() {
    const auto count = static_cast<double>(allocations - before_);
    state_.counters["allocations"] = benchmark::Counter(count, benchmark::Counter::kAvgIterations);
  }

 private:
  State& state_;
  std::size_t before_;
};

// ---- nop -----------------------------------------------------------------------------------------------------------

void nop_raw(State& state) {
  const auto n = static_cast<unsigned>(state.range(0));
  io_uring ring{};
  io_uring_params parameters{};
  parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                     IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  parameters.cq_entries = 4096;
  if (io_uring_queue_init_params(512, &ring, &parameters) < 0) return state.SkipWithError("no io_uring here");
  io_uring_register_ring_fd(&ring);
  std::uint64_t sum = 0;
  while (state.KeepRunningBatch(n)) {
    for (unsigned i = 0; i < n; ++i) {
      io_uring_sqe* sqe = io_uring_get_sqe(&ring);
      io_uring_prep_nop(sqe);
      sqe->user_data = i;
    }
    io_uring_submit_and_wait(&ring, n);
    unsigned head = 0, count = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(&ring, head, cqe) {
      sum += cqe->user_data;
      ++count;
    }
    io_uring_cq_advance(&ring, count);
  }
  benchmark::DoNotOptimize(sum);
  io_uring_queue_exit(&ring);
}

asyncfs::loop_options uring_only() {
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::uring;
  return options;
}
asyncfs::loop_options without_metrics() {
  asyncfs::loop_options options = uring_only();
  options.metrics = false;
  return options;
}

// The first of n workers counts rounds; every worker does one operation a round.
struct rounds {
  State& state;
  asyncfs::loop_options options = uring_only();
  asyncfs::loop home{options};
  std::int64_t n = state.range(0);
  bool going = true;
  std::int64_t running = n;

  bool next_round(bool first) {
    if (first) going = state.KeepRunningBatch(n);
    return going;
  }
};

asyncfs::task<void> awaiting_worker(rounds& r, bool first) {
  while (r.next_round(first)) co_await asyncfs::nop();
}

asyncfs::task<void> result_worker(rounds& r, bool first) {
  while (r.next_round(first)) {
    const auto done = co_await asyncfs::as_result(asyncfs::nop());
    benchmark::DoNotOptimize(done.has_value());
  }
}

asyncfs::task<void> limited_worker(rounds& r, bool first) {
  using namespace std::chrono_literals;
  while (r.next_round(first)) co_await asyncfs::with_timeout(asyncfs::nop(), 1h);
}

template <auto Worker, auto Options = uring_only>
void in_workers(State& state) {
  rounds r{state, Options()};
  std::vector<asyncfs::task<void>> workers;
  for (std::int64_t i = 0; i < r.n; ++i) workers.push_back(Worker(r, i == 0));
  const allocation_counter count(state);
  asyncfs::run(r.home, asyncfs::when_all(std::move(workers)));
}

void callback_chain(rounds& r, bool first) {
  if (!r.next_round(first)) {
    --r.running;
    return;
  }
  asyncfs::start(r.home, asyncfs::nop(), [&r, first](const asyncfs::result<void>&) { callback_chain(r, first); });
}

void nop_callback(State& state) {
  rounds r{state};
  const allocation_counter count(state);
  r.home.post([&r] {
    for (std::int64_t i = 0; i < r.n; ++i) callback_chain(r, i == 0);
  });
  r.home.run_until([&r] { return r.running == 0; });
  r.home.drain();
}

asyncfs::task<void> future_worker(rounds& r, bool first) {
  while (r.next_round(first)) {
    const int n = co_await asyncfs::spawn(r.home, asyncfs::nop()).then([] { return 1; });
    benchmark::DoNotOptimize(n);
  }
}

// ---- coroutines ----------------------------------------------------------------------------------------------------

// Two coroutines that resume each other.
struct table {
  std::coroutine_handle<> other;
  bool going = true;
};
struct hand_over {
  table& at;
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<> self) const noexcept {
    return std::exchange(at.other, self);
  }
  void await_resume() const noexcept {}
};
asyncfs::task<void> first_player(State& state, table& at) {
  hand_over serve{at};
  while (state.KeepRunningBatch(2)) co_await serve;
  at.going = false;
  at.other.resume();
}
asyncfs::task<void> second_player(table& at) {
  // The first one to wait: it leaves itself on the table, and returns to whoever began it.
  hand_over serve{at};
  at.other = std::noop_coroutine();
  co_await serve;
  while (at.going) co_await serve;
}
void switch_direct(State& state) {
  asyncfs::loop home(uring_only());
  table at;
  asyncfs::run(home, asyncfs::when_all(second_player(at), first_player(state, at)));
}

class through_queue final : public asyncfs::detail::ready_node {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class P>
  void await_suspend(std::coroutine_handle<P> waiter) noexcept {
    waiter_ = waiter;
    waiter.promise().home().make_ready(*this);
  }
  void await_resume() const noexcept {}
  void run() override { waiter_.resume(); }

 private:
  std::coroutine_handle<> waiter_;
};
asyncfs::task<void> queue_worker(rounds& r, bool first) {
  while (r.next_round(first)) co_await through_queue();
}

asyncfs::task<int> leaf(int value) { co_return value; }
asyncfs::task<int> nested(int depth) {
  const int value = depth == 0 ? 1 : co_await nested(depth - 1);
  co_return value;
}
asyncfs::task<void> await_leaves(State& state) {
  const allocation_counter count(state);
  int sum = 0;
  while (state.KeepRunning()) sum += co_await leaf(1);
  benchmark::DoNotOptimize(sum);
}
asyncfs::task<void> await_nested(State& state) {
  const allocation_counter count(state);
  int sum = 0;
  while (state.KeepRunning()) sum += co_await nested(static_cast<int>(state.range(0)) - 1);
  benchmark::DoNotOptimize(sum);
}
asyncfs::task<void> spawn_leaves(State& state) {
  const asyncfs::task_context at = co_await asyncfs::this_task;
  const allocation_counter count(state);
  int sum = 0;
  while (state.KeepRunning()) sum += co_await asyncfs::spawn(at.home, leaf(1));
  benchmark::DoNotOptimize(sum);
}
constexpr std::size_t a_round = 64;  // operations between two looks at the benchmark's state, where one is much

asyncfs::task<void> nothing() { co_return; }
asyncfs::task<void> spawn_in_scope(State& state) {
  asyncfs::scope beside(co_await asyncfs::this_task);
  const allocation_counter count(state);
  while (state.KeepRunningBatch(a_round)) {
    for (std::size_t i = 0; i < a_round; ++i) beside.spawn(nothing());
    co_await beside.join();
  }
}
asyncfs::task<void> await_two(State& state) {
  const allocation_counter count(state);
  int sum = 0;
  while (state.KeepRunning()) {
    const auto [one, other] = co_await asyncfs::when_all(leaf(1), leaf(2));
    sum += one + other;
  }
  benchmark::DoNotOptimize(sum);
}
template <auto Work>
void in_a_task(State& state) {
  asyncfs::loop home(uring_only());
  asyncfs::run(home, Work(state));
}

// ---- waiting for one another, within a loop ------------------------------------------------------------------------

asyncfs::task<void> acquire_free(State& state) {
  asyncfs::semaphore permits(1);
  const allocation_counter count(state);
  while (state.KeepRunning()) auto permit = co_await permits.acquire();
}

// Once all wait, each that gives the permit back hands it to the next, and waits behind the others.
asyncfs::task<void> permit_worker(rounds& r, asyncfs::semaphore& permits, bool first) {
  while (r.next_round(first)) auto permit = co_await permits.acquire();
}
void hand_permit_round(State& state) {
  rounds r{state};
  asyncfs::semaphore permits(0);
  std::vector<asyncfs::task<void>> workers;
  for (std::int64_t i = 0; i < r.n; ++i) workers.push_back(permit_worker(r, permits, i == 0));
  r.home.post([&permits] { permits.release(); });
  const allocation_counter count(state);
  asyncfs::run(r.home, asyncfs::when_all(std::move(workers)));
}

asyncfs::task<void> await_set_event(State& state) {
  asyncfs::event happened;
  happened.set();
  while (state.KeepRunning()) co_await happened.wait();
}

struct table_tennis {
  asyncfs::event here, there;
  bool going = true;
};
asyncfs::task<void> ping(State& state, table_tennis& at) {
  while (state.KeepRunningBatch(2)) {
    at.there.set();
    co_await at.here.wait();
    at.here.reset();
  }
  at.going = false;
  at.there.set();
}
asyncfs::task<void> pong(table_tennis& at) {
  while (at.going) {
    co_await at.there.wait();
    at.there.reset();
    at.here.set();
  }
}
void events_in_turn(State& state) {
  asyncfs::loop home(uring_only());
  table_tennis at;
  const allocation_counter count(state);
  asyncfs::run(home, asyncfs::when_all(pong(at), ping(state, at)));
}

asyncfs::task<void> send_values(State& state, asyncfs::channel<int>& into) {
  while (state.KeepRunning()) co_await into.send(1);
  into.close();
}
asyncfs::task<std::int64_t> receive_values(asyncfs::channel<int>& from) {
  std::int64_t sum = 0;
  while (const auto value = co_await from.receive()) sum += *value;
  co_return sum;
}
void send_within_a_loop(State& state) {
  asyncfs::loop home(uring_only());
  asyncfs::channel<int> values(static_cast<std::size_t>(state.range(0)));
  const allocation_counter count(state);
  const auto [nothing_sent, sum] =
      asyncfs::run(home, asyncfs::when_all(send_values(state, values), receive_values(values)));
  if (sum != state.iterations()) state.SkipWithError("values were lost");
}

void post_to_self(State& state) {
  asyncfs::loop home(uring_only());
  bool going = true;
  std::function<void()> again = [&] {
    going = state.KeepRunning();
    if (going) home.post([&again] { again(); });
  };
  home.post([&again] { again(); });
  const allocation_counter count(state);
  home.run_until([&going] { return !going; });
}

// ---- timers --------------------------------------------------------------------------------------------------------

class timer final : public asyncfs::detail::pending {
 public:
  timer() noexcept : pending(asyncfs::opcode::timeout, false) {}
  void prepare(asyncfs::request&) override {}
  void run() override { finish(); }
};

// Starts `others` at random times an hour and more ahead; gives such times.
class far_timers {
 public:
  far_timers(const asyncfs::task_context& at, std::vector<timer>& others) : at_(at) {
    for (timer& one : others) at_.home.start_timer(one, at_.scope, far());
  }
  asyncfs::steady_time far() {
    return at_.home.now() + std::chrono::hours(1) + std::chrono::microseconds(random_() % 1'000'000'000);
  }

 private:
  asyncfs::task_context at_;
  std::minstd_rand random_{1};
};

asyncfs::task<void> schedule_and_cancel(State& state, std::vector<timer>& others) {
  const asyncfs::task_context at = co_await asyncfs::this_task;
  far_timers times(at, others);
  std::vector<timer> mine(a_round);
  const allocation_counter count(state);
  while (state.KeepRunningBatch(a_round)) {
    for (timer& one : mine) at.home.start_timer(one, at.scope, times.far());
    for (timer& one : mine) at.home.cancel(one);
    co_await through_queue();  // cancelled ones are delivered from the queue too
  }
}

// All are due, in the order in which they were started; the task's own is the last of a round.
asyncfs::task<void> schedule_and_fire(State& state, std::vector<timer>& others) {
  const asyncfs::task_context at = co_await asyncfs::this_task;
  const far_timers times(at, others);
  std::vector<timer> mine(a_round - 1);
  const allocation_counter count(state);
  while (state.KeepRunningBatch(a_round)) {
    const asyncfs::steady_time due = at.home.now();
    for (timer& one : mine) at.home.start_timer(one, at.scope, due);
    co_await asyncfs::sleep_until(due);
  }
}

template <auto Work>
void among_timers(State& state) {
  asyncfs::loop home(uring_only());
  std::vector<timer> others(static_cast<std::size_t>(state.range(0)));
  asyncfs::run(home, Work(state, others));
}

BENCHMARK(nop_raw)->Name("nop/raw")->Arg(1)->Arg(64)->Arg(256);
BENCHMARK(in_workers<awaiting_worker>)->Name("nop/awaited")->Arg(1)->Arg(64)->Arg(256);
BENCHMARK(in_workers<awaiting_worker, without_metrics>)->Name("nop/unmeasured")->Arg(1)->Arg(64)->Arg(256);
BENCHMARK(in_workers<result_worker>)->Name("nop/result")->Arg(64);
BENCHMARK(nop_callback)->Name("nop/callback")->Arg(1)->Arg(64)->Arg(256);
BENCHMARK(in_workers<future_worker>)->Name("nop/future")->Arg(1)->Arg(64)->Arg(256);
BENCHMARK(in_workers<limited_worker>)->Name("nop/with_timeout")->Arg(64);
BENCHMARK(switch_direct)->Name("switch/direct");
BENCHMARK(in_workers<queue_worker>)->Name("switch/queue")->Arg(64);
BENCHMARK(in_a_task<await_leaves>)->Name("task/await");
BENCHMARK(in_a_task<await_nested>)->Name("task/nested")->Arg(6);
BENCHMARK(in_a_task<spawn_leaves>)->Name("task/spawn");
BENCHMARK(in_a_task<spawn_in_scope>)->Name("scope/spawn");
BENCHMARK(in_a_task<await_two>)->Name("when_all/2");
BENCHMARK(in_a_task<acquire_free>)->Name("semaphore/free");
BENCHMARK(hand_permit_round)->Name("semaphore/handed")->Arg(64);
BENCHMARK(in_a_task<await_set_event>)->Name("event/set");
BENCHMARK(events_in_turn)->Name("event/ping_pong");
BENCHMARK(send_within_a_loop)->Name("channel")->Arg(0)->Arg(1)->Arg(64);
BENCHMARK(post_to_self)->Name("post");
BENCHMARK(among_timers<schedule_and_cancel>)->Name("timer/cancel")->Arg(0)->Arg(1'000'000);
BENCHMARK(among_timers<schedule_and_fire>)->Name("timer/fire")->Arg(0)->Arg(1'000'000);

}  // namespace

BENCHMARK_MAIN();
