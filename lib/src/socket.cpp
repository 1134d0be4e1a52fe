#include <asyncfs/socket.hpp>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "engine/kernel.hpp"
#include "testing/seam.hpp"

namespace asyncfs {

// ---- endpoint ------------------------------------------------------------------------------------------------------

result<endpoint> endpoint::ip(const std::string& address, std::uint16_t port) {
  endpoint e;
  auto& four = reinterpret_cast<sockaddr_in&>(e.storage_);
  auto& six = reinterpret_cast<sockaddr_in6&>(e.storage_);
  if (::inet_pton(AF_INET, address.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    e.size_ = sizeof four;
    return e;
  }
  e.storage_ = {};
  if (::inet_pton(AF_INET6, address.c_str(), &six.sin6_addr) != 1) return failure(EINVAL);
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  e.size_ = sizeof six;
  return e;
}

endpoint endpoint::loopback(std::uint16_t port) noexcept {
  endpoint e;
  auto& four = reinterpret_cast<sockaddr_in&>(e.storage_);
  four.sin_family = AF_INET;
  four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  four.sin_port = htons(port);
  e.size_ = sizeof four;
  return e;
}

result<endpoint> endpoint::unix_path(std::string_view path) {
  endpoint e;
  auto& local = reinterpret_cast<sockaddr_un&>(e.storage_);
  if (path.empty()) return failure(EINVAL);
  if (path.size() >= sizeof local.sun_path) return failure(ENAMETOOLONG);
  local.sun_family = AF_UNIX;
  std::memcpy(local.sun_path, path.data(), path.size());
  const bool abstract = path.front() == '@';
  if (abstract) local.sun_path[0] = '\0';
  e.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
  return e;
}

std::uint16_t endpoint::port() const noexcept {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(storage_).sin_port);
  if (family() == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(storage_).sin6_port);
  return 0;
}

std::string endpoint::to_string() const {
  char text[INET6_ADDRSTRLEN] = {};
  switch (family()) {
    case AF_INET:
      ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(storage_).sin_addr, text, sizeof text);
      return std::string(text) + ":" + std::to_string(port());
    case AF_INET6:
      ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(storage_).sin6_addr, text, sizeof text);
      return std::string("[").append(text).append("]:").append(std::to_string(port()));
    case AF_UNIX: {
      const auto& local = reinterpret_cast<const sockaddr_un&>(storage_);
      const std::size_t length = size_ - offsetof(sockaddr_un, sun_path);
      if (length == 0) return "unix:(unnamed)";
      if (local.sun_path[0] == '\0') return std::string("@").append(local.sun_path + 1, length - 1);
      return {local.sun_path, ::strnlen(local.sun_path, length)};
    }
    default: return "(no address)";
  }
}

// ---- socket --------------------------------------------------------------------------------------------------------

result<endpoint> socket::local() const {
  endpoint e;
  e.size_ = sizeof e.storage_;
  if (auto* world = detail::simulated_descriptors::of(fd())) {
    if (const std::int32_t error = world->local_address(fd(), e.data(), &e.size_); error < 0) return failure(-error);
    return e;
  }
  if (::getsockname(fd(), e.data(), &e.size_) != 0) return failure(errno);
  return e;
}

result<void> socket::set_option(int level, int name, int value) const noexcept {
  if (auto* world = detail::simulated_descriptors::of(fd())) {
    if (const std::int32_t error = world->set_option(fd()); error < 0) return failure(-error);
    return {};
  }
  if (::setsockopt(fd(), level, name, &value, sizeof value) != 0) return failure(errno);
  return {};
}

task<void> send_all(const socket& to, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t sent = co_await to.send(bytes);
    bytes = bytes.subspan(sent);
  }
}

task<std::size_t> receive_all(const socket& from, std::span<std::byte> buffer) {
  std::size_t received = 0;
  while (received < buffer.size()) {
    const std::size_t more = co_await from.receive(buffer.subspan(received));
    if (more == 0) break;
    received += more;
  }
  co_return received;
}

// ---- listener ------------------------------------------------------------------------------------------------------

listener::~listener() {
  for (std::size_t i = taken_; i < queued_.size(); ++i) detail::close_descriptor(queued_[i]);
}

