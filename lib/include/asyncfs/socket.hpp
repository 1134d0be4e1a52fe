// Stream and datagram sockets: every call describes an operation (operation.hpp), on every engine.
//
// Loop thread only. Buffers must live until the operation has completed; transfers may be short; receiving 0 bytes
// means that the peer has ended its side. Operations wait for the peer as long as it takes: cancel their scope to end
// them early. SIGPIPE is never raised. Errors are those of the system call of the same name.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <coroutine>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <asyncfs/descriptor.hpp>
#include <asyncfs/detail/kinds.hpp>
#include <asyncfs/task.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

// A socket address of any family, by value.
class endpoint {
 public:
  endpoint() noexcept = default;
  // "127.0.0.1" or "::1"; EINVAL when it is neither.
  [[nodiscard]] static result<endpoint> ip(const std::string& address, std::uint16_t port);
  [[nodiscard]] static endpoint loopback(std::uint16_t port) noexcept;
  // A file-system path, or "@name" for the abstract namespace; ENAMETOOLONG past 107 bytes.
  [[nodiscard]] static result<endpoint> unix_path(std::string_view path);

  [[nodiscard]] const sockaddr* data() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
  [[nodiscard]] sockaddr* data() noexcept { return reinterpret_cast<sockaddr*>(&storage_); }
  [[nodiscard]] socklen_t size() const noexcept { return size_; }
  [[nodiscard]] int family() const noexcept { return storage_.ss_family; }
  [[nodiscard]] std::uint16_t port() const noexcept;  // 0 when the family has none
  [[nodiscard]] std::string to_string() const;

 private:
  friend class socket;
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

namespace detail {

template <opcode Code>
struct address_kind {
  using value_type = void;
  static constexpr opcode code = Code;
  int fd;
  endpoint address;

  void prepare(request& slot) const noexcept {
    slot.fd = fd;
    slot.address = request::pointer(address.data());
    slot.offset = address.size();
  }
  result<void> complete(const completion& event) const {
    if (event.value < 0) return failure(-event.value);
    return {};
  }
};

}  // namespace detail

class socket {
 public:
  socket() noexcept = default;
  explicit socket(int fd) noexcept : fd_(fd) {}

  // socket(2): `co_await socket::open(AF_INET, SOCK_STREAM)`.
  [[nodiscard]] static auto open(int family, int type, int protocol = 0) noexcept {
    return detail::plain<opcode::socket, socket>({.fd = family,
                                                  .offset = static_cast<std::uint64_t>(type | SOCK_CLOEXEC),
                                                  .length = static_cast<std::uint32_t>(protocol)});
  }

  [[nodiscard]] int fd() const noexcept { return fd_.fd(); }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
  [[nodiscard]] int release() noexcept { return fd_.release(); }

  auto bind(const endpoint& address) const noexcept {
    return operation(detail::address_kind<opcode::bind>{fd(), address});
  }
  auto listen(int backlog = SOMAXCONN) const noexcept {
    return detail::plain<opcode::listen, void>({.fd = fd(), .length = static_cast<std::uint32_t>(backlog)});
  }
  auto accept() const noexcept { return detail::plain<opcode::accept, socket>({.fd = fd(), .options = SOCK_CLOEXEC}); }
  auto connect(const endpoint& address) const noexcept {
    return operation(detail::address_kind<opcode::connect>{fd(), address});
  }

  auto send(std::span<const std::byte> bytes, int flags = 0) const noexcept {
    return detail::plain<opcode::send, std::size_t>({.fd = fd(),
                                                     .address = request::pointer(bytes.data()),
                                                     .length = static_cast<std::uint32_t>(bytes.size()),
                                                     .options = static_cast<std::uint32_t>(flags | MSG_NOSIGNAL)});
  }
  auto receive(std::span<std::byte> bytes, int flags = 0) const noexcept {
    return detail::plain<opcode::recv, std::size_t>({.fd = fd(),
                                                     .address = request::pointer(bytes.data()),
                                                     .length = static_cast<std::uint32_t>(bytes.size()),
                                                     .options = static_cast<std::uint32_t>(flags)});
  }
  // `how` is SHUT_RD, SHUT_WR or SHUT_RDWR.
  auto shutdown(int how) const noexcept {
    return detail::plain<opcode::shutdown, void>({.fd = fd(), .length = static_cast<std::uint32_t>(how)});
  }
  auto close() noexcept { return operation(detail::close_kind{std::move(fd_)}); }

