// Readiness without a ring: requests on sockets, pipes and the like wait in epoll(7), and are tried again when ready.
//
// Loop thread only. A request waits at most once per direction and descriptor in order of arrival; a poll waits beside
// these for events of its own, since it takes nothing away; a multishot accept stays until it is cancelled. Descriptors are watched one shot at a time, so a number that was closed and given out
// again is simply watched anew.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include <asyncfs/detail/list.hpp>
#include <asyncfs/engine.hpp>

namespace asyncfs::detail {

class poller {
 public:
  // `bell_fd` becomes readable when another thread rings; it only ends a wait.
  explicit poller(int bell_fd);
  poller(const poller&) = delete;
  poller& operator=(const poller&) = delete;
  ~poller();

  // Tries the request now, and waits for readiness if it must. Completions go to `out`.
  // False: there is nothing to wait on (a regular file; a Unix socket whose peer's queue is full); nothing was done.
  [[nodiscard]] bool start(const request& work, std::vector<completion>& out);
  // False: no such request waits here.
  bool cancel(std::uint64_t user_data, std::vector<completion>& out);
  // The descriptor is about to be closed: what waits for it ends as cancelled.
  void forget(int fd, std::vector<completion>& out);
  // Sleeps up to timeout_ms (-1: for ever, 0: not at all), then tries what became ready. True: the bell rang.
  bool poll(int timeout_ms, std::vector<completion>& out);

 private:
  struct waiter : list_hook {
    request work;
  };
  using waiters = list<waiter, list_hook>;
  struct watched {
    waiters input, output, polls;
  };

  enum class outcome : std::uint8_t { done, wait, no_readiness };
  outcome run(request& work, std::vector<completion>& out);
  waiters& line_of(const request& work, watched& state) noexcept;
  void try_all(waiters& waiting, std::vector<completion>& out);
  void try_each(waiters& waiting, std::vector<completion>& out);
  int watch(int fd, watched& state);
  void drop(waiter& one);

  int epoll_;
  int bell_fd_;
  std::unordered_map<int, std::unique_ptr<watched>> descriptors_;
  std::unordered_map<std::uint64_t, std::unique_ptr<waiter>> by_user_data_;
};

}  // namespace asyncfs::detail
