// Every operation that the library's users can ask for, each able to succeed: the table that the fault tests go by.
//
// `faults/every_opcode.cpp` compares it with the public headers, so an opcode that comes into use there and not here
// fails a test.
#pragma once

#include <asyncfs/asyncfs.hpp>

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../support/engines.hpp"

namespace tests {

// What the operations work on; made by plain system calls, in an empty directory.
struct operands {
  explicit operands(const place& at)
      : file(made(::openat(at.dir.fd(), "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600))),
        copy(made(::openat(at.dir.fd(), "copy", O_RDWR | O_CREAT | O_CLOEXEC, 0600))),
        client(made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))),
        server(made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))),
        unbound(made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))),
        address(*asyncfs::endpoint::unix_path(at.path + "/socket")),
        path(at.path + "/file") {
    int ends[2];
    made(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    near = asyncfs::socket(ends[0]);
    far = asyncfs::socket(ends[1]);
    made(::pipe2(ends, O_CLOEXEC));
    pipe_out = asyncfs::file(ends[0]);
    pipe_in = asyncfs::file(ends[1]);
    const std::string text(8192, 'x');
    made(::write(file.fd(), text.data(), text.size()) == 8192 ? 0 : -1);
    for (const int stream : {far.fd(), pipe_in.fd()}) made(::write(stream, text.data(), 64) == 64 ? 0 : -1);
    made(::bind(server.fd(), address.data(), address.size()));
    made(::listen(server.fd(), 8));
    made(::connect(client.fd(), address.data(), address.size()));
    client = asyncfs::socket(made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    made(::mkdirat(at.dir.fd(), "sub", 0700));
    made(::symlinkat("file", at.dir.fd(), "link"));
  }
  static int made(int value) {
    if (value < 0) throw std::system_error(errno, std::system_category(), "preparing the operations");
    return value;
  }

  asyncfs::file file, copy, pipe_out, pipe_in;
  asyncfs::socket near, far, client, server, unbound;
  asyncfs::endpoint address;
  std::string path;
};

// Calls visit(make) for each, where make() describes the operation anew; visit returns task<void>.
template <class Visitor>
asyncfs::task<void> visit_public_operations(place& at, Visitor visit) {
  operands on(at);
  const asyncfs::directory& dir = at.dir;
  std::array<std::byte, 4096> bytes{};
  std::array<char, 256> names{};
  const iovec piece{bytes.data(), bytes.size()};
  asyncfs::list_arguments list{.buffer = bytes.data(), .capacity = bytes.size()};
  const asyncfs::file_time now{1'600'000'000, 0};
  const auto user = static_cast<std::uint32_t>(::getuid()), group = static_cast<std::uint32_t>(::getgid());
  const asyncfs::endpoint any = asyncfs::endpoint::loopback(0);

  co_await visit([] { return asyncfs::nop(); });

  co_await visit([&] { return on.file.read_at(bytes, 0); });
  co_await visit([&] { return on.file.write_at(bytes, 0); });
  co_await visit([&] { return on.pipe_out.read(std::span(bytes).first(8)); });
  co_await visit([&] { return on.pipe_in.write(std::span(bytes).first(8)); });
  co_await visit([&] { return on.file.readv_at({&piece, 1}, 0); });
  co_await visit([&] { return on.file.writev_at({&piece, 1}, 0); });
  co_await visit([&] { return on.file.sync(); });
  co_await visit([&] { return on.file.sync_data(); });
  co_await visit([&] { return on.file.allocate(0, 0, 16384); });
  co_await visit([&] { return on.file.truncate(8192); });
  co_await visit([&] { return on.file.advise(0, 4096, POSIX_FADV_NORMAL); });
  co_await visit([&] { return on.file.status(); });
  co_await visit([&] { return on.file.set_mode(0600); });
  co_await visit([&] { return on.file.set_owner(user, group); });
  co_await visit([&] { return on.file.set_times(now, now); });
  co_await visit([&] { return on.file.set_attribute("user.asyncfs", std::span(bytes).first(4)); });
  co_await visit([&] { return on.file.list_attributes(names); });
  co_await visit([&] { return on.file.attribute("user.asyncfs", bytes); });
  co_await visit([&] { return dir.get_attribute(on.path.c_str(), "user.asyncfs", bytes); });
  co_await visit([&] { return on.file.remove_attribute("user.asyncfs"); });
  co_await visit([&] { return on.file.next_data(0); });
  co_await visit([&] { return on.file.next_hole(0); });
  co_await visit([&] { return on.file.copy_range_to(on.copy, 0, 0, 4096); });
  co_await visit([&] { return on.file.clone_to(on.copy); });
  co_await visit([&] { return asyncfs::file(::fcntl(on.file.fd(), F_DUPFD_CLOEXEC, 0)).close(); });

  co_await visit([&] { return dir.open("file"); });
  co_await visit([&] { return dir.open_directory("sub"); });
  co_await visit([&] { return dir.open_resolved("sub", O_RDONLY | O_DIRECTORY, RESOLVE_BENEATH); });
  co_await visit([&] { return dir.create("created", O_WRONLY, 0600); });
  co_await visit([&] { return dir.status("file"); });
  co_await visit([&] { return dir.status_followed("link"); });
  co_await visit([&] { return dir.status(); });
  co_await visit([&] { return dir.make_directory("made", 0700); });
  co_await visit([&] { return dir.make_node("node", S_IFIFO | 0600, 0); });
  co_await visit([&] { return dir.rename("sub", dir, "moved"); });
  co_await visit([&] { return dir.remove_directory("moved"); });
  co_await visit([&] { return dir.link("file", dir, "hard"); });
  co_await visit([&] { return dir.symlink("file", "soft"); });
  co_await visit([&] { return dir.read_link("link"); });
  co_await visit([&] { return dir.remove("link"); });
  co_await visit([&] { return dir.set_mode("file", 0600); });
  co_await visit([&] { return dir.set_owner("file", user, group); });
  co_await visit([&] { return dir.set_times("file", now, now); });
  co_await visit([&] { return dir.set_mode_of_self(0700); });
  co_await visit([&] { return dir.set_owner_of_self(user, group); });
  co_await visit([&] { return dir.set_times_of_self(now, now); });
  co_await visit([&] { return dir.read_entries(bytes); });
  co_await visit([&] { return dir.list(".", list, {}); });
  if (list.directory >= 0) ::close(list.directory);

  co_await visit([] { return asyncfs::socket::open(AF_UNIX, SOCK_STREAM); });
  co_await visit([&] { return on.unbound.bind(any); });
  co_await visit([&] { return on.unbound.listen(); });
  co_await visit([&] { return on.server.accept(); });
  co_await visit([&] { return on.client.connect(on.address); });
  co_await visit([&] { return on.near.send(std::span(bytes).first(8)); });
  co_await visit([&] { return on.near.receive(bytes); });
  co_await visit([&] { return on.near.shutdown(SHUT_WR); });
  co_await visit([&] { return asyncfs::socket(::fcntl(on.near.fd(), F_DUPFD_CLOEXEC, 0)).close(); });

  co_await visit([] { return asyncfs::open_pipe(); });
  co_await visit([&] { return asyncfs::poll(on.pipe_in.fd(), POLLOUT); });
  co_await visit([] { return asyncfs::operation(asyncfs::detail::signalfd_kind{asyncfs::signal_set(SIGUSR1).raw()}); });
  const asyncfs::descriptor self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  co_await visit([&] {  // process::signal, of a process that no object may own
    return asyncfs::detail::plain<asyncfs::opcode::pidfd_send_signal, void>({.fd = self.fd(), .length = 0});
  });
}

}  // namespace tests
