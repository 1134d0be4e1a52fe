#include "engine/poller.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "engine/kernel.hpp"
#include "engine/perform.hpp"

namespace asyncfs::detail {

namespace {

constexpr std::size_t events_a_poll = 256;
constexpr std::uint32_t poll_events = 0xffff;  // of epoll's bits those that are poll's too
constexpr int accepts_a_turn = 64;             // a flood of connections must not keep others waiting
constexpr int retry_after_ms =
    4;  // a full queue of a Unix socket: long enough to cost nothing, short enough to wait for
constexpr std::uint64_t bell_key = static_cast<std::uint64_t>(-1);  // no descriptor: they are not negative

bool is_multishot(const request& work) noexcept {
  return work.code == opcode::accept && (work.priority & kernel::accept_multishot) != 0;
}

// accept and connect have no flag for "do not wait"; only the descriptor's mode says it.
void set_nonblocking(int fd, bool on) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  const int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  if (flags >= 0 && flags != wanted) ::fcntl(fd, F_SETFL, wanted);
}

// Which socket a descriptor is: the number may be another's by the next time.
ino_t identity(int fd) noexcept {
  struct stat status{};
  return ::fstat(fd, &status) == 0 ? status.st_ino : 0;
}

}  // namespace

poller::poller(int bell_fd, completion_queue& out) : out_(out), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) throw std::system_error(errno, std::system_category(), "epoll_create1");
  epoll_event event{.events = EPOLLIN, .data = {.u64 = bell_key}};
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, bell_fd, &event) != 0) {
    const int error = errno;
    ::close(epoll_);
    throw std::system_error(error, std::system_category(), "epoll_ctl");
  }
}

poller::~poller() { ::close(epoll_); }

// Puts the request's completion out once it has one, into the room reserved for it.
poller::outcome poller::run(request& work) noexcept {
  for (int i = 0;; ++i) {
    const std::int32_t value = attempt(work);
    if (work.code == opcode::connect) {
      if (value == -EINPROGRESS) {
        work.extra = 1;  // under way: the next attempt asks for its outcome
        return outcome::wait;
      }
      if (value == -EAGAIN && work.pointer_at<const sockaddr>(work.address)->sa_family == AF_UNIX)
        return outcome::try_later;
    } else if (value == -EAGAIN) {
      return outcome::wait;
    }
    if (!is_multishot(work) || value < 0) {
      out_.put({.user_data = work.user_data, .value = value, .flags = 0});
      return outcome::done;
    }
    out_.put_extra({.user_data = work.user_data, .value = value, .flags = completion::more});
    if (i == accepts_a_turn || !out_.has_extra()) return outcome::wait;
  }
}

poller::waiters& poller::line_of(const request& work, watched& state) noexcept {
  if (work.code == opcode::poll_add) return state.polls;
  return describe(work.code).waits_for == readiness::output ? state.output : state.input;
}

bool poller::start(const request& work) {
  if (free_ == nullptr) {
    waiting_.reserve(waiters_.size() + 1);
    waiters_.push_back(std::make_unique<waiter>());
    free_ = waiters_.back().get();
  }
  watched& state = descriptors_[work.fd];
  out_.reserve();

  if (work.code == opcode::accept || work.code == opcode::connect) set_nonblocking(work.fd, true);
  waiter& one = *std::exchange(free_, free_->next_free);
  one.work = work;
  // Order of arrival is kept: nobody overtakes a request that already waits for the same thing.
  const bool free_to_go = work.code == opcode::poll_add || line_of(work, state).empty();
  const bool first = free_to_go && (!is_multishot(work) || out_.has_extra());
  switch (first ? run(one.work) : outcome::wait) {
    case outcome::done: free(one); return true;
    case outcome::try_later:
      one.socket = identity(work.fd);
      waiting_.insert(one);
      retrying_.push_back(one);
      return true;
    case outcome::wait: break;
  }
  return wait_in_line(one, state);
}

// False: epoll has nothing to do with such files, and the request is not held.
bool poller::wait_in_line(waiter& one, watched& state) noexcept {
  line_of(one.work, state).push_back(one);
  waiting_.insert(one);
  int error = watch(one.work.fd, state);
  if (error == ENOENT || error == EPERM) {
    // Not the file that the others wait for: its descriptor was closed, and the number is another's now.
    end_all(state, -ECANCELED, &one);
    state.registration = 0;
    if (error == ENOENT) error = watch(one.work.fd, state);
  }
  if (error == 0) return true;
  // What such a file is not at once it never will be, and the ring says so too.
  if (error == EPERM && one.work.code == opcode::poll_add) error = EINVAL;
  if (error != EPERM) {
    end(one, -error);
    return true;
  }
  one.unlink();
  waiting_.erase(one);
  out_.release();
  free(one);
  return false;
}

