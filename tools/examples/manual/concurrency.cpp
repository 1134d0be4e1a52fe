// asyncfs-concurrency(7): several things at once on one loop.
#include <array>
#include <asyncfs/asyncfs.hpp>
#include <csignal>
#include <numeric>
#include <variant>
#include <vector>

#include "workplace.hpp"

namespace {

using namespace std::chrono_literals;

const std::vector<std::string> names{"one.txt", "two.txt", "three.txt"};

// ---- all, each, the first -----------------------------------------------

asyncfs::task<bool> several() {
  // All values, or the first exception.
  const auto [one, two] = co_await asyncfs::when_all(
      asyncfs::read_file("one.txt"), asyncfs::read_file("two.txt"));

  // How each ended; nothing is thrown.
  const auto [good, bad] = co_await asyncfs::when_all_settled(
      asyncfs::open("one.txt"), asyncfs::open("none.txt"));

  // The first that succeeds.
  const auto found = co_await asyncfs::when_any(
      asyncfs::read_file("none.txt"), asyncfs::read_file("three.txt"));

  // The first that ends, however it ends.
  const auto first = co_await asyncfs::race(asyncfs::sleep_for(1ms),
                                            asyncfs::sleep_for(1h));

  const bool as_said = !one.empty() && !two.empty() && good && !bad;
  co_return as_said&& found.index() == 1 && first.index() == 0;
}

asyncfs::task<std::size_t> sizes_of(std::vector<std::string> paths) {
  std::vector<asyncfs::task<std::string>> reads;
  for (const std::string& path : paths)
    reads.push_back(asyncfs::read_file(path.c_str()));
  const auto texts = co_await asyncfs::when_all(std::move(reads));
  std::size_t sum = 0;
  for (const std::string& text : texts) sum += text.size();
  co_return sum;
}

// ---- scopes, and errors in one place ------------------------------------

asyncfs::task<void> one_job(int number) {
  co_await asyncfs::yield();
  if (number == 3) throw std::runtime_error("number 3 went wrong");
}

asyncfs::task<void> spawn_five(asyncfs::scope& jobs) {
  for (int i = 0; i < 5; ++i) jobs.spawn(one_job(i));
  co_return;
}

asyncfs::task<void> all_or_error() {
  co_await asyncfs::in_scope(spawn_five);  // throws what number 3 throws
}

asyncfs::task<int> errors_in_one_place() {
  int failed = 0;
  const auto report = [&failed](std::exception_ptr error) {
    ++failed;
    try {
      std::rethrow_exception(std::move(error));
    } catch (const std::exception& what) {
      std::printf("one job failed: %s\n", what.what());
    }
  };
  co_await asyncfs::in_scope(spawn_five, report);  // the others go on
  co_return failed;
}

void log_unhandled(const std::exception_ptr&,
                   const std::source_location& spawned) noexcept {
  std::printf("nobody took the error of what line %u spawned\n",
              static_cast<unsigned>(spawned.line()));
}

asyncfs::task<void> leave_an_error() {
  asyncfs::set_unhandled_error_handler(log_unhandled);
  const asyncfs::task_context at = co_await asyncfs::this_task;
  auto lost = asyncfs::spawn(at.home, one_job(3));
  while (!lost.ready()) co_await asyncfs::yield();
}  // dropped here, with its error

// ---- a bounded number at a time -----------------------------------------

asyncfs::task<void> touch(const std::string& path) {
  static_cast<void>(co_await asyncfs::read_file(path.c_str()));
}

asyncfs::task<void> at_most_two() {
  co_await asyncfs::for_each_concurrent(names, 2, touch);
}

asyncfs::task<std::string> fetch(asyncfs::semaphore& room,
                                 const char* path) {
  const auto permit = co_await room.acquire();
  co_return co_await asyncfs::read_file(path);
}

asyncfs::task<void> share_permits() {
  asyncfs::semaphore room(1);
  co_await asyncfs::when_all(fetch(room, "one.txt"),
                             fetch(room, "two.txt"));
}

// ---- between tasks ------------------------------------------------------

asyncfs::task<void> produce(asyncfs::channel<int>& numbers) {
  for (int i = 1; i <= 4; ++i) co_await numbers.send(i);  // waits if full
  numbers.close();
}

asyncfs::task<int> consume(asyncfs::channel<int>& numbers) {
  int sum = 0;
  while (const auto n = co_await numbers.receive()) sum += *n;
  co_return sum;
}

asyncfs::task<int> pass_numbers() {
  asyncfs::channel<int> numbers(2);
  const auto [nothing, sum] =
      co_await asyncfs::when_all(produce(numbers), consume(numbers));
  co_return sum;
}

asyncfs::task<void> open_the_gate(asyncfs::event& gate) {
  co_await asyncfs::sleep_for(1ms);
  gate.set();
}

asyncfs::task<void> pass_the_gate(asyncfs::event& gate) {
  co_await gate.wait();
}

asyncfs::task<void> wait_at_a_gate() {
  asyncfs::event gate;
  co_await asyncfs::when_all(pass_the_gate(gate), pass_the_gate(gate),
                             open_the_gate(gate));
}

// ---- many values --------------------------------------------------------

asyncfs::sequence<std::string> texts_of(std::vector<std::string> paths) {
  for (const std::string& path : paths)
    co_yield co_await asyncfs::read_file(path.c_str());
}

asyncfs::task<std::size_t> use_sequence() {
  auto texts = texts_of(names);
  std::size_t sum = 0;
  while (const auto text = co_await texts.next()) sum += text->size();
  co_return sum;
}

asyncfs::task<void> use_text(std::string text) {
  co_await asyncfs::sleep_for(1ms);
  std::printf("%zu bytes\n", text.size());
}

asyncfs::task<void> use_two_at_a_time() {
  auto texts = texts_of(names);
  co_await asyncfs::for_each_concurrent(texts, 2, use_text);
}

asyncfs::task<void> tick() {
  asyncfs::interval ticks(2ms);
  for (int i = 0; i < 3; ++i) {
    const auto passed = co_await ticks.next();
    if (*passed > 1) std::puts("a tick was missed");
  }
}

// ---- sockets ------------------------------------------------------------

asyncfs::task<void> echo(asyncfs::socket peer) {
  std::array<std::byte, 4096> buffer;
  while (const std::size_t n = co_await peer.receive(buffer))
    co_await asyncfs::send_all(peer, std::span(buffer).first(n));
}

asyncfs::task<void> serve(asyncfs::listener& incoming) {
  co_await asyncfs::for_each_concurrent(incoming, 1000, echo);
}

asyncfs::task<void> ask(asyncfs::listener& incoming) {
  const asyncfs::endpoint there = incoming.bound().local().value();
  const asyncfs::socket server = co_await asyncfs::connect(there);
  std::array<std::byte, 5> text{}, answer{};
  co_await asyncfs::send_all(server, text);
  co_await asyncfs::receive_all(server, answer);
  co_await incoming.stop();  // `next` gives nothing from now on
}

asyncfs::task<void> talk() {
  const auto incoming =
      co_await asyncfs::listen(asyncfs::endpoint::loopback(0));
  co_await asyncfs::when_all(serve(*incoming), ask(*incoming));
}

// ---- computing ----------------------------------------------------------

asyncfs::task<int> compute() {
  std::vector<int> numbers(1000, 1);
  const auto sum = [&numbers] {
    return std::accumulate(numbers.begin(), numbers.end(), 0);
  };
  co_return co_await asyncfs::offload(sum);  // on a computing thread
}

asyncfs::task<int> compute_here() {
  int sum = 0;
  for (int i = 0; i < 1000; ++i) {
    sum += 1;
    if (i % 100 == 99) co_await asyncfs::yield();  // others first
  }
  co_return sum;
}

// ---- processes, pipes, signals ------------------------------------------

asyncfs::task<std::string> run_sort() {
  const asyncfs::process_outcome sorted =
      co_await asyncfs::run_process({"sort", "-n"}, "10\n9\n");
  if (!sorted.status.success())
    throw std::runtime_error("sort: " + sorted.status.to_string());
  co_return sorted.output;
}

asyncfs::task<std::string> talk_to_cat() {
  asyncfs::process_options options{"cat"};
  options.input = options.output = asyncfs::child_stream::pipe();
  asyncfs::process cat =
      co_await asyncfs::spawn_process(std::move(options));
  const std::string hello = "hello";
  co_await asyncfs::write_all(cat.input, std::as_bytes(std::span(hello)));
  co_await cat.input.close();  // cat sees its end
  const std::string answer = co_await asyncfs::read_to_end(cat.output);
  co_await cat.wait();
  co_return answer;
}

asyncfs::task<int> wait_for_user1() {
  asyncfs::signal_watch watch = co_await asyncfs::watch_signals({SIGUSR1});
  std::raise(SIGUSR1);  // as another process would with kill(2)
  const auto signal = co_await watch.next();
  co_return signal->number;
}

void samples() {
  manual::expect(asyncfs::run(several()), "all, each, the first");
  const std::size_t all = asyncfs::run(sizes_of(names));
  bool thrown = false;
  try {
    asyncfs::run(all_or_error());
  } catch (const std::runtime_error&) {
    thrown = true;
  }
  manual::expect(thrown, "a scope throws the first error");
  manual::expect(asyncfs::run(errors_in_one_place()) == 1,
                 "one error, handled");
  asyncfs::run(leave_an_error());
  asyncfs::run(at_most_two());
  asyncfs::run(share_permits());
  manual::expect(asyncfs::run(pass_numbers()) == 10, "all numbers passed");
  asyncfs::run(wait_at_a_gate());
  manual::expect(asyncfs::run(use_sequence()) == all,
                 "the sequence gives all");
  asyncfs::run(use_two_at_a_time());
  asyncfs::run(tick());
  asyncfs::run(talk());
  manual::expect(asyncfs::run(compute()) == 1000, "computed elsewhere");
  manual::expect(asyncfs::run(compute_here()) == 1000, "computed here");
  manual::expect(asyncfs::run(run_sort()) == "9\n10\n", "sorted");
  manual::expect(asyncfs::run(talk_to_cat()) == "hello", "cat answers");
  manual::expect(asyncfs::run(wait_for_user1()) == SIGUSR1,
                 "the signal came");
}

}  // namespace

int main() { return manual::run_samples(samples); }
