// Pipes, sockets and readiness: what waits for a peer.
#include <asyncfs/poll.hpp>

#include "operations.hpp"

namespace matrix {

namespace {

using asyncfs::endpoint;
using tests::bytes_of;

constexpr std::size_t pipe_capacity = 4096;
constexpr std::string_view some_text = "twelve bytes";

task<void> with_pipe(subject& s) {
  const auto both = s.at.make_pipe(pipe_capacity);
  s.pipe = {asyncfs::pipe_reader(both.first), asyncfs::pipe_writer(both.second)};
  co_return;
}
task<void> with_pipe_as_files(subject& s) {
  const auto both = s.at.make_pipe(pipe_capacity);
  s.file = asyncfs::file(both.first);
  s.pipe.writer = asyncfs::pipe_writer(both.second);
  co_return;
}
task<void> with_full_pipe(subject& s) {
  co_await with_pipe(s);
  while (s.filled < pipe_capacity) s.filled += co_await s.pipe.writer.write(s.bytes);
}
task<void> with_full_pipe_as_file(subject& s) {
  co_await with_full_pipe(s);
  s.file = asyncfs::file(s.pipe.writer.release());
}
task<void> with_text_in_ended_pipe(subject& s) {
  co_await with_pipe(s);
  co_await asyncfs::write_all(s.pipe.writer, bytes_of(some_text));
  co_await s.pipe.writer.close();
}
task<void> write_a_byte(subject& s) { co_await asyncfs::write_all(s.pipe.writer, std::span(s.bytes).first(1)); }
task<void> drain_pipe(subject& s) {
  std::vector<std::byte> buffer(pipe_capacity);
  s.drained += co_await s.pipe.reader.read(buffer);
}
task<bool> pipe_is_balanced(subject& s, std::size_t moved) {
  if (s.file)
    co_await s.file.close();
  else
    co_await s.pipe.writer.close();
  const std::string rest = co_await asyncfs::read_to_end(s.pipe.reader);
  co_return rest.size() + s.drained == s.filled + moved;
}

task<void> with_pair(subject& s) {
  const auto both = s.at.make_socket_pair();
  s.near = asyncfs::socket(both.first);
  s.far = asyncfs::socket(both.second);
  co_return;
}
task<void> with_full_pair(subject& s) {
  co_await with_pair(s);
  static_cast<void>(s.near.set_option(SOL_SOCKET, SO_SNDBUF, pipe_capacity));
  for (;;) {
    const auto sent = co_await asyncfs::as_result(s.near.send(s.bytes, MSG_DONTWAIT));
    if (!sent) break;
    s.filled += *sent;
  }
}
task<void> with_text_received(subject& s) {
  co_await with_pair(s);
  co_await asyncfs::send_all(s.far, bytes_of(some_text));
  co_await s.far.shutdown(SHUT_WR);
}
task<void> send_a_byte(subject& s) { co_await asyncfs::send_all(s.far, std::span(s.bytes).first(1)); }
task<void> receive_what_is_there(subject& s) {
  std::vector<std::byte> buffer(s.filled);
  s.drained += co_await asyncfs::receive_all(s.far, buffer);
}
task<bool> pair_is_balanced(subject& s, std::size_t moved) {
  co_await s.near.shutdown(SHUT_WR);
  std::vector<std::byte> buffer(s.filled + moved + 1);
  const std::size_t rest = co_await asyncfs::receive_all(s.far, buffer);
  co_return rest + s.drained == s.filled + moved;
}

task<void> with_free_address(subject& s) {
  s.address = *endpoint::unix_path(s.path + "/socket");
  co_return;
}
// What an attempt before it has bound is no hindrance.
task<outcome> listen_anew(subject& s) {
  const auto removed = co_await asyncfs::as_result(s.dir.remove("socket"));
  static_cast<void>(removed);
  co_return co_await told(asyncfs::listen(s.address));
}
task<void> with_unbound(subject& s) {
  co_await with_free_address(s);
  s.near = co_await asyncfs::socket::open(AF_UNIX, SOCK_STREAM);
}
task<void> with_bound(subject& s) {
  co_await with_unbound(s);
  co_await s.near.bind(s.address);
}
task<void> with_server(subject& s) {
  co_await with_free_address(s);
  s.server = co_await asyncfs::socket::open(AF_UNIX, SOCK_STREAM);
  co_await s.server.bind(s.address);
  co_await s.server.listen();
  s.near = co_await asyncfs::socket::open(AF_UNIX, SOCK_STREAM);
}
task<void> with_listener(subject& s) {
  co_await with_free_address(s);
  s.incoming = co_await asyncfs::listen(s.address);
}
task<void> connect_to_it(subject& s) { s.client = co_await asyncfs::connect(s.address); }
// The request of the listener is under way.
task<void> with_armed_listener(subject& s) {
  co_await with_listener(s);
  co_await connect_to_it(s);
  const auto first = co_await s.incoming->next();
  CHECK(first.has_value());
}

task<bool> is_closed(subject& s) {
  asyncfs::file gone(s.number);
  const bool open = co_await succeeds(gone.status());
  static_cast<void>(gone.release());
  co_return !open;
}

task<std::optional<asyncfs::socket>> next_of(asyncfs::listener& from) { co_return co_await from.next(); }
task<outcome> next_connection(subject& s) { return told(next_of(*s.incoming)); }
int accepts_one_by_one(opcode code, int error) {
  return code == opcode::accept && error == EINVAL ? own_rule : error;  // asked again without the multishot bit
}

std::vector<row> pipe_rows() {
  return {
      {.name = "open_pipe",
       .parts = {{opcode::pipe}},
       .prepare = with_nothing,
       .attempt = [](subject&) { return told(asyncfs::open_pipe()); }},
      {.name = "pipe_reader.read",
       .parts = {{opcode::read}},
       .prepare = with_pipe,
       .attempt = [](subject& s) { return told(s.pipe.reader.read(s.bytes)); },
       .end = ends::when_provided,
       .provide = write_a_byte,
       .value = 1},
      {.name = "pipe_reader.read",
       .variant = "of what is there",
       .parts = {{opcode::read}},
       .prepare = with_text_in_ended_pipe,
       .attempt = [](subject& s) { return told(s.pipe.reader.read(std::span(s.bytes).first(some_text.size()))); },
       .value = some_text.size(),
       .is_transfer = true},
      {.name = "pipe_writer.write",
       .parts = {{opcode::write}},
       .prepare = with_full_pipe,
       .attempt = [](subject& s) { return told(s.pipe.writer.write(std::span(s.bytes).first(8))); },
       .end = ends::when_provided,
       .provide = drain_pipe,
       .balanced = pipe_is_balanced,
       .value = 8},
      {.name = "pipe_writer.write",
       .variant = "into an empty one",
       .parts = {{opcode::write}},
       .prepare = with_pipe,
       .attempt = [](subject& s) { return told(s.pipe.writer.write(std::span(s.bytes).first(8))); },
       .balanced = pipe_is_balanced,
       .value = 8,
       .is_transfer = true},
      {.name = "pipe_reader.close",
       .parts = {{opcode::close}},
       .prepare = [](subject& s) -> task<void> {
         co_await with_pipe(s);
         s.number = s.pipe.reader.fd();
       },
       .attempt = [](subject& s) { return told(s.pipe.reader.close()); },
       .happened = is_closed,
       .ends_despite_cancel = true},
      {.name = "pipe_writer.close",
       .parts = {{opcode::close}},
       .prepare = [](subject& s) -> task<void> {
         co_await with_pipe(s);
         s.number = s.pipe.writer.fd();
       },
       .attempt = [](subject& s) { return told(s.pipe.writer.close()); },
       .happened = is_closed,
       .ends_despite_cancel = true},
      {.name = "write_all",
       .parts = {{opcode::write}},
       .prepare = with_pipe,
       .attempt = [](subject& s) { return told(asyncfs::write_all(s.pipe.writer, std::span(s.bytes).first(8))); }},
      {.name = "read_to_end",
       .parts = {{opcode::read}},
       .prepare = with_text_in_ended_pipe,
       .attempt = [](subject& s) { return told(asyncfs::read_to_end(s.pipe.reader)); },
       .value = some_text.size()},
      {.name = "file.read",
       .variant = "of a pipe",
       .parts = {{opcode::read}},
       .prepare = with_pipe_as_files,
       .attempt = [](subject& s) { return told(s.file.read(s.bytes)); },
       .end = ends::when_provided,
       .provide = write_a_byte,
       .value = 1},
      {.name = "file.write",
       .variant = "of a pipe",
       .parts = {{opcode::write}},
       .prepare = with_full_pipe_as_file,
       .attempt = [](subject& s) { return told(s.file.write(std::span(s.bytes).first(8))); },
       .end = ends::when_provided,
       .provide = drain_pipe,
       .balanced = pipe_is_balanced,
       .value = 8},
      {.name = "file.readv_at",
       .variant = "of a pipe",
       .parts = {{opcode::readv}},
       .prepare = with_pipe_as_files,
       .attempt = [](subject& s) { return told(s.file.readv_at(s.pieces, asyncfs::stream_position)); },
       .end = ends::when_provided,
       .provide = write_a_byte,
       .value = 1},
      {.name = "file.writev_at",
       .variant = "of a pipe",
       .parts = {{opcode::writev}},
       .prepare = with_full_pipe_as_file,
       .attempt = [](subject& s) { return told(s.file.writev_at(s.pieces, asyncfs::stream_position)); },
       .end = ends::when_provided,
       .provide = drain_pipe,
       .balanced = pipe_is_balanced,
       .value = 2048},
      {.name = "poll",
       .variant = "for input",
       .parts = {{opcode::poll_add}},
       .prepare = with_pipe,
       .attempt = [](subject& s) { return told(asyncfs::poll(s.pipe.reader.fd(), POLLIN)); },
       .end = ends::when_provided,
       .provide = write_a_byte,
       .value = POLLIN},
      {.name = "poll",
       .variant = "for output",
       .parts = {{opcode::poll_add}},
       .prepare = with_full_pipe,
       .attempt = [](subject& s) { return told(asyncfs::poll(s.pipe.writer.fd(), POLLOUT)); },
       .end = ends::when_provided,
       .provide = drain_pipe,
       .value = POLLOUT},
  };
}

std::vector<row> socket_rows() {
  std::vector<row> rows = {
      {.name = "socket.open",
       .parts = {{opcode::socket}},
       .prepare = with_nothing,
       .attempt = [](subject&) { return told(asyncfs::socket::open(AF_UNIX, SOCK_STREAM)); }},
      {.name = "socket.bind",
       .parts = {{opcode::bind}},
       .prepare = with_unbound,
       .attempt = [](subject& s) { return told(s.near.bind(s.address)); },
       .happened = [](subject& s) { return succeeds(s.dir.status("socket")); }},
      {.name = "socket.listen",
       .parts = {{opcode::listen}},
       .prepare = with_bound,
       .attempt = [](subject& s) { return told(s.near.listen()); },
       .happened = [](subject& s) -> task<bool> {
         const asyncfs::socket caller = co_await asyncfs::socket::open(AF_UNIX, SOCK_STREAM);
         co_return co_await succeeds(caller.connect(s.address));
       }},
      {.name = "socket.accept",
       .parts = {{opcode::accept}},
       .prepare = with_server,
       .attempt = [](subject& s) { return told(s.server.accept()); },
       .end = ends::when_provided,
       .provide = connect_to_it},
      {.name = "socket.connect",
       .parts = {{opcode::connect}},
       .prepare = with_server,
       .attempt = [](subject& s) { return told(s.near.connect(s.address)); }},
      {.name = "socket.send",
       .parts = {{opcode::send}},
       .prepare = with_full_pair,
       .attempt = [](subject& s) { return told(s.near.send(std::span(s.bytes).first(8))); },
       .end = ends::when_provided,
       .provide = receive_what_is_there,
       .balanced = pair_is_balanced,
       .value = 8},
      {.name = "socket.send",
       .variant = "into an empty one",
       .parts = {{opcode::send}},
       .prepare = with_pair,
       .attempt = [](subject& s) { return told(s.near.send(std::span(s.bytes).first(8))); },
       .balanced = pair_is_balanced,
       .value = 8,
       .is_transfer = true},
      {.name = "socket.receive",
       .parts = {{opcode::recv}},
       .prepare = with_pair,
       .attempt = [](subject& s) { return told(s.near.receive(s.bytes)); },
       .end = ends::when_provided,
       .provide = send_a_byte,
       .value = 1},
      {.name = "socket.receive",
       .variant = "of what is there",
       .parts = {{opcode::recv}},
       .prepare = with_text_received,
       .attempt = [](subject& s) { return told(s.near.receive(std::span(s.bytes).first(some_text.size()))); },
       .value = some_text.size(),
       .is_transfer = true},
      {.name = "socket.shutdown",
       .parts = {{opcode::shutdown}},
       .prepare = with_pair,
       .attempt = [](subject& s) { return told(s.near.shutdown(SHUT_WR)); },
       .happened = [](subject& s) -> task<bool> {
         const auto sent = co_await asyncfs::as_result(s.near.send(std::span(s.bytes).first(1)));
         co_return !sent && sent.error().value() == EPIPE;
       }},
      {.name = "socket.close",
       .parts = {{opcode::close}},
       .prepare = [](subject& s) -> task<void> {
         co_await with_pair(s);
         s.number = s.near.fd();
       },
       .attempt = [](subject& s) { return told(s.near.close()); },
       .happened = is_closed,
       .ends_despite_cancel = true},
      {.name = "send_all",
       .parts = {{opcode::send}},
       .prepare = with_pair,
       .attempt = [](subject& s) { return told(asyncfs::send_all(s.near, std::span(s.bytes).first(8))); }},
      {.name = "receive_all",
       .parts = {{opcode::recv}},
       .prepare = with_text_received,
       .attempt = [](subject& s) { return told(asyncfs::receive_all(s.near, s.bytes)); },
       .value = some_text.size()},
      {.name = "listen",
       .parts = {{opcode::socket}, {opcode::bind}, {opcode::listen}},
       .prepare = with_free_address,
       .attempt = listen_anew},
      {.name = "connect",
       .parts = {{opcode::socket}, {opcode::connect}},
       .prepare = with_server,
       .attempt = [](subject& s) { return told(asyncfs::connect(s.address)); }},
      {.name = "listener.next",
       .parts = {{opcode::accept}},
       .prepare = with_listener,
       .attempt = next_connection,
       .end = ends::when_provided,
       .provide = connect_to_it,
       .becomes = accepts_one_by_one},
      {.name = "listener.stop",
       .prepare = with_armed_listener,
       .attempt = [](subject& s) -> task<outcome> {
         const outcome how = co_await told(s.incoming->stop());
         s.incoming = nullptr;
         co_return how;
       },
       .happened = [](subject& s) -> task<bool> { co_return s.incoming == nullptr; },
       .ends_despite_cancel = true},
  };
  for (row& one : rows) one.needs_directory = true;  // for addresses in it
  return rows;
}

}  // namespace

std::vector<row> stream_rows() {
  std::vector<row> all = pipe_rows();
  for (row& one : socket_rows()) all.push_back(std::move(one));
  return all;
}

}  // namespace matrix