// What epoll_ctl(2) answers. ENOENT: the number is not that of the file which was watched before.
int poller::watch(int fd, watched& state) noexcept {
  std::uint32_t interest = EPOLLONESHOT;
  if (!state.input.empty()) interest |= EPOLLIN | EPOLLRDHUP;
  if (!state.output.empty()) interest |= EPOLLOUT;
  state.polls.for_each([&](const waiter& one) { interest |= (one.work.options & poll_events) | EPOLLRDHUP; });
  const bool anew = state.registration == 0;
  if (anew) state.registration = registrations_ = std::max(1u, registrations_ + 1);
  const std::uint64_t key = std::uint64_t{state.registration} << 32 | static_cast<std::uint32_t>(fd);
  epoll_event event{.events = interest, .data = {.u64 = key}};
  if (::epoll_ctl(epoll_, anew ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) == 0) return 0;
  int error = errno;
  if (anew && error == EEXIST) error = ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0 ? 0 : errno;
  if (anew && error != 0) state.registration = 0;
  return error;
}

void poller::free(waiter& one) noexcept { one.next_free = std::exchange(free_, &one); }

void poller::end(waiter& one, std::int32_t value) noexcept {
  out_.put({.user_data = one.work.user_data, .value = value, .flags = 0});
  one.unlink();
  waiting_.erase(one);
  free(one);
}

void poller::end_all(watched& state, std::int32_t value, const waiter* but) noexcept {
  for (waiters* queue : {&state.input, &state.output, &state.polls})
    queue->for_each([&](waiter& one) {
      if (&one != but) end(one, value);
    });
}

bool poller::cancel(std::uint64_t user_data) noexcept {
  bool here = false;
  waiting_.for_each(user_data, [&](waiter& one) {
    here = true;
    end(one, -ECANCELED);
  });
  return here;
}

void poller::forget(int fd) noexcept {
  retrying_.for_each([&](waiter& one) {
    if (one.work.fd == fd) end(one, -ECANCELED);
  });
  const auto found = descriptors_.find(fd);
  if (found == descriptors_.end()) return;
  end_all(found->second, -ECANCELED);
  // Where the open file has another descriptor, closing this one would leave it watched under a number of the past.
  if (found->second.registration != 0) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  descriptors_.erase(found);
}

void poller::try_all(waiters& waiting) noexcept {
  while (waiter* first = waiting.front()) {
    if (is_multishot(first->work) && !out_.has_extra()) return;
    if (run(first->work) != outcome::done) return;
    first->unlink();
    waiting_.erase(*first);
    free(*first);
  }
}

void poller::try_each(waiters& waiting) noexcept {
  waiting.for_each([this](waiter& one) {
    if (run(one.work) != outcome::done) return;
    one.unlink();
    waiting_.erase(one);
    free(one);
  });
}

void poller::try_connections() noexcept {
  retrying_.for_each([this](waiter& one) {
    if (identity(one.work.fd) != one.socket) return end(one, -ECANCELED);
    const outcome now = run(one.work);
    if (now == outcome::try_later) return;
    one.unlink();
    waiting_.erase(one);
    if (now == outcome::done) return free(one);
    wait_in_line(one, descriptors_.find(one.work.fd)->second);  // made when it was started
  });
}

bool poller::poll(int timeout_ms) noexcept {
  if (!retrying_.empty() && (timeout_ms < 0 || timeout_ms > retry_after_ms)) timeout_ms = retry_after_ms;
  std::array<epoll_event, events_a_poll> events;
  const int count = ::epoll_wait(epoll_, events.data(), events.size(), timeout_ms);
  bool rang = false;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t key = events[static_cast<std::size_t>(i)].data.u64;
    if (key == bell_key) {
      rang = true;
      continue;
    }
    const int fd = static_cast<int>(static_cast<std::uint32_t>(key));
    const auto found = descriptors_.find(fd);
    if (found == descriptors_.end() || found->second.registration != key >> 32) continue;
    watched& state = found->second;
    try_all(state.input);
    try_all(state.output);
    try_each(state.polls);
    if (state.input.empty() && state.output.empty() && state.polls.empty()) continue;
    if (const int error = watch(fd, state); error != 0) {
      end_all(state, error == ENOENT ? -ECANCELED : -error);
      state.registration = 0;
    }
  }
  try_connections();
  return rang;
}

}  // namespace asyncfs::detail
