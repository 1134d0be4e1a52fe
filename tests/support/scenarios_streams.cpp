#include "scenario_files.hpp"

#include <sys/socket.h>

#include <memory>
#include <utility>

using asyncfs::task;
using namespace std::chrono_literals;

namespace tests {

namespace {

// ---- sockets and pipes

constexpr std::size_t message_size = 4000;

task<void> echo(asyncfs::socket with) {
  std::array<std::byte, message_size> buffer;
  const std::size_t got = co_await asyncfs::receive_all(with, buffer);
  co_await asyncfs::send_all(with, std::span(buffer).first(got));
}

task<void> ask(asyncfs::endpoint server) {
  const asyncfs::socket s = co_await asyncfs::connect(server);
  const auto question = pattern<message_size>();
  std::array<std::byte, message_size> answer{};
  co_await asyncfs::send_all(s, question);
  const std::size_t got = co_await asyncfs::receive_all(s, answer);
  // A server that failed ends the connection early: that is its failure to report.
  if (got != message_size) throw std::system_error(ECONNABORTED, std::system_category(), "answer");
  expect(is_pattern(answer), "the answer");
}

task<void> serve(asyncfs::listener& incoming, std::size_t connections) {
  const asyncfs::task_context here = co_await asyncfs::this_task;
  asyncfs::scope serving(here);
  std::exception_ptr failed;
  try {
    for (std::size_t i = 0; i < connections; ++i) {
      auto connection = co_await incoming.next();
      if (!connection) throw std::system_error(ECANCELED, std::system_category(), "serve");
      serving.spawn(echo(*std::move(connection)));
    }
  } catch (...) {
    failed = std::current_exception();
    serving.cancel();
  }
  co_await serving.join();
  if (failed) std::rethrow_exception(failed);
}

task<void> ask_often(asyncfs::endpoint server, std::size_t times) {
  for (std::size_t i = 0; i < times; ++i) co_await ask(server);
}

task<void> serve_at(asyncfs::endpoint address, std::size_t connections) {
  const std::unique_ptr<asyncfs::listener> incoming = co_await asyncfs::listen(address);
  task<void> stop = incoming->stop();  // made while it can be: stopping is not to fail
  std::exception_ptr failed;
  try {
    co_await asyncfs::when_all(serve(*incoming, connections), ask_often(*incoming->bound().local(), connections));
  } catch (...) {
    failed = std::current_exception();
  }
  co_await std::move(stop);
  if (failed) std::rethrow_exception(failed);
}
task<void> talk_over_tcp(place&) { return serve_at(asyncfs::endpoint::loopback(0), 1); }
task<void> talk_over_a_unix_socket(place& at) { return serve_at(*asyncfs::endpoint::unix_path(at.path + "/s"), 1); }
task<void> serve_several(place&) { return serve_at(asyncfs::endpoint::loopback(0), 3); }

task<void> pass_through_a_pipe(place&) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::system_category(), "pipe2");
  const asyncfs::file reading(ends[0]);
  asyncfs::file writing(ends[1]);
  const auto out = pattern<256>();
  std::array<std::byte, 256> in{};
  const auto [read, written] = co_await asyncfs::when_all(reading.read(in), writing.write(out));
  expect(read == 256 && written == 256 && is_pattern(in), "what came through");
  co_await writing.close();
  const std::size_t at_end = co_await reading.read(in);
  expect(at_end == 0, "the end of the pipe");
}

constexpr scenario all[] = {
    {"a question is answered over TCP", nullptr, talk_over_tcp},
    {"a question is answered over a Unix socket", nullptr, talk_over_a_unix_socket},
    {"a listener serves several", nullptr, serve_several},
    {"bytes pass through a pipe", nullptr, pass_through_a_pipe},
};

}  // namespace

std::span<const scenario> scenarios_of_streams() { return all; }

}  // namespace tests
