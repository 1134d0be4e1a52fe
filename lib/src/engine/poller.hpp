// Readiness without a ring: requests on sockets, pipes and the like wait in epoll(7), and are tried again when ready.
//
// Loop thread only. Requests wait in order of arrival, per descriptor and direction; a multishot accept stays until it
// is cancelled; polls wait beside these, each for events of its own, since they take nothing away. A connection to a
// Unix socket whose queue is full has no readiness to wait for: it is tried again every few milliseconds.
//
// Invariants: descriptors are watched one shot at a time. A number that was closed behind our back and given out again
// is told by epoll, which knows open files and not numbers: then those that waited for the old file end as cancelled,
// and nothing of theirs touches the new one (unless the old file lives on under another number and becomes ready before
// anybody waits for the new one: asking each time would cost a system call an event). Every waiting request has room in
// `out` for its completion, so only `start` allocates.
#pragma once

#include <sys/types.h>

#include <memory>
#include <unordered_map>
#include <vector>

#include <asyncfs/detail/list.hpp>
#include <asyncfs/engine.hpp>

#include "engine/completion_queue.hpp"
#include "engine/user_data_index.hpp"

namespace asyncfs::detail {

class poller {
 public:
  // `bell_fd` becomes readable when another thread rings; it only ends a wait. Completions go to `out`.
  poller(int bell_fd, completion_queue& out);
  poller(const poller&) = delete;
  poller& operator=(const poller&) = delete;
  ~poller();

  // Tries the request now, and waits for readiness if it must. Throws std::bad_alloc, and then nothing was started.
  // False: there is nothing to wait on (a regular file); nothing was done.
  [[nodiscard]] bool start(const request& work);
  // False: no such request waits here.
  bool cancel(std::uint64_t user_data) noexcept;
  // The descriptor is about to be closed: what waits for it ends as cancelled.
  void forget(int fd) noexcept;
  // Sleeps up to timeout_ms (-1: for ever, 0: not at all), then tries what became ready. True: the bell rang.
  bool poll(int timeout_ms) noexcept;

 private:
  struct waiter : list_hook {
    request work;
    waiter* next_alike = nullptr;
    waiter* next_free = nullptr;
    ino_t socket = 0;  // of one in retrying_: which socket its descriptor was
  };
  using waiters = list<waiter, list_hook>;
  struct watched {
    waiters input, output, polls;
    std::uint32_t registration = 0;  // tells events of this open file from those of an earlier one
  };

  enum class outcome : std::uint8_t { done, wait, try_later };
  static waiters& line_of(const request& work, watched& state) noexcept;
  outcome run(request& work) noexcept;
  void try_all(waiters& waiting) noexcept;
  void try_each(waiters& waiting) noexcept;
  void try_connections() noexcept;
  bool wait_in_line(waiter& one, watched& state) noexcept;
  int watch(int fd, watched& state) noexcept;
  void end(waiter& one, std::int32_t value) noexcept;
  void end_all(watched& state, std::int32_t value, const waiter* but = nullptr) noexcept;
  void free(waiter& one) noexcept;

  completion_queue& out_;
  int epoll_;
  std::uint32_t registrations_ = 0;
  std::unordered_map<int, watched> descriptors_;
  std::vector<std::unique_ptr<waiter>> waiters_;  // all there are
  waiter* free_ = nullptr;
  user_data_index<waiter> waiting_;
  waiters retrying_;  // connections to Unix sockets
};

}  // namespace asyncfs::detail
