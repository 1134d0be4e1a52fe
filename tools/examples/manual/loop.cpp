// asyncfs-loop(7): loops that run, that are told things by other threads, and that tell what they do.
#include <asyncfs/asyncfs.hpp>
#include <atomic>
#include <cinttypes>
#include <thread>
#include <vector>

#include "workplace.hpp"

namespace {

using namespace std::chrono_literals;

asyncfs::task<std::size_t> work() {
  const std::string text = co_await asyncfs::read_file("one.txt");
  co_return text.size();
}

void run_one_task() {
  // A loop is made for it, runs it to its end, and is drained.
  const std::size_t bytes = asyncfs::run(work());
  manual::expect(bytes > 0, "run gives the task's value");
}

void run_on_many_threads() {
  std::atomic<std::size_t> bytes = 0;
  const auto add =
      [](std::atomic<std::size_t>& sum) -> asyncfs::task<void> {
    sum += co_await work();
  };
  asyncfs::run_on(std::thread::hardware_concurrency(),
                  [&](std::size_t) { return add(bytes); });
  manual::expect(bytes > 0, "every thread ran one");
}

void run_until_told() {
  asyncfs::loop home;
  bool stopping = false;
  std::jthread other([&home, &stopping] {
    home.post([] { std::puts("said on the loop's thread"); });
    home.post([&stopping] { stopping = true; });
  });
  home.run_until([&stopping] { return stopping; });
  home.drain();  // whatever was left is cancelled, and has ended
}

void bound_what_is_in_flight() {
  asyncfs::loop_options options;
  options.in_flight_limit = 64;     // operations in the engine
  options.completions_a_turn = 32;  // taken in before user code runs
  asyncfs::loop home(options);
  asyncfs::run(home, work());
}

void look_at_metrics() {
  asyncfs::loop home;
  asyncfs::run(home, work());
  const asyncfs::loop_metrics m = home.metrics();
  const auto share = 100.0 * static_cast<double>(m.busy.count()) /
                     static_cast<double>(m.lifetime.count());
  std::printf("%.0f%% busy, %.1f operations a system call\n", share,
              m.operations_a_call());
  std::printf("lag: 99%% below %" PRId64 " ns, at most %" PRId64 " ns\n",
              m.lag.percentile(99).count(), m.lag.max().count());
  std::printf("longest: %" PRId64 " ns, from line %" PRIuLEAST32 "\n",
              m.longest.duration.count(), m.longest.site.line());
  manual::expect(m.turns > 0, "turns are counted");
}

asyncfs::task<void> block_the_loop() {
  co_await asyncfs::nop();
  std::this_thread::sleep_for(100ms);  // a mistake: it keeps all others
}

void say_who_blocks() {
  asyncfs::loop home;
  asyncfs::run(home, work());  // the reporter watches a loop that ran
  std::atomic<int> stalls = 0;
  {
    asyncfs::stall_reporter watch(home, 20ms,
                                  [&stalls](const asyncfs::stall& one) {
                                    std::puts(describe(one).c_str());
                                    ++stalls;
                                  });
    asyncfs::run(home, block_the_loop());
  }
  std::printf("%d stalls\n", stalls.load());
}

class operation_counter final : public asyncfs::loop_observer {
 public:
  explicit operation_counter(std::size_t& into) : into_(into) {}
  void started(const operation&, time_point) noexcept override { ++into_; }

 private:
  std::size_t& into_;
};

void observe_all() {
  std::size_t operations = 0;
  asyncfs::loop_options options;
  options.observer = [&operations] {
    return std::make_unique<operation_counter>(operations);
  };
  asyncfs::run(work(), options);
  manual::expect(operations > 0, "operations are observed");
}

void write_a_timeline() {
  asyncfs::trace_writer trace("run.json");
  asyncfs::run(work(), {.observer = trace.observer()});
  trace.finish();  // throws when something could not be written
  manual::expect(std::filesystem::file_size("run.json") > 0,
                 "a trace is written");
}

void samples() {
  run_one_task();
  run_on_many_threads();
  run_until_told();
  bound_what_is_in_flight();
  look_at_metrics();
  say_who_blocks();
  observe_all();
  write_a_timeline();
}

}  // namespace

int main() { return manual::run_samples(samples); }
