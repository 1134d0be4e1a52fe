#include "testing/memory/streams.hpp"

#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace asyncfs::detail::memory {

namespace {

int family_of(const std::string& address) {
  sa_family_t family = AF_UNSPEC;
  if (address.size() >= sizeof family) std::memcpy(&family, address.data(), sizeof family);
  return family;
}

// The port of an internet address, to be read or chosen; both families keep it in the same place.
std::uint16_t port_of(const std::string& address) {
  std::uint16_t port = 0;
  std::memcpy(&port, address.data() + offsetof(sockaddr_in, sin_port), sizeof port);
  return ntohs(port);
}
void set_port(std::string& address, std::uint16_t port) {
  const std::uint16_t wire = htons(port);
  std::memcpy(address.data() + offsetof(sockaddr_in, sin_port), &wire, sizeof wire);
}
bool is_internet(const std::string& address) {
  const int family = family_of(address);
  return (family == AF_INET && address.size() >= sizeof(sockaddr_in)) ||
         (family == AF_INET6 && address.size() >= sizeof(sockaddr_in6));
}

// What connects: the port for the internet (there is one machine), all bytes for local names.
std::string key_of(const std::string& address) {
  return is_internet(address) ? "port " + std::to_string(port_of(address)) : address;
}

}  // namespace

std::shared_ptr<conduit> streams::make_conduit() {
  auto made = std::make_shared<conduit>();
  made->id = ++last_id_;
  return made;
}

streams::two_ends streams::make_pipe() {
  two_ends both{std::make_shared<stream>(), std::make_shared<stream>()};
  both.reader->id = ++last_id_;
  both.writer->id = ++last_id_;
  both.reader->in = both.writer->out = make_conduit();
  return both;
}

std::shared_ptr<stream> streams::make_socket(int family) {
  auto made = std::make_shared<stream>();
  made->id = ++last_id_;
  made->is_socket = true;
  made->family = family;
  return made;
}

std::int32_t streams::bind(stream& end, std::string address) {
  if (family_of(address) != end.family) return -EAFNOSUPPORT;
  if (!end.local.empty()) return -EINVAL;
  if (is_internet(address) && port_of(address) == 0) {
    do set_port(address, ++last_port_);
    while (bound_.contains(key_of(address)));
  }
  if (!bound_.try_emplace(key_of(address), &end).second) return -EADDRINUSE;
  end.local = std::move(address);
  return 0;
}

std::int32_t streams::listen(stream& end, int backlog) {
  if (end.in) return -EINVAL;
  if (end.local.empty()) {
    std::string any(end.family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in), '\0');
    const auto family = static_cast<sa_family_t>(end.family);
    std::memcpy(any.data(), &family, sizeof family);
    if (end.family == AF_UNIX) return -EDESTADDRREQ;
    if (const std::int32_t error = bind(end, any); error < 0) return error;
  }
  end.listening = true;
  end.most_waiting = static_cast<std::size_t>(std::max(backlog, 1));
  return 0;
}

std::int32_t streams::connect(const std::shared_ptr<stream>& end, const std::string& address, std::uint64_t& waits_on) {
  if (end->in) return -EISCONN;
  if (family_of(address) != end->family) return -EAFNOSUPPORT;
  const auto found = bound_.find(key_of(address));
  if (found == bound_.end() || !found->second->listening)
    return end->family == AF_UNIX && found == bound_.end() ? -ENOENT : -ECONNREFUSED;
  stream& listener = *found->second;
  if (listener.waiting.size() >= listener.most_waiting) {
    waits_on = listener.id;
    return -EAGAIN;
  }
  auto other = make_socket(end->family);
  other->in = end->out = make_conduit();
  other->out = end->in = make_conduit();
  other->local = end->peer = listener.local;
  if (end->local.empty() && is_internet(address)) {
    end->local = address;
    set_port(end->local, ++last_port_);
  }
  other->peer = end->local;
  listener.waiting.push_back(std::move(other));
  changed.push_back(listener.id);
  return 0;
}

std::shared_ptr<stream> streams::accept(stream& from, int& error, std::uint64_t& waits_on) {
  if (!from.listening) return error = EINVAL, nullptr;
  if (from.waiting.empty()) {
    waits_on = from.id;
    return error = EAGAIN, nullptr;
  }
  auto taken = from.waiting.front();
  from.waiting.pop_front();
  changed.push_back(from.id);
  return taken;
}

std::int32_t streams::read(stream& end, char* into, std::size_t length, bool peek, std::uint64_t& waits_on) {
  if (!end.in) return end.is_socket ? -ENOTCONN : -EBADF;
  conduit& from = *end.in;
  if (from.bytes.empty()) {
    if (from.no_writer || from.no_reader || length == 0) return 0;
    waits_on = from.id;
    return -EAGAIN;
  }
  const std::size_t count = std::min(length, from.bytes.size());
  std::memcpy(into, from.bytes.data(), count);
  if (!peek) {
    from.bytes.erase(0, count);
    note(from);
  }
  return static_cast<std::int32_t>(count);
}

std::int32_t streams::write(stream& end, const char* from, std::size_t length, std::uint64_t& waits_on) {
  if (!end.out) return end.is_socket ? -ENOTCONN : -EBADF;
  conduit& to = *end.out;
  if (to.no_reader || to.no_writer) return -EPIPE;
  const std::size_t room = capacity - to.bytes.size();
  if (room == 0 && length > 0) {
    waits_on = to.id;
    return -EAGAIN;
  }
  const std::size_t count = std::min(length, room);
  to.bytes.append(from, count);
  note(to);
  return static_cast<std::int32_t>(count);
}

std::int32_t streams::shutdown(stream& end, int how) {
  if (!end.in) return -ENOTCONN;
  if (how == SHUT_RD || how == SHUT_RDWR) {
    end.in->no_reader = true;
    note(*end.in);
  }
  if (how == SHUT_WR || how == SHUT_RDWR) {
    end.out->no_writer = true;
    note(*end.out);
  }
  return 0;
}

short streams::poll(const stream& end, short events) const {
  int ready = 0;
  if (end.listening && !end.waiting.empty()) ready |= POLLIN;
  if (end.in) {
    if (!end.in->bytes.empty() || end.in->no_writer) ready |= POLLIN;
    if (end.in->no_writer) ready |= POLLRDHUP;
    if (end.in->no_writer && end.in->bytes.empty() && !end.is_socket) ready |= POLLHUP;
  }
  if (end.out) {
    if (end.out->bytes.size() < capacity) ready |= POLLOUT;
    if (end.out->no_reader) ready |= POLLERR;
  }
  return static_cast<short>(ready & (events | POLLERR | POLLHUP));
}

void streams::close(stream& end) {
  if (end.in) {
    end.in->no_reader = true;
    note(*end.in);
  }
  if (end.out) {
    end.out->no_writer = true;
    note(*end.out);
  }
  changed.push_back(end.id);
  if (end.listening)
    for (const auto& one : end.waiting) close(*one);
  if (!end.local.empty()) {
    const auto found = bound_.find(key_of(end.local));
    if (found != bound_.end() && found->second == &end) bound_.erase(found);
  }
}

}  // namespace asyncfs::detail::memory
