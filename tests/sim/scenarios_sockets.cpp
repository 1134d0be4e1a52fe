// Scenarios of connections and pipes: servers, clients that come, go, and run out of patience.
#include <algorithm>

#include "scenario.hpp"

using namespace std::chrono_literals;

namespace sim {
namespace {

asyncfs::endpoint some_address(simulation& world) {
  return world.choose(2) == 0 ? asyncfs::endpoint::loopback(0) : *asyncfs::endpoint::unix_path("@here");
}

// ---- echo ----------------------------------------------------------------------------------------------------------

task<void> serve(asyncfs::socket peer) {
  std::string buffer(1000, '\0');
  for (;;) {
    const std::size_t got = co_await peer.receive(room_in(buffer));
    if (got == 0) break;
    co_await asyncfs::send_all(peer, bytes_of(buffer).first(got));
  }
}

task<void> serve_all(asyncfs::listener& incoming, asyncfs::scope& connections) {
  for (;;) {
    std::optional<asyncfs::socket> peer;
    bool failed = false;
    try {
      peer = co_await incoming.next();
    } catch (const std::system_error&) {
      failed = true;  // this one connection could not be had
    }
    if (failed) continue;
    if (!peer) break;
    connections.spawn(serve(*std::move(peer)));
  }
}

task<void> run_server(asyncfs::listener& incoming, int& strange_errors) {
  const auto body = [&incoming](asyncfs::scope& connections) { return serve_all(incoming, connections); };
  const auto on_error = [&strange_errors](const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const std::system_error&) {
    } catch (...) {
      ++strange_errors;
    }
  };
  co_await asyncfs::in_scope(body, on_error);
}

struct conversation {
  std::string sent, received;
  bool complete = false;
};

// Sends while it receives, so that neither side waits for the other with full buffers.
task<void> receive_echo(const asyncfs::socket& peer, conversation& talk) {
  std::string buffer(3000, '\0');
  while (talk.received.size() < talk.sent.size()) {
    const std::size_t got = co_await peer.receive(room_in(buffer));
    if (got == 0) break;
    talk.received.append(buffer, 0, got);
  }
}

task<void> converse(asyncfs::endpoint address, conversation& talk) {
  const asyncfs::socket peer = co_await asyncfs::connect(address);
  co_await asyncfs::when_all(asyncfs::send_all(peer, bytes_of(talk.sent)), receive_echo(peer, talk));
  talk.complete = talk.received.size() == talk.sent.size();
}

task<void> impatient(task<void> work, std::chrono::nanoseconds limit) {
  co_await asyncfs::with_timeout(std::move(work), limit);
}

task<void> come_and_go(const asyncfs::endpoint& address, std::vector<conversation>& talks, simulation& world) {
  std::vector<task<bool>> clients;
  for (conversation& talk : talks) {
    task<void> client = converse(address, talk);
    if (world.choose(3) == 0) client = impatient(std::move(client), some_time(world, 20ms));
    clients.push_back(attempted(std::move(client)));
  }
  co_await asyncfs::when_all(std::move(clients));
}

task<void> clients_then_stop(asyncfs::listener& incoming, std::vector<conversation>& talks, simulation& world) {
  const asyncfs::endpoint address = *incoming.bound().local();
  co_await come_and_go(address, talks, world);
  co_await incoming.stop();
}

task<void> echo_world(std::vector<conversation>& talks, simulation& world, int& strange_errors) {
  const auto incoming = co_await asyncfs::listen(some_address(world));
  co_await asyncfs::when_all(run_server(*incoming, strange_errors), clients_then_stop(*incoming, talks, world));
}

void check_talks(const std::vector<conversation>& talks) {
  for (const conversation& talk : talks) {
    require(talk.sent.starts_with(talk.received), "bytes came back that differ, or in another order");
    if (talk.complete) require(talk.received == talk.sent, "bytes are missing");
  }
}

std::vector<conversation> some_talks(simulation& world) {
  std::vector<conversation> talks(1 + world.choose(8));
  for (conversation& talk : talks) talk.sent = text(world.choose(26), some_size(world));
  return talks;
}

void echo(simulation& world) {
  auto talks = some_talks(world);
  int strange_errors = 0;
  succeeds(world, echo_world(talks, world, strange_errors));
  check_talks(talks);
  require(strange_errors == 0, "a connection ended in an error that is none of the system's");
}
const scenario echoes_scenario(
    "an echo server gives every byte back in order, to clients that stay and to those that leave", echo);

task<void> limited_echo_world(std::vector<conversation>& talks, simulation& world, std::chrono::nanoseconds limit) {
  int strange_errors = 0;
  co_await asyncfs::with_timeout(echo_world(talks, world, strange_errors), limit);
  require(strange_errors == 0, "a connection ended in an error that is none of the system's");
}

void cancelled_echo(simulation& world) {
  auto talks = some_talks(world);
  succeeds(world, limited_echo_world(talks, world, some_time(world, 30ms)));
  check_talks(talks);
}
const scenario cancelled_server_scenario("a server and its clients that are cancelled at any moment leave nothing open",
                                         cancelled_echo);

// ---- accepting -----------------------------------------------------------------------------------------------------

struct crowd {
  asyncfs::endpoint address;
  asyncfs::event over;
  int connected = 0, saw_the_end = 0, failed = 0;
};

// Connects, and waits for the other side to go.
task<void> stand_in_line(crowd& of) {
  const auto peer = co_await attempted(asyncfs::connect(of.address));
  if (!peer) {
    ++of.failed;
    co_return;
  }
  ++of.connected;
  std::array<std::byte, 1> buffer{};
  const auto got = co_await asyncfs::as_result(peer->receive(buffer));
  if (got) require(*got == 0, "bytes that nobody sent");
  ++(got ? of.saw_the_end : of.failed);
}

task<std::optional<asyncfs::socket>> take_one(asyncfs::listener& from) { co_return co_await from.next(); }

// Takes some, slowly, and leaves the others in the queue, and in the backlog behind it.
task<void> take_some(asyncfs::listener& incoming, std::size_t count, simulation& world) {
  std::vector<asyncfs::socket> taken;
  for (std::size_t i = 0; i < count; ++i) {
    auto one = co_await attempted(asyncfs::with_timeout(take_one(incoming), some_time(world, 20ms)));
    if (one && *one) taken.push_back(**std::move(one));
    if (world.choose(3) == 0) co_await asyncfs::sleep_for(some_time(world, 5ms));
  }
  co_await asyncfs::sleep_for(some_time(world, 20ms));
  if (world.choose(2) == 0) co_await attempted(asyncfs::with_timeout(take_one(incoming), some_time(world, 2ms)));
  co_await incoming.stop();
}

task<void> take_some_and_close(std::unique_ptr<asyncfs::listener> incoming, std::size_t count, simulation& world) {
  const auto own = std::move(incoming);  // gone at the end of the task; its parameters live as long as its frame
  co_await take_some(*own, count, world);
}

task<void> crowded_world(crowd& all, std::size_t clients, simulation& world) {
  const int backlog = world.choose(2) == 0 ? SOMAXCONN : static_cast<int>(world.choose(8));
  auto incoming = co_await asyncfs::listen(some_address(world), backlog);
  all.address = *incoming->bound().local();
  std::vector<task<void>> hands;
  for (std::size_t i = 0; i < clients; ++i) hands.push_back(stand_in_line(all));
  const std::size_t count = world.choose(clients + 2);
  hands.push_back(take_some_and_close(std::move(incoming), count, world));
  co_await asyncfs::when_all(std::move(hands));
}

void full_queue(simulation& world) {
  // Now and then more than a listener's queue holds.
  const std::size_t clients = world.choose(20) == 0 ? asyncfs::listener::most_queued + 20 : 1 + world.choose(12);
  crowd all;
  const bool done = succeeds(world, crowded_world(all, clients, world));
  if (done)
    require(all.saw_the_end + all.failed == static_cast<int>(clients), "a client does not know how its visit ended");
}
const scenario crowds_scenario("connections that nobody takes are closed with their listener, also behind a full queue",
                               full_queue);

task<void> take_until_closed(asyncfs::listener& incoming, int& taken) {
  for (;;) {
    auto one = co_await attempted(take_one(incoming));
    if (!one) continue;
    if (!*one) break;
    ++taken;
  }
}

task<void> stop_later(asyncfs::listener& incoming, std::chrono::nanoseconds when) {
  co_await asyncfs::sleep_for(when);
  co_await incoming.stop();
}

task<void> come(asyncfs::endpoint address, int& came, simulation& world) {
  co_await asyncfs::sleep_for(some_time(world, 10ms));
  const asyncfs::socket peer = co_await asyncfs::connect(address);
  ++came;
}

task<void> stopped_world(int& came, int& taken, simulation& world) {
  const auto incoming = co_await asyncfs::listen(some_address(world));
  const asyncfs::endpoint address = *incoming->bound().local();
  std::vector<task<bool>> hands;
  for (std::uint64_t i = 0, count = world.choose(10); i < count; ++i)
    hands.push_back(attempted(come(address, came, world)));
  hands.push_back(attempted(take_until_closed(*incoming, taken)));
  hands.push_back(attempted(stop_later(*incoming, some_time(world, 15ms))));
  co_await asyncfs::when_all(std::move(hands));
}

void stop_at_any_moment(simulation& world) {
  int came = 0, taken = 0;
  succeeds(world, stopped_world(came, taken, world));
  require(taken <= came + 10, "more connections than clients");
}
const scenario stopped_scenario("a listener that is stopped at any moment lets go of who waits and of who knocks",
                                stop_at_any_moment);

// ---- a connection both ways ----------------------------------------------------------------------------------------

task<void> send_and_end(const asyncfs::socket& to, const std::string& what) {
  co_await asyncfs::send_all(to, bytes_of(what));
  co_await to.shutdown(SHUT_WR);
}

task<void> receive_to_end(const asyncfs::socket& from, std::string& into, std::size_t piece) {
  std::string buffer(piece, '\0');
  for (;;) {
    const std::size_t got = co_await from.receive(room_in(buffer));
    if (got == 0) break;
    into.append(buffer, 0, got);
  }
}

struct both_ways {
  std::string sent[2], received[2];
};

task<void> exchange(std::array<int, 2> ends, both_ways& what, simulation& world) {
  const asyncfs::socket one(ends[0]), other(ends[1]);
  std::vector<task<void>> hands;
  hands.push_back(send_and_end(one, what.sent[0]));
  hands.push_back(send_and_end(other, what.sent[1]));
  hands.push_back(receive_to_end(other, what.received[0], 1 + world.choose(5000)));
  hands.push_back(receive_to_end(one, what.received[1], 1 + world.choose(5000)));
  co_await asyncfs::when_all(std::move(hands));
}

void exchanges(simulation& world) {
  both_ways what;
  for (std::string& one : what.sent) one = text(world.choose(26), 2 * some_size(world));
  const bool done = succeeds(world, exchange(world.make_socket_pair(), what, world));
  for (int i = 0; i < 2; ++i) {
    require(what.sent[i].starts_with(what.received[i]), "other bytes came than were sent");
    if (done) require(what.received[i] == what.sent[i], "bytes are missing, and nothing said so");
  }
}
const scenario pairs_scenario("two sides that send to their end at once get all of each other's bytes", exchanges);

// ---- pipes ---------------------------------------------------------------------------------------------------------

struct flow {
  std::string in, out;
  std::size_t written = 0;  // as the writes said
};

constexpr int turns_of_a_pipe = 12;

// A wait that ends early has moved nothing; one that moved bytes says how many.
task<void> write_some(const asyncfs::pipe_writer& to, flow& bytes, simulation& world) {
  for (int i = 0; i < turns_of_a_pipe; ++i) {
    const auto left = bytes_of(bytes.in).subspan(bytes.written);
    const auto piece = left.first(std::min<std::size_t>(left.size(), 1 + world.choose(20'000)));
    const auto wrote = co_await attempted(asyncfs::with_timeout(to.write(piece), some_time(world, 2ms)));
    if (wrote) bytes.written += *wrote;
  }
}

task<void> read_some(const asyncfs::pipe_reader& from, flow& bytes, simulation& world) {
  std::string buffer(20'000, '\0');
  for (int i = 0; i < turns_of_a_pipe; ++i) {
    const auto piece = room_in(buffer).first(1 + world.choose(buffer.size()));
    const auto got = co_await attempted(asyncfs::with_timeout(from.read(piece), some_time(world, 2ms)));
    if (got) bytes.out.append(buffer, 0, *got);
  }
}

task<void> pour(flow& bytes, bool& drained, simulation& world) {
  asyncfs::pipe_ends ends = co_await asyncfs::open_pipe();
  co_await asyncfs::when_all(write_some(ends.writer, bytes, world), read_some(ends.reader, bytes, world));
  const auto closed = co_await asyncfs::as_result(ends.writer.close());
  static_cast<void>(closed);
  bytes.out += co_await asyncfs::read_to_end(ends.reader);
  drained = true;
}

void pipes_keep_bytes(simulation& world) {
  flow bytes{.in = text(5, 200'000), .out = {}};
  bool drained = false;
  succeeds(world, pour(bytes, drained, world));
  require(bytes.in.starts_with(bytes.out), "other bytes come out than went in");
  if (drained) require(bytes.out.size() == bytes.written, "what came out and was left is not what went in");
}
const scenario pouring_scenario("what goes into a pipe comes out or is left in it, whoever runs out of patience",
                                pipes_keep_bytes);

task<void> write_to_end(asyncfs::pipe_writer to, const std::string& what) {
  const auto own = std::move(to);
  co_await asyncfs::write_all(own, bytes_of(what));
}

task<void> read_to_end_of(asyncfs::pipe_reader from, std::string& into, std::size_t most) {
  const auto own = std::move(from);
  std::string buffer(4096, '\0');
  while (into.size() < most) {
    const std::size_t got = co_await own.read(room_in(buffer));
    if (got == 0) break;
    into.append(buffer, 0, got);
  }
}

task<void> write_and_read(std::array<int, 2> ends, const std::string& what, std::string& found, std::size_t most) {
  const auto [in, out] = co_await asyncfs::when_all_settled(write_to_end(asyncfs::pipe_writer(ends[1]), what),
                                                            read_to_end_of(asyncfs::pipe_reader(ends[0]), found, most));
  if (in && out && found.size() < most) require(found == what, "bytes are missing, and nothing said so");
  require(what.starts_with(found), "other bytes come out than went in");
}

void readers_that_leave(simulation& world) {
  const std::string what = text(6, 2 * some_size(world));
  std::string found;
  const std::size_t most = world.choose(2) == 0 ? ~std::size_t{0} : world.choose(50'000);
  world.run(write_and_read(world.make_pipe(1 + world.choose(10'000) + 4096), what, found, most));
}
const scenario leaving_scenario("a writer gets all its bytes through, or learns that the reader left",
                                readers_that_leave);

}  // namespace
}  // namespace sim
