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

std::shared_ptr<conduit> streams::make_conduit(std::size_t capacity) {
  return std::make_shared<conduit>(conduit{.id = ++last_id_, .capacity = capacity});
}

streams::two_ends streams::make_pipe(std::size_t capacity) {
  two_ends both{std::make_shared<stream>(), std::make_shared<stream>()};
  both.reader->id = ++last_id_;
  both.writer->id = ++last_id_;
  both.reader->in = both.writer->out = make_conduit(capacity);
  return both;
}

streams::two_ends streams::make_pair() {
  two_ends both{make_socket(AF_UNIX), make_socket(AF_UNIX)};
  join(*both.reader, *both.writer);
  return both;
}

void streams::join(stream& one, stream& other) {
  one.in = other.out = make_conduit();
  one.out = other.in = make_conduit();
}

std::shared_ptr<stream> streams::open_fifo(std::shared_ptr<conduit>& of, bool reads, bool writes) {
  if (!of) {
    of = make_conduit();
    of->readers = of->writers = 0;
  }
  auto end = std::make_shared<stream>();
  end->id = ++last_id_;
  if (reads) {
    end->in = of;
    ++of->readers;
  }
  if (writes) {
    end->out = of;
    ++of->writers;
  }
  note(*of);
  return end;
}

std::shared_ptr<stream> streams::make_socket(int family) {
  auto made = std::make_shared<stream>();
  made->id = ++last_id_;
  made->is_socket = true;
  made->family = family;
  return made;
}

std::int32_t streams::bind(stream& end, std::string address, const std::string& key) {
  if (family_of(address) != end.family) return -EAFNOSUPPORT;
  if (!end.local.empty()) return -EINVAL;
  if (is_internet(address) && port_of(address) == 0) {
    do set_port(address, ++last_port_);
    while (bound_.contains(key_of(address)));
  }
  const std::string name = key.empty() ? key_of(address) : key;
  if (!bound_.try_emplace(name, &end).second) return -EADDRINUSE;
  end.key = name;
  end.local = std::move(address);
  return 0;
}

std::int32_t streams::listen(stream& end, int backlog) {
  if (end.in) return -EINVAL;
  if (end.local.empty()) {
    if (end.family == AF_UNIX) return -EDESTADDRREQ;
    std::string any(end.family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in), '\0');
    const auto family = static_cast<sa_family_t>(end.family);
    std::memcpy(any.data(), &family, sizeof family);
    if (const std::int32_t error = bind(end, any); error < 0) return error;
  }
  end.listening = true;
  end.most_waiting = static_cast<std::size_t>(std::max(backlog, 0)) + 1;  // as Linux
  return 0;
}

std::int32_t streams::connect(const std::shared_ptr<stream>& end, const std::string& address, std::uint64_t& waits_on,
                              const std::string& key) {
  if (end->in || end->listening) return -EISCONN;
  if (family_of(address) != end->family) return -EAFNOSUPPORT;
  const auto found = bound_.find(key.empty() ? key_of(address) : key);
  if (found == bound_.end() || !found->second->listening) return -ECONNREFUSED;
  stream& listener = *found->second;
  if (listener.waiting.size() >= listener.most_waiting) {
    waits_on = listener.id;
    return -EAGAIN;
  }
  auto other = make_socket(end->family);
  join(*other, *end);
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
  if (!end.in) return !end.is_socket ? -EBADF : end.family == AF_UNIX ? -EINVAL : -ENOTCONN;
  conduit& from = *end.in;
  if (length == 0) return 0;
  if (from.bytes.empty()) {
    if (from.no_writer() || from.no_reader()) return 0;
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
  if (!end.out) return !end.is_socket ? -EBADF : end.family == AF_UNIX ? -ENOTCONN : -EPIPE;
  conduit& to = *end.out;
  if (to.no_reader() || to.no_writer()) return -EPIPE;
  const std::size_t room = to.capacity - to.bytes.size();
  const bool whole = !end.is_socket && length <= whole_to_pipe;
  if (length > 0 && (room == 0 || (whole && room < length))) {
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
    end.in->shut_for_reading = true;
    note(*end.in);
  }
  if (how == SHUT_WR || how == SHUT_RDWR) {
    end.out->shut_for_writing = true;
    note(*end.out);
  }
  return how < SHUT_RD || how > SHUT_RDWR ? -EINVAL : 0;
}

short streams::poll(const stream& end, short events) const {
  int ready = 0;
  if (end.listening && !end.waiting.empty()) ready |= POLLIN;
  if (end.is_socket && !end.in && !end.listening) ready |= POLLOUT | POLLHUP;
  if (end.in) {
    const bool ended = end.in->no_writer();
    if (!end.in->bytes.empty() || (ended && end.is_socket)) ready |= POLLIN;
    if (ended && end.is_socket) ready |= POLLRDHUP;
    if (ended && (!end.is_socket || end.out->no_writer() || end.out->no_reader())) ready |= POLLHUP;
  }
  if (end.out) {
    if (end.out->bytes.size() < end.out->capacity) ready |= POLLOUT;
    if (end.out->no_reader() && !end.is_socket) ready |= POLLERR;
  }
  return static_cast<short>(ready & (events | POLLERR | POLLHUP));
}

void streams::close(stream& end) {
  if (end.in) {
    --end.in->readers;
    note(*end.in);
  }
  if (end.out) {
    --end.out->writers;
    note(*end.out);
  }
  for (const auto& way : {end.in, end.out})
    if (way && way->readers == 0 && way->writers == 0) way->bytes.clear();
  changed.push_back(end.id);
  for (const auto& one : end.waiting) close(*one);
  end.waiting.clear();
  if (const auto found = bound_.find(end.key); found != bound_.end() && found->second == &end) bound_.erase(found);
}

}  // namespace asyncfs::detail::memory
