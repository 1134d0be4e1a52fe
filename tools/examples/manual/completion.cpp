// asyncfs-completion(7): the same job with callbacks, futures and coroutines.
#include <array>
#include <asyncfs/asyncfs.hpp>
#include <functional>
#include <memory>
#include <thread>

#include "workplace.hpp"

namespace {

// ---- callbacks ----------------------------------------------------------

namespace with_callbacks {

// Handed from step to step: whoever has it owns the file and the buffer.
struct job {
  asyncfs::file file;
  std::array<std::byte, 4096> bytes{};
};
using handler = std::function<void(asyncfs::result<std::size_t>)>;

void read_start(const char* path, handler done) {
  asyncfs::start(
      asyncfs::open(path), [done](asyncfs::result<asyncfs::file> file) {
        if (!file) return done(asyncfs::failure(file.error()));
        auto one = std::make_unique<job>(*std::move(file));
        auto reading = one->file.read_at(one->bytes, 0);
        asyncfs::start(std::move(reading),
                       [done, one = std::move(one)](auto n) { done(n); });
      });
}

}  // namespace with_callbacks

// ---- futures ------------------------------------------------------------

namespace with_futures {

struct job {
  asyncfs::file file;
  std::array<std::byte, 4096> bytes{};
};

asyncfs::future<std::size_t> read_start(asyncfs::loop& home,
                                        const char* path) {
  auto one = std::make_shared<job>();
  return asyncfs::spawn(home, asyncfs::open(path))
      .then([one](asyncfs::file file) {
        one->file = std::move(file);
        return asyncfs::as_task(one->file.read_at(one->bytes, 0));
      })
      .on_error([](const std::exception_ptr&) { return std::size_t{0}; });
}

}  // namespace with_futures

// ---- coroutines ---------------------------------------------------------

namespace with_coroutines {

asyncfs::task<std::size_t> read_start(const char* path) {
  std::array<std::byte, 4096> bytes;
  const asyncfs::file file = co_await asyncfs::open(path);
  co_return co_await file.read_at(bytes, 0);
}

asyncfs::task<std::size_t> read_start_or_nothing(const char* path) {
  std::array<std::byte, 4096> bytes;
  const auto file = co_await asyncfs::as_result(asyncfs::open(path));
  if (!file) co_return 0;  // file.error() says why
  const auto n = co_await asyncfs::as_result(file->read_at(bytes, 0));
  co_return n.value_or(0);
}

asyncfs::task<std::string> text_of(std::string path) {
  try {
    co_return co_await asyncfs::read_file(path.c_str());
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::no_such_file_or_directory) throw;
  }
  co_return "";
}

}  // namespace with_coroutines

// ---- from one style to another ------------------------------------------

asyncfs::task<bool> all_styles(const char* path) {
  const asyncfs::task_context at = co_await asyncfs::this_task;

  // A future is awaited like a task.
  const std::size_t n = co_await with_futures::read_start(at.home, path);

  // A callback sets an event, and the task waits for that.
  asyncfs::event called;
  std::size_t m = 0;
  with_callbacks::read_start(path, [&](asyncfs::result<std::size_t> r) {
    m = r.value_or(0);
    called.set();
  });
  co_await called.wait();

  co_return n > 0 && m == n;
}

std::size_t wait_on_another_thread(const char* path) {
  asyncfs::loop home;
  std::size_t n = 0;
  bool over = false;
  std::jthread other([&] {
    auto reading = asyncfs::spawn(home, with_coroutines::read_start(path));
    n = reading.get();  // waits here, not on the loop's thread
    home.post([&over] { over = true; });
  });
  home.run_until([&over] { return over; });
  home.drain();
  return n;
}

void refuse_to_wait_for_itself() {
  const auto ask = []() -> asyncfs::task<bool> {
    const asyncfs::task_context at = co_await asyncfs::this_task;
    auto sleeping = asyncfs::spawn(at.home, asyncfs::nop());
    try {
      sleeping.get();
    } catch (const std::logic_error&) {
      co_return true;
    }
    co_return false;
  };
  manual::expect(asyncfs::run(ask()),
                 "get on the loop's own thread throws");
}

void samples() {
  manual::expect(asyncfs::run(all_styles("one.txt")),
                 "all styles read the same");
  manual::expect(wait_on_another_thread("one.txt") > 0,
                 "get gives what was read");
  refuse_to_wait_for_itself();
  const std::size_t n =
      asyncfs::run(with_coroutines::read_start("one.txt"));
  manual::expect(
      asyncfs::run(with_coroutines::read_start_or_nothing("one.txt")) == n,
      "both read the same");
  manual::expect(
      asyncfs::run(with_coroutines::read_start_or_nothing("none")) == 0,
      "no file, no bytes");
  manual::expect(
      asyncfs::run(with_coroutines::text_of("one.txt")).size() == n,
      "a whole file");
  manual::expect(asyncfs::run(with_coroutines::text_of("none")).empty(),
                 "no file, no text");
}

}  // namespace

int main() { return manual::run_samples(samples); }
