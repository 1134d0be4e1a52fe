// What it costs to reach another thread's loop, beside the same by Asio where that was found. Real time; the column CPU
// is both threads'. Every pair is one template with two libraries, and checks that all that was sent has arrived.
//
//   post/LIBRARY/N         N functions posted at once by a plain thread, then waited for; a function
//   round_trip/LIBRARY     a loop posts to another one, which posts back
//   channel/LIBRARY/N      a value from a coroutine on one loop to one on another, through a channel of capacity N
//
// For figures that hold, and the ratios: bench/compare loops
#include <benchmark/benchmark.h>

#include <asyncfs/asyncfs.hpp>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <future>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>

#if BENCH_HAS_ASIO
#include "peers/asio_across_loops.hpp"
#endif

namespace {

using benchmark::State;
using namespace std::chrono_literals;

constexpr auto longest_wait = 30s;  // for what should arrive at once
constexpr int end_of_values = -1;

// ---- asyncfs: what peers/asio_across_loops.hpp offers for Asio -----------------------------------------------------

asyncfs::loop_options uring_only() {
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::uring;
  return options;
}

struct with_asyncfs {
  // A loop on a thread of its own.
  class loop {
   public:
    ~loop() {
      home_.post([this] { ended_ = true; });
    }
    template <class F>
    void post(F fn) {
      home_.post(std::move(fn));
    }

   private:
    void turn() {
      home_.run_until([this] { return ended_; });
      home_.drain();
    }
    asyncfs::loop home_{uring_only()};
    bool ended_ = false;  // the loop's thread's
    std::jthread thread_{[this] { turn(); }};
  };

  // Values from `next` on this thread to `take` on another one, up to and including `end_of_values`.
  template <class Next, class Take>
  static void send_across(std::size_t capacity, Next next, Take take) {
    asyncfs::channel<int> values(capacity);
    const std::jthread receiver([&] { asyncfs::run(receive(values, take), uring_only()); });
    asyncfs::run(send(values, next), uring_only());
  }

 private:
  template <class Next>
  static asyncfs::task<void> send(asyncfs::channel<int>& into, Next& next) {
    for (int value = 0; value != end_of_values;) {
      value = next();
      co_await into.send(value);
    }
  }
  template <class Take>
  static asyncfs::task<void> receive(asyncfs::channel<int>& from, Take& take) {
    for (int value = 0; value != end_of_values;) {
      value = *co_await from.receive();
      take(value);
    }
  }
};

// ---- the measurements ----------------------------------------------------------------------------------------------

// Written by the consumer's thread, and read by the producer once it was told that a burst is over.
struct arrivals {
  std::uint64_t count = 0, sum = 0;
  std::binary_semaphore burst_over{0};

  void take(std::uint64_t value) noexcept {
    ++count;
    sum += value;
  }
};

constexpr std::uint64_t sum_below(std::uint64_t n) { return n == 0 ? 0 : n * (n - 1) / 2; }

template <class Library>
void post_bursts(State& state) {
  const auto burst = static_cast<std::uint64_t>(state.range(0));
  arrivals arrived;
  typename Library::loop consumer;
  std::uint64_t sent = 0;
  while (state.KeepRunningBatch(static_cast<std::int64_t>(burst))) {
    for (const std::uint64_t last = sent + burst - 1; sent < last; ++sent)
      consumer.post([&arrived, sent] { arrived.take(sent); });
    consumer.post([&arrived, sent] {
      arrived.take(sent);
      arrived.burst_over.release();
    });
    ++sent;
    if (!arrived.burst_over.try_acquire_for(longest_wait)) std::abort();  // the loop may still refer to this frame
    if (arrived.count != sent || arrived.sum != sum_below(sent)) {
      state.SkipWithError("posts were lost or came twice or late");
      break;
    }
  }
}

template <class Loop>
struct rally {
  State& state;
  std::uint64_t served = 0, returned = 0;  // by the thread of `here`, of `there`
  std::promise<void> over{};
  Loop there{}, here{};

  void serve() {
    if (!state.KeepRunning()) return over.set_value();
    ++served;
    there.post([this] { give_back(); });
  }
  void give_back() {
    ++returned;
    here.post([this] { serve(); });
  }
};

template <class Library>
void round_trips(State& state) {
  rally<typename Library::loop> between{state};
  between.here.post([&between] { between.serve(); });
  between.over.get_future().wait();
  if (between.served != between.returned) state.SkipWithError("posts were lost or came twice");
}

template <class Library>
void send_values(State& state) {
  std::uint64_t sent = 0, received = 0, sent_sum = 0, received_sum = 0;
  const auto next = [&] {
    if (!state.KeepRunning()) return end_of_values;
    const int value = static_cast<int>(sent++ & 0xffff);
    sent_sum += static_cast<std::uint64_t>(value);
    return value;
  };
  const auto take = [&](int value) {
    if (value == end_of_values) return;
    ++received;
    received_sum += static_cast<std::uint64_t>(value);
  };
  Library::send_across(static_cast<std::size_t>(state.range(0)), next, take);
  if (sent != received || sent_sum != received_sum) state.SkipWithError("values were lost or came twice");
}

template <class Library>
void register_pair(const std::string& library) {
  const auto across = [&library](const std::string& what, auto measure) {
    return benchmark::RegisterBenchmark((what + "/" + library).c_str(), measure)
        ->UseRealTime()
        ->MeasureProcessCPUTime();
  };
  across("post", post_bursts<Library>)->Arg(1)->Arg(64)->Arg(1024);
  across("round_trip", round_trips<Library>);
  across("channel", send_values<Library>)->Arg(1)->Arg(64)->Arg(1024);
}

}  // namespace

int main(int argc, char** argv) {
  register_pair<with_asyncfs>("asyncfs");
#if BENCH_HAS_ASIO
  register_pair<with_asio>("asio");
#endif
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