void listener::prepare(request& slot) {
  slot.fd = socket_.fd();
  slot.options = SOCK_CLOEXEC;
  slot.priority = one_shot_ ? 0 : kernel::accept_multishot;
}

void listener::arm(loop& home, cancel_scope& scope) {
  if (armed_) return home.move_to(scope, *this);
  armed_ = true;  // first: in a cancelled scope it ends at once
  try {
    home.start_slowly(*this, scope);
  } catch (...) {
    armed_ = false;
    throw;
  }
}

// Phase 1: keeps what came, and makes whoever waits ready. No user code runs here.
void listener::arrive(const completion& event) {
  if (event.value >= 0) {
    if (taken_ == queued_.size() || taken_ >= most_queued) {
      queued_.erase(queued_.begin(), queued_.begin() + static_cast<std::ptrdiff_t>(taken_));
      taken_ = 0;
    }
    try {
      queued_.push_back(event.value);
    } catch (const std::bad_alloc&) {  // the connection is given up, and whoever waits is told
      detail::close_descriptor(event.value);
      error_ = ENOMEM;
    }
    if (!event.last() && queued_.size() - taken_ >= most_queued && !pausing_) {
      pausing_ = true;
      home().cancel(*this);
    }
  } else if (event.value == -EINVAL && !one_shot_) {
    one_shot_ = true;  // a kernel older than 5.19: asked again without the multishot bit
  } else if (event.value == -EINTR) {
    // Interrupted, it brought nothing: asked again while somebody waits.
  } else if (event.value != -ECANCELED || (waiter_ && !pausing_)) {  // a cancel concerns only who waits
    error_ = -event.value;
  }
  if (event.last()) {
    armed_ = pausing_ = false;
    finish();
  }
  if (waiter_ && !woken_) {
    woken_ = true;
    home().make_ready(*this);
  }
  if (stopping_ != nullptr && at_rest()) home().make_ready(*std::exchange(stopping_, nullptr));
}

void listener::run() {
  woken_ = false;
  if (!waiter_) return;
  // Nothing to give and nothing wrong: the request merely ended, so it is made again.
  if (taken_ == queued_.size() && error_ == 0 && !stopped_) {
    try {
      if (!armed_) arm(home(), origin());
      return;
    } catch (const std::bad_alloc&) {
      error_ = ENOMEM;
    }
  }
  const std::coroutine_handle<> waiter = std::exchange(waiter_, nullptr);
  if (stopping_ != nullptr && at_rest()) home().make_ready(*std::exchange(stopping_, nullptr));
  waiter.resume();  // may destroy this
}

std::optional<socket> listener::next_awaiter::await_resume() {
  if (from_.taken_ < from_.queued_.size()) return socket(from_.queued_[from_.taken_++]);
  if (from_.stopped_) return std::nullopt;
  const int error = std::exchange(from_.error_, 0);
  if (error == ECANCELED) return std::nullopt;
  throw std::system_error(error, std::system_category(), "accept");
}

task<void> listener::stop() {
  stopped_ = true;
  if (armed_) home().cancel(*this);
  stopper ended;
  ended.from = this;
  if (!at_rest()) stopping_ = &ended;
  co_await ended;
}

task<std::unique_ptr<listener>> listen(endpoint address, int backlog) {
  socket s = co_await socket::open(address.family(), SOCK_STREAM);
  if (address.family() != AF_UNIX)
    if (const auto set = s.set_option(SOL_SOCKET, SO_REUSEADDR, 1); !set)
      throw std::system_error(set.error(), "setsockopt");
  co_await s.bind(address);
  co_await s.listen(backlog);
  co_return std::make_unique<listener>(std::move(s));
}

task<socket> connect(endpoint address) {
  socket s = co_await socket::open(address.family(), SOCK_STREAM);
  if (address.family() != AF_UNIX)
    if (const auto set = s.set_option(IPPROTO_TCP, TCP_NODELAY, 1); !set)
      throw std::system_error(set.error(), "setsockopt");
  co_await s.connect(address);
  co_return s;
}

}  // namespace asyncfs
