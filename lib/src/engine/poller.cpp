#include "engine/poller.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "engine/kernel.hpp"
#include "engine/perform.hpp"

namespace asyncfs::detail {

namespace {

constexpr std::size_t events_a_poll = 256;
constexpr int accepts_a_turn = 64;  // a flood of connections must not keep others waiting

bool is_multishot(const request& work) noexcept {
  return work.code == opcode::accept && (work.priority & kernel::accept_multishot) != 0;
}

// accept and connect have no flag for "do not wait"; only the descriptor's mode says it.
void set_nonblocking(int fd, bool on) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  const int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  if (flags >= 0 && flags != wanted) ::fcntl(fd, F_SETFL, wanted);
}

}  // namespace

poller::poller(int bell_fd) : epoll_(::epoll_create1(EPOLL_CLOEXEC)), bell_fd_(bell_fd) {
  if (epoll_ < 0) throw std::system_error(errno, std::system_category(), "epoll_create1");
  epoll_event event{.events = EPOLLIN, .data = {.fd = bell_fd}};
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, bell_fd, &event) != 0) {
    const int error = errno;
    ::close(epoll_);
    throw std::system_error(error, std::system_category(), "epoll_ctl");
  }
}

poller::~poller() { ::close(epoll_); }

poller::outcome poller::run(request& work, std::vector<completion>& out) {
  for (int i = 0;; ++i) {
    const std::int32_t value = attempt(work);
    if (work.code == opcode::connect && (value == -EINPROGRESS || value == -EAGAIN)) {
      work.extra = value == -EINPROGRESS ? 1 : 0;  // under way: the next attempt asks for its outcome
      return value == -EINPROGRESS ? outcome::wait : outcome::no_readiness;
    }
    if (value == -EAGAIN) return outcome::wait;
    if (!is_multishot(work) || value < 0) {
      out.push_back({.user_data = work.user_data, .value = value, .flags = 0});
      return outcome::done;
    }
    out.push_back({.user_data = work.user_data, .value = value, .flags = completion::more});
    if (i == accepts_a_turn) return outcome::wait;
  }
}

poller::waiters& poller::line_of(const request& work, watched& state) noexcept {
  if (work.code == opcode::poll_add) return state.polls;
  return describe(work.code).waits_for == readiness::output ? state.output : state.input;
}

bool poller::start(const request& work, std::vector<completion>& out) {
  request trial = work;
  if (trial.code == opcode::accept || trial.code == opcode::connect) set_nonblocking(trial.fd, true);
  auto& slot = descriptors_[trial.fd];
  if (!slot) slot = std::make_unique<watched>();
  waiters& queue = line_of(trial, *slot);
  // Order of arrival is kept: nobody overtakes a request that already waits for the same thing.
  if (queue.empty() || trial.code == opcode::poll_add) {
    const outcome now = run(trial, out);
    if (now == outcome::done) return true;
    if (now == outcome::no_readiness) {
      set_nonblocking(trial.fd, false);
      return false;
    }
  }
  auto owned = std::make_unique<waiter>();
  owned->work = trial;
  queue.push_back(*owned);
  const int error = watch(trial.fd, *slot);
  if (error == 0) {
    by_user_data_[trial.user_data] = std::move(owned);
    return true;
  }
  owned->unlink();
  if (error == EPERM) return false;
  out.push_back({.user_data = work.user_data, .value = -error, .flags = 0});
  return true;
}

int poller::watch(int fd, watched& state) {
  std::uint32_t interest = EPOLLONESHOT;
  if (!state.input.empty()) interest |= EPOLLIN | EPOLLRDHUP;
  if (!state.output.empty()) interest |= EPOLLOUT;
  state.polls.for_each([&](const waiter& one) { interest |= one.work.options | EPOLLRDHUP; });
  epoll_event event{.events = interest, .data = {.fd = fd}};
  if (::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0) return 0;
  if (errno != ENOENT) return errno;
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

void poller::drop(waiter& one) {
  one.unlink();
  by_user_data_.erase(one.work.user_data);
}

bool poller::cancel(std::uint64_t user_data, std::vector<completion>& out) {
  const auto found = by_user_data_.find(user_data);
  if (found == by_user_data_.end()) return false;
  out.push_back({.user_data = user_data, .value = -ECANCELED, .flags = 0});
  drop(*found->second);
  return true;
}

void poller::forget(int fd, std::vector<completion>& out) {
  const auto found = descriptors_.find(fd);
  if (found == descriptors_.end()) return;
  for (waiters* queue : {&found->second->input, &found->second->output, &found->second->polls})
    while (waiter* one = queue->front()) {
      out.push_back({.user_data = one->work.user_data, .value = -ECANCELED, .flags = 0});
      drop(*one);
    }
  descriptors_.erase(found);
}

void poller::try_all(waiters& waiting, std::vector<completion>& out) {
  while (waiter* first = waiting.front()) {
    if (run(first->work, out) != outcome::done) return;
    drop(*first);
  }
}

void poller::try_each(waiters& waiting, std::vector<completion>& out) {
  waiting.for_each([&](waiter& one) {
    if (run(one.work, out) == outcome::done) drop(one);
  });
}

bool poller::poll(int timeout_ms, std::vector<completion>& out) {
  std::array<epoll_event, events_a_poll> events;
  const int count = ::epoll_wait(epoll_, events.data(), events.size(), timeout_ms);
  bool rang = false;
  for (int i = 0; i < count; ++i) {
    const int fd = events[static_cast<std::size_t>(i)].data.fd;
    if (fd == bell_fd_) {
      rang = true;
      continue;
    }
    const auto found = descriptors_.find(fd);
    if (found == descriptors_.end()) continue;
    watched& state = *found->second;
    try_all(state.input, out);
    try_all(state.output, out);
    try_each(state.polls, out);
    if (!state.input.empty() || !state.output.empty() || !state.polls.empty()) watch(fd, state);
  }
  return rang;
}

}  // namespace asyncfs::detail
