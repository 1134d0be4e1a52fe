// asyncfs-cancellation(7): asking work to end early, from where it is awaited, beside it, or another thread.
#include <sys/socket.h>

#include <array>
#include <asyncfs/asyncfs.hpp>
#include <thread>
#include <variant>

#include "workplace.hpp"

namespace {

using namespace std::chrono_literals;
using bytes = std::array<std::byte, 512>;

// Two ends of a connection; what the tests below receive on is never sent.
struct silence {
  asyncfs::socket ours, theirs;
  silence() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      throw std::runtime_error("socketpair");
    ours = asyncfs::socket(ends[0]);
    theirs = asyncfs::socket(ends[1]);
  }
};

asyncfs::task<bool> receive_within(const asyncfs::socket& peer,
                                   std::chrono::milliseconds limit) {
  bytes buffer;
  try {
    co_await asyncfs::with_timeout(peer.receive(buffer), limit);
    co_return true;
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::timed_out) throw;
  }
  co_return false;
}

asyncfs::task<std::size_t> whichever_is_first(
    const asyncfs::socket& one, const asyncfs::socket& other) {
  bytes from_one, from_other;  // outlive both: race awaits the loser too
  const auto first = co_await asyncfs::race(one.receive(from_one),
                                            other.receive(from_other));
  co_return first.index();
}

asyncfs::task<std::string_view> receive(const asyncfs::socket& peer) {
  bytes buffer;
  const auto n = co_await asyncfs::as_result(peer.receive(buffer));
  if (n) co_return "received";  // also when it won against a cancel
  if (asyncfs::is_cancelled(n.error())) co_return "cancelled";
  co_return "failed";
}

asyncfs::task<std::string_view> receive_in(asyncfs::cancel_scope& scope,
                                           const asyncfs::socket& peer) {
  co_return co_await receive(peer).in(scope);
}

asyncfs::task<void> cancel_soon(asyncfs::cancel_scope& scope) {
  co_await asyncfs::sleep_for(1ms);
  scope.cancel();
}

asyncfs::task<std::string_view> receive_in_a_scope(
    const asyncfs::socket& peer) {
  const asyncfs::task_context at = co_await asyncfs::this_task;
  asyncfs::cancel_scope mine(&at.scope);  // cancelled with its parent
  const auto [end, nothing] =
      co_await asyncfs::when_all(receive_in(mine, peer), cancel_soon(mine));
  co_return end;
}

asyncfs::task<void> receive_for_ever(const asyncfs::socket& peer) {
  bytes buffer;
  for (;;) co_await peer.receive(buffer);
}

asyncfs::task<void> begin_and_cancel(const asyncfs::socket& peer) {
  asyncfs::scope both(co_await asyncfs::this_task);
  both.spawn(receive_for_ever(peer));
  both.spawn(receive_for_ever(peer));
  co_await asyncfs::sleep_for(1ms);
  both.cancel();         // asks
  co_await both.join();  // waits: both have ended, neither is an error
}

std::string_view stop_from_another_thread(const asyncfs::socket& peer) {
  asyncfs::loop home;  // before the thread, so that it outlives that
  std::stop_source source;
  std::jthread other([&source] { source.request_stop(); });
  return asyncfs::run(
      home, asyncfs::with_stop_token(source.get_token(), receive(peer)));
}

asyncfs::task<void> drop_a_future(const asyncfs::socket& peer) {
  const asyncfs::task_context at = co_await asyncfs::this_task;
  {
    auto waiting = asyncfs::spawn(at.home, receive_for_ever(peer));
    co_await asyncfs::yield();
  }  // dropped: it was asked to cancel, and `peer` must outlive its end
  co_await asyncfs::sleep_for(1ms);
}

asyncfs::task<void> say_goodbye(const asyncfs::socket& peer) {
  const std::array<std::byte, 1> bye{};
  co_await asyncfs::send_all(peer, bye);
}

asyncfs::task<void> serve(const asyncfs::socket& peer) {
  std::exception_ptr error;
  try {
    co_await receive_for_ever(peer);
  } catch (...) {
    error = std::current_exception();
  }
  asyncfs::cancel_scope unreached;  // no parent: nobody cancels it
  co_await say_goodbye(peer).in(unreached);
  std::rethrow_exception(error);
}

asyncfs::task<bool> serve_and_cancel(const silence& pair) {
  try {
    co_await asyncfs::with_timeout(serve(pair.ours), 1ms);
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::timed_out) throw;
  }
  bytes buffer;
  const std::size_t n = co_await pair.theirs.receive(buffer);
  co_return n == 1;
}

void samples() {
  const silence pair, other;
  manual::expect(!asyncfs::run(receive_within(pair.ours, 1ms)),
                 "with_timeout ends it");
  manual::expect(asyncfs::run(receive_in_a_scope(pair.ours)) == "cancelled",
                 "a scope cancels");
  asyncfs::run(begin_and_cancel(pair.ours));
  manual::expect(stop_from_another_thread(pair.ours) == "cancelled",
                 "a stop token cancels");
  asyncfs::run(drop_a_future(pair.ours));
  manual::expect(asyncfs::run(serve_and_cancel(pair)),
                 "what is unreached is finished");
  const auto speak =
      [](const asyncfs::socket& from, const asyncfs::socket& one,
         const asyncfs::socket& two) -> asyncfs::task<std::size_t> {
    co_await say_goodbye(from);
    co_return co_await whichever_is_first(one, two);
  };
  manual::expect(
      asyncfs::run(speak(other.theirs, pair.ours, other.ours)) == 1,
      "the first to end wins");
}

}  // namespace

int main() { return manual::run_samples(samples); }
