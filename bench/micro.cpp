// What one operation, one task, one timer costs. All on one thread; times are an operation unless the name says a batch.
//
//   nop/raw/N          N NOPs by bare liburing, one io_uring_enter a batch: the floor of the next four
//   nop/awaited/N      N coroutines, each awaiting a NOP again and again: one io_uring_enter a round
//   nop/result/N       the same, awaited with as_result
//   nop/callback/N     N chains of callbacks, each starting the next NOP
//   nop/future/N       N chains of spawn(nop).then(...)
//   switch/direct      one coroutine hands over to another (symmetric transfer)
//   switch/queue       the same through the loop's ready queue
//   task/await         start a leaf task, await its value
//   task/nested/6      the same through six tasks
//   task/spawn         spawn a task as a future, await it
//   post               a function to the own loop
//   timer/N            schedule and cancel a timer while N others are pending, at random times
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

// The first of n workers counts rounds; every worker does one operation a round.
struct rounds {
  State& state;
  asyncfs::loop home{uring_only()};
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

template <auto Worker>
void nop_in_tasks(State& state) {
  rounds r{state};
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
template <auto Work>
void in_a_task(State& state) {
  asyncfs::loop home(uring_only());
  asyncfs::run(home, Work(state));
}

void post_to_self(State& state) {
  asyncfs::loop home(uring_only());
  bool going = true;
  std::function<void()> again = [&] {
    going = state.KeepRunning();
    if (going) home.post([&again] { again(); });
  };
  home.post([&again] { again(); });
  home.run_until([&going] { return !going; });
}

// ---- timers --------------------------------------------------------------------------------------------------------

class timer final : public asyncfs::detail::pending {
 public:
  timer() noexcept : pending(asyncfs::opcode::timeout, false) {}
  void prepare(asyncfs::request&) override {}
  void run() override { finish(); }
};

asyncfs::task<void> schedule_and_cancel(State& state, std::vector<timer>& others) {
  using namespace std::chrono_literals;
  constexpr std::size_t a_round = 64;
  const asyncfs::task_context at = co_await asyncfs::this_task;
  std::minstd_rand random(1);
  const auto soon = [&] { return at.home.now() + 1h + std::chrono::microseconds(random() % 1'000'000'000); };
  for (timer& one : others) at.home.start_timer(one, at.scope, soon());
  std::vector<timer> mine(a_round);
  const allocation_counter count(state);
  while (state.KeepRunningBatch(a_round)) {
    for (timer& one : mine) at.home.start_timer(one, at.scope, soon());
    for (timer& one : mine) at.home.cancel(one);
    co_await through_queue();  // cancelled ones are delivered from the queue too
  }
}
void timer_schedule_cancel(State& state) {
  asyncfs::loop home(uring_only());
  std::vector<timer> others(static_cast<std::size_t>(state.range(0)));
  asyncfs::run(home, schedule_and_cancel(state, others));
}

BENCHMARK(nop_raw)->Name("nop/raw")->Arg(1)->Arg(8)->Arg(64)->Arg(256);
BENCHMARK(nop_in_tasks<awaiting_worker>)->Name("nop/awaited")->Arg(1)->Arg(8)->Arg(64)->Arg(256);
BENCHMARK(nop_in_tasks<result_worker>)->Name("nop/result")->Arg(64);
BENCHMARK(nop_callback)->Name("nop/callback")->Arg(1)->Arg(64)->Arg(256);
BENCHMARK(nop_in_tasks<future_worker>)->Name("nop/future")->Arg(64);
BENCHMARK(switch_direct)->Name("switch/direct");
BENCHMARK(nop_in_tasks<queue_worker>)->Name("switch/queue")->Arg(64);
BENCHMARK(in_a_task<await_leaves>)->Name("task/await");
BENCHMARK(in_a_task<await_nested>)->Name("task/nested")->Arg(6);
BENCHMARK(in_a_task<spawn_leaves>)->Name("task/spawn");
BENCHMARK(post_to_self)->Name("post");
BENCHMARK(timer_schedule_cancel)->Name("timer")->Arg(0)->Arg(1'000'000);

}  // namespace

BENCHMARK_MAIN();