  // Plain system calls; they never wait.
  [[nodiscard]] result<endpoint> local() const;
  result<void> set_option(int level, int name, int value) const noexcept;

 private:
  descriptor fd_;
};

// Sends all of the bytes.
task<void> send_all(const socket& to, std::span<const std::byte> bytes);
// Receives until the buffer is full or the peer ends; how many bytes came.
task<std::size_t> receive_all(const socket& from, std::span<std::byte> buffer);

// Accepted connections as they come: one multishot request where the engine has it (5.19), over a bounded queue.
//
//   asyncfs::listener incoming = co_await asyncfs::listen(address);
//   while (auto connection = co_await incoming.next()) spawn(loop, serve(*std::move(connection)));
//
// One task at a time may wait in `next`; another may call `stop`. When the queue is full the request is cancelled and
// armed again later; connections nobody took are closed. The request belongs to the scope of the task that last waited,
// or what that scope was part of. Must be stopped, or that scope cancelled and ended, before it is destroyed.
class listener final : private detail::pending {
 public:
  static constexpr std::size_t most_queued = 256;

  explicit listener(socket bound) noexcept : pending(opcode::accept, false), socket_(std::move(bound)) {}
  ~listener();

  [[nodiscard]] const socket& bound() const noexcept { return socket_; }

  class next_awaiter;
  struct [[nodiscard]] next_operation {
    listener& from;
    next_awaiter operator co_await() const noexcept;
  };
  // The next connection; nothing once stopped or cancelled. Throws std::system_error for any other failure.
  next_operation next() noexcept { return {*this}; }
  // Ends accepting, gives a task that waits in `next` nothing, and waits until the engine has let go. Once.
  [[nodiscard]] task<void> stop();

 private:
  void prepare(request& slot) override;
  void arrive(const completion& event) override;
  void run() override;
  void arm(loop& home, cancel_scope& scope);
  [[nodiscard]] bool at_rest() const noexcept { return !armed_ && !waiter_; }

  // Who waits in `stop`.
  struct stopper final : detail::ready_node {
    listener* from = nullptr;
    std::coroutine_handle<> waiter;
    [[nodiscard]] bool await_ready() const noexcept { return from->at_rest(); }
    void await_suspend(std::coroutine_handle<> task,
                       std::source_location at = std::source_location::current()) noexcept {
      site = at;
      waiter = task;
    }
    void await_resume() const noexcept {}
    void run() override { waiter.resume(); }
  };

  socket socket_;
  std::vector<int> queued_;  // oldest first from taken_
  std::size_t taken_ = 0;
  int error_ = 0;
  bool armed_ = false, stopped_ = false, one_shot_ = false, pausing_ = false, woken_ = false;
  std::coroutine_handle<> waiter_;
  stopper* stopping_ = nullptr;
};

class listener::next_awaiter {
 public:
  explicit next_awaiter(listener& from) noexcept : from_(from) {}
  [[nodiscard]] bool await_ready() const noexcept {
    return from_.taken_ < from_.queued_.size() || from_.error_ != 0 || from_.stopped_;
  }
  template <class P>
  void await_suspend(std::coroutine_handle<P> waiter, std::source_location at = std::source_location::current()) {
    from_.site = at;
    from_.waiter_ = waiter;
    try {
      from_.arm(waiter.promise().home(), waiter.promise().scope());
    } catch (...) {
      from_.waiter_ = nullptr;  // it goes on, with the exception
      throw;
    }
  }
  std::optional<socket> await_resume();

 private:
  listener& from_;
};

inline listener::next_awaiter listener::next_operation::operator co_await() const noexcept {
  return next_awaiter(from);
}

// A TCP or Unix stream socket, bound and listening. SO_REUSEADDR is set for TCP. Heap-allocated, since it must not move.
task<std::unique_ptr<listener>> listen(endpoint address, int backlog = SOMAXCONN);
// A connected stream socket; TCP_NODELAY is set for TCP.
task<socket> connect(endpoint address);

}  // namespace asyncfs
