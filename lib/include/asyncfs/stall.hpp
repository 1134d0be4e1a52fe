// Says who blocked a loop.
//
//   asyncfs::stall_reporter watch(home, 20ms);      // one line on standard error for every stall
//
//   asyncfs: the loop was blocked for 52 ms, computing: what goes on from main.cpp:31 (after 'read') ran without
//   awaiting anything; move it to offload(), or co_await yield() now and then
//
// A thread of its own looks at the loop a few times per threshold; the loop pays nothing for being watched. What ends
// within a fifth more than the threshold may go unseen. `site` is the line that the code went on from: the await, spawn,
// start, post or then that ran last. The loop must outlive the reporter.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>

#include <asyncfs/loop.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

struct stall {
  std::chrono::nanoseconds duration{};  // seen; the real one may be longer by a fifth of the threshold
  // What the thread did meanwhile, at most looks: ran or was ready to run, however little a busy machine let it; or
  // waited (in a system call, for a lock, for a page). Where there is no /proc, every stall counts as computing.
  enum class kind : std::uint8_t { computing, waiting } doing = kind::computing;
  std::source_location site;
  std::string_view operation;  // whose completion came before; empty for none
  bool over = true;            // false: it lasts still; said once, after ten times the threshold
};

// For people; a sentence without an end of line.
[[nodiscard]] std::string describe(const stall& what);

class stall_reporter {
 public:
  using handler = std::function<void(const stall&)>;

  // Begins to watch, from any thread. `report` runs on the reporter's thread, and must not throw; the default writes to
  // standard error. Throws std::system_error when no thread can be started.
  stall_reporter(const loop& watched, std::chrono::nanoseconds threshold, handler report = {});
  stall_reporter(const stall_reporter&) = delete;
  stall_reporter& operator=(const stall_reporter&) = delete;
  ~stall_reporter();

 private:
  class watcher;
  std::unique_ptr<watcher> watcher_;
};

}  // namespace asyncfs
