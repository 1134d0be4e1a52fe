// asyncfs-from-nodejs(7): what a Node.js program does, done here.
#include <array>
#include <asyncfs/asyncfs.hpp>
#include <csignal>
#include <thread>
#include <variant>

#include "workplace.hpp"

namespace {

using namespace std::chrono_literals;

// ---- functions that wait ------------------------------------------------

// fs.readFile(path, (error, text) => ...)
void with_a_callback(const asyncfs::file& file, std::span<std::byte> into,
                     bool& done) {
  asyncfs::start(file.read_at(into, 0),
                 [&done](asyncfs::result<std::size_t> n) {
                   if (n)
                     std::printf("%zu bytes\n", *n);
                   else
                     std::puts(n.error().message().c_str());
                   done = true;
                 });
}

// readFile(path).then(text => text.length).catch(() => 0)
asyncfs::future<std::size_t> with_a_promise(asyncfs::loop& loop,
                                            const char* path) {
  return asyncfs::spawn(loop, asyncfs::read_file(path))
      .then([](const std::string& text) { return text.size(); })
      .on_error([](const std::exception_ptr&) { return std::size_t{0}; })
      .finally([] { std::puts("settled"); });
}

// async function length(path) { ... await readFile(path) ... }
asyncfs::task<std::size_t> with_await(std::string path) {
  const std::string text = co_await asyncfs::read_file(path.c_str());
  co_return text.size();
}

// ---- promises together --------------------------------------------------

asyncfs::task<bool> together() {
  // await Promise.all([a(), b()])
  const auto [a, b] = co_await asyncfs::when_all(with_await("one.txt"),
                                                 with_await("two.txt"));
  // await Promise.allSettled([a(), b()])
  const auto [c, d] = co_await asyncfs::when_all_settled(
      with_await("one.txt"), with_await("none"));
  // await Promise.any([a(), b()])
  const auto e =
      co_await asyncfs::when_any(with_await("none"), with_await("one.txt"));
  // await Promise.race([a(), b()])
  const auto f =
      co_await asyncfs::race(with_await("one.txt"), asyncfs::sleep_for(1h));
  co_return a > 0 && b > 0 && c && !d && e.index() == 1 && f.index() == 0;
}

// The same of futures, without a coroutine.
asyncfs::future<std::size_t> both(asyncfs::loop& loop) {
  return asyncfs::all(asyncfs::spawn(loop, with_await("one.txt")),
                      asyncfs::spawn(loop, with_await("two.txt")))
      .then([](std::tuple<std::size_t, std::size_t> sizes) {
        return std::get<0>(sizes) + std::get<1>(sizes);
      });
}

// ---- AbortController ----------------------------------------------------

asyncfs::task<void> wait_long() { co_await asyncfs::sleep_for(1h); }

asyncfs::task<bool> abort_it() {
  asyncfs::scope controller(co_await asyncfs::this_task);
  controller.spawn(wait_long());  // fetch(url, { signal })
  controller.cancel();            // controller.abort()
  co_await controller.join();
  co_return controller.cancelled();  // signal.aborted
}

// AbortSignal.timeout(5)
asyncfs::task<bool> time_out() {
  try {
    co_await asyncfs::with_timeout(wait_long(), 5ms);
  } catch (const std::system_error& error) {
    co_return error.code() == std::errc::timed_out;
  }
  co_return false;
}

// ---- time and turns -----------------------------------------------------

asyncfs::task<void> timers() {
  // setTimeout(f, 5)
  co_await asyncfs::sleep_for(5ms);
  // setInterval(f, 2)
  asyncfs::interval ticks(2ms);
  for (int i = 0; i < 2; ++i) co_await ticks.next();
  // setImmediate(f), process.nextTick(f), queueMicrotask(f)
  co_await asyncfs::yield();  // goes on behind what is ready
}

// monitorEventLoopDelay()
void print_delay(asyncfs::loop& loop) {
  const asyncfs::loop_metrics m = loop.metrics();
  const std::chrono::duration<double, std::milli> p99 =
      m.lag.percentile(99);
  std::printf("event-loop delay: 99%% below %.3f ms\n", p99.count());
}

// ---- errors that nobody handles -----------------------------------------

// process.on('unhandledRejection', ...)
void on_unhandled(const std::exception_ptr&,
                  const std::source_location& where) noexcept {
  std::printf("unhandled, spawned in %s\n", where.function_name());
}

asyncfs::task<void> reject() {
  asyncfs::set_unhandled_error_handler(on_unhandled);
  const asyncfs::task_context at = co_await asyncfs::this_task;
  auto forgotten = asyncfs::spawn(at.home, with_await("none"));
  while (!forgotten.ready()) co_await asyncfs::yield();
}

// ---- streams ------------------------------------------------------------

// async function* pieces(path) { ... yield ... }
asyncfs::sequence<std::string> pieces(std::string path) {
  const asyncfs::file in = co_await asyncfs::open(path.c_str());
  std::array<std::byte, 8> buffer;
  std::uint64_t at = 0;
  for (;;) {
    const std::size_t n = co_await in.read_at(buffer, at);
    if (n == 0) co_return;
    at += n;
    co_yield std::string(reinterpret_cast<char*>(buffer.data()), n);
  }
}

// for await (const piece of pieces(path)) ...
asyncfs::task<std::size_t> read_pieces() {
  auto all = pieces("one.txt");
  std::size_t bytes = 0;
  while (const auto piece = co_await all.next()) bytes += piece->size();
  co_return bytes;
}

// ---- workers, processes, signals ----------------------------------------

// new Worker(...)
asyncfs::task<int> in_a_worker() {
  co_return co_await asyncfs::offload([] { return 6 * 7; });
}

// cluster: a loop on every thread
void on_all_threads() {
  asyncfs::run_on(2, [](std::size_t) { return reject(); });
}

// child_process.execFile('echo', ['hello'], ...)
asyncfs::task<std::string> child() {
  const auto ended = co_await asyncfs::run_process({"echo", "hello"});
  co_return ended.output;
}

// process.on('SIGINT', ...)
asyncfs::task<int> on_interrupt() {
  asyncfs::signal_watch watch = co_await asyncfs::watch_signals({SIGINT});
  std::raise(SIGINT);  // the user's Ctrl-C
  const auto signal = co_await watch.next();
  co_return signal->number;
}

// ---- fs.promises --------------------------------------------------------

asyncfs::task<bool> files() {
  const asyncfs::directory& here = asyncfs::here();
  co_await asyncfs::write_file("a.txt", "text");     // writeFile
  co_await asyncfs::read_file("a.txt");              // readFile
  co_await here.make_directory("dir", 0777);         // mkdir
  co_await here.rename("a.txt", here, "dir/b.txt");  // rename
  const auto s = co_await here.status("dir/b.txt");  // lstat
  const auto none = co_await asyncfs::as_result(     // access
      here.status_followed("a.txt"));
  co_await here.remove("dir/b.txt");      // unlink
  co_await here.remove_directory("dir");  // rmdir
  co_return s.size == 4 && !none;
}

// ---- net ----------------------------------------------------------------

// socket.on('data', data => socket.write(data))
asyncfs::task<void> connection(asyncfs::socket peer) {
  std::array<std::byte, 4096> buffer;
  while (const std::size_t n = co_await peer.receive(buffer))
    co_await asyncfs::send_all(peer, std::span(buffer).first(n));
}

// net.createServer(connection)
asyncfs::task<void> serve_all(asyncfs::listener& server) {
  asyncfs::scope connections(co_await asyncfs::this_task);
  while (auto peer = co_await server.next())
    connections.spawn(connection(*std::move(peer)));
  co_await connections.join();
}

// net.connect(port); ... server.close()
asyncfs::task<void> client(asyncfs::listener& server) {
  const auto there = server.bound().local().value();
  const asyncfs::socket peer = co_await asyncfs::connect(there);
  std::array<std::byte, 4> message{}, answer{};
  co_await asyncfs::send_all(peer, message);
  co_await asyncfs::receive_all(peer, answer);
  co_await server.stop();
}

asyncfs::task<void> network() {
  const auto address = asyncfs::endpoint::loopback(0);
  const auto server = co_await asyncfs::listen(address);
  co_await asyncfs::when_all(serve_all(*server), client(*server));
}

asyncfs::task<void> styles(asyncfs::loop& loop) {
  const asyncfs::file file = co_await asyncfs::open("one.txt");
  std::array<std::byte, 100> buffer;
  bool done = false;
  with_a_callback(file, buffer, done);
  while (!done) co_await asyncfs::nop();
  const std::size_t n = co_await with_a_promise(loop, "one.txt");
  manual::expect(n == co_await with_await("one.txt"), "all styles agree");
  manual::expect(co_await both(loop) > n, "all of two futures");
}

void samples() {
  asyncfs::loop loop;
  asyncfs::run(loop, styles(loop));
  manual::expect(asyncfs::run(loop, together()),
                 "all, allSettled, any, race");
  manual::expect(asyncfs::run(loop, abort_it()), "aborted");
  manual::expect(asyncfs::run(loop, time_out()), "timed out");
  asyncfs::run(loop, timers());
  print_delay(loop);
  asyncfs::run(loop, reject());
  manual::expect(asyncfs::run(loop, read_pieces()) > 8, "pieces");
  manual::expect(asyncfs::run(loop, in_a_worker()) == 42, "worker");
  on_all_threads();
  manual::expect(asyncfs::run(loop, child()) == "hello\n", "child");
  manual::expect(asyncfs::run(loop, on_interrupt()) == SIGINT, "signal");
  manual::expect(asyncfs::run(loop, files()), "as in Node.js");
  asyncfs::run(loop, network());
}

}  // namespace

int main() { return manual::run_samples(samples); }
