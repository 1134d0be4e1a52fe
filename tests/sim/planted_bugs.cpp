// Mistakes that people make, planted: the simulator must find each within a few hundred seeds, and nothing in the right
// twin beside it.
#include <asyncfs/asyncfs.hpp>
#include <asyncfs/testing/explore.hpp>

#include <charconv>

#include "../catch.hpp"

using asyncfs::file;
using asyncfs::task;
using asyncfs::testing::exploration;
using asyncfs::testing::explore;
using asyncfs::testing::fault;
using asyncfs::testing::fault_plan;
using asyncfs::testing::require;
using asyncfs::testing::simulation;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t a_few_hundred = 300;

exploration look_for(const char* name, const std::function<void(simulation&)>& scenario,
                     const fault_plan& plan = fault_plan::none()) {
  return explore(name, {.seeds = a_few_hundred, .faults = plan, .report = false}, scenario);
}

// Whether it ended without an error of the system.
bool succeeds(simulation& world, task<void> work) {
  try {
    world.run(std::move(work));
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

std::chrono::nanoseconds some_time(simulation& world, std::chrono::nanoseconds most) {
  return std::chrono::nanoseconds(world.choose(static_cast<std::uint64_t>(most.count())));
}

std::string letters(std::size_t size) {
  std::string all(size, '\0');
  for (std::size_t i = 0; i < size; ++i) all[i] = static_cast<char>('a' + i % 26);
  return all;
}

// ---- a result that came although it was cancelled ------------------------------------------------------------------

// Reads what comes within a moment; nothing when nothing came.
using patient_read = task<std::size_t> (*)(const asyncfs::pipe_reader&, std::span<std::byte>);

task<std::size_t> read_racing_time(const asyncfs::pipe_reader& from, std::span<std::byte> into) {
  const auto first = co_await asyncfs::race(from.read(into), asyncfs::sleep_for(1ms));
  co_return first.index() == 0 ? std::get<0>(first) : 0;  // what was read when time won is forgotten
}

task<std::size_t> read_within_time(const asyncfs::pipe_reader& from, std::span<std::byte> into) {
  try {
    co_return co_await asyncfs::with_timeout(from.read(into), 1ms);
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::timed_out) throw;
  }
  co_return 0;
}

task<void> send_slowly(asyncfs::pipe_writer& to, const std::string& what, simulation& world) {
  for (const char& c : what) {
    co_await asyncfs::sleep_for(some_time(world, 3ms));
    co_await asyncfs::write_all(to, std::as_bytes(std::span(&c, 1)));
  }
}

task<void> receive_patiently(const asyncfs::pipe_reader& from, std::string& into, patient_read read) {
  std::array<char, 10> buffer;
  for (int i = 0; i < 100; ++i) {
    const std::size_t got = co_await read(from, std::as_writable_bytes(std::span(buffer)));
    into.append(buffer.data(), got);
  }
}

void every_byte_is_received(simulation& world, patient_read read) {
  const auto ends = world.make_pipe();
  const asyncfs::pipe_reader from(ends[0]);
  asyncfs::pipe_writer to(ends[1]);
  const std::string sent = letters(20);
  std::string received;
  world.run(asyncfs::when_all(send_slowly(to, sent, world), receive_patiently(from, received, read)));
  require(received == sent, "bytes were lost");
}

// ---- reads that complete in any order ------------------------------------------------------------------------------

constexpr std::size_t block = 100;

task<void> read_and_append(const file& from, std::uint64_t at, std::string& into) {
  std::string piece(block, '\0');
  co_await from.read_at(std::as_writable_bytes(std::span(piece)), at);
  into += piece;
}

task<void> read_into_place(const file& from, std::uint64_t at, std::string& into) {
  co_await from.read_at(std::as_writable_bytes(std::span(into)).subspan(at, block), at);
}

using block_read = task<void> (*)(const file&, std::uint64_t, std::string&);

task<void> read_blocks(std::string& into, std::size_t count, block_read read) {
  const file from = co_await asyncfs::open("/f");
  std::vector<task<void>> readers;
  for (std::size_t i = 0; i < count; ++i) readers.push_back(read(from, i * block, into));
  co_await asyncfs::when_all(std::move(readers));
}

void blocks_are_in_order(simulation& world, block_read read, std::string into) {
  const std::string wanted = letters(5 * block);
  world.files().write("/f", wanted);
  world.run(read_blocks(into, 5, read));
  require(into == wanted, "the blocks are in another order");
}

// ---- a failed fsync ------------------------------------------------------------------------------------------------

task<void> sync_until_it_works(const file& what) {
  for (int tries = 0; tries < 3; ++tries) {
    const auto done = co_await asyncfs::as_result(what.sync());
    if (done) co_return;
  }
  co_await what.sync();
}

task<void> sync_once(const file& what) { co_await what.sync(); }

task<void> save(std::string text, task<void> (*make_durable)(const file&)) {
  file out = co_await asyncfs::create("/new");
  co_await asyncfs::write_all_at(out, std::as_bytes(std::span(text)), 0);
  co_await make_durable(out);
  co_await asyncfs::here().rename("/new", asyncfs::here(), "/config");
}

void saves_are_whole(simulation& world, task<void> (*make_durable)(const file&)) {
  world.files().write("/config", "old");
  const std::string text = letters(10'000);
  succeeds(world, save(text, make_durable));
  const auto left = world.files_after_power_loss().read("/config");
  require(left == "old" || left == text, "the file is neither old nor new");
}

// ---- a short read --------------------------------------------------------------------------------------------------

task<void> read_in_one_go(const file& from, std::string& into) {
  co_await from.read_at(std::as_writable_bytes(std::span(into)), 0);
}

task<void> read_to_the_end(const file& from, std::string& into) {
  for (std::size_t done = 0; done < into.size();) {
    const std::size_t got = co_await from.read_at(std::as_writable_bytes(std::span(into)).subspan(done), done);
    if (got == 0) break;
    done += got;
  }
}

task<void> load(std::string& into, task<void> (*read)(const file&, std::string&)) {
  const file from = co_await asyncfs::open("/f");
  const asyncfs::file_status is = co_await from.status();
  into.assign(is.size, '\0');
  co_await read(from, into);
}

void loads_are_whole(simulation& world, task<void> (*read)(const file&, std::string&)) {
  const std::string wanted = letters(1000);
  world.files().write("/f", wanted);
  std::string found;
  if (succeeds(world, load(found, read))) require(found == wanted, "bytes are missing, and nothing said so");
}

// ---- read, await, write back ---------------------------------------------------------------------------------------

task<void> add_one() {
  const std::string text = co_await asyncfs::read_file("/count");
  int count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string after = std::to_string(count + 1);
  co_await asyncfs::write_file("/count", after);
}

task<void> add_one_alone(asyncfs::semaphore& turn) {
  const auto permit = co_await turn.acquire();
  co_await add_one();
}

void counts_are_kept(simulation& world, bool one_at_a_time) {
  world.files().write("/count", "0");
  asyncfs::semaphore turn(1);
  std::vector<task<void>> hands;
  for (int i = 0; i < 3; ++i) hands.push_back(one_at_a_time ? add_one_alone(turn) : add_one());
  world.run(asyncfs::when_all(std::move(hands)));
  require(world.files().read("/count") == "3", "an update was lost");
}

// ---- sleeping instead of waiting -----------------------------------------------------------------------------------

task<void> prepare(asyncfs::event& ready) {
  co_await asyncfs::write_file("/prepared", "text");
  ready.set();
}

task<void> use_after_a_while(bool& found) {
  co_await asyncfs::sleep_for(100ms);  // long enough, mostly
  const auto opened = co_await asyncfs::as_result(asyncfs::open("/prepared"));
  found = opened.has_value();
}

task<void> use_when_ready(asyncfs::event& ready, bool& found) {
  co_await ready.wait();
  const auto opened = co_await asyncfs::as_result(asyncfs::open("/prepared"));
  found = opened.has_value();
}

void preparation_is_found(simulation& world, bool waits) {
  asyncfs::event ready;
  bool found = false;
  world.run(asyncfs::when_all(prepare(ready), waits ? use_when_ready(ready, found) : use_after_a_while(found)));
  require(found, "it was not there yet");
}

// ---- a descriptor across an await ----------------------------------------------------------------------------------

task<void> hold_number() {
  file opened = co_await asyncfs::open("/f");
  const int number = opened.release();
  co_await asyncfs::sleep_for(1ms);
  file again(number);
  co_await again.close();
}

task<void> hold_file() {
  file opened = co_await asyncfs::open("/f");
  co_await asyncfs::sleep_for(1ms);
  co_await opened.close();
}

void nothing_is_left_open(simulation& world, task<void> work) {
  world.files().write("/f", "text");
  succeeds(world, asyncfs::with_timeout(std::move(work), some_time(world, 3ms)));
}

}  // namespace

TEST_CASE("PLANTED BUG: a read whose result came although it was cancelled is forgotten") {
  const auto found = look_for("race", [](simulation& world) { every_byte_is_received(world, read_racing_time); });
  CHECK(found.reason == "bytes were lost");
  const auto right = look_for("timeout", [](simulation& world) { every_byte_is_received(world, read_within_time); });
  CHECK(right.reason.empty());
}

TEST_CASE("PLANTED BUG: reads beside each other are taken to complete in the order they were begun") {
  const auto found = look_for("append", [](simulation& world) { blocks_are_in_order(world, read_and_append, {}); });
  CHECK(found.reason == "the blocks are in another order");
  const auto right = look_for(
      "place", [](simulation& world) { blocks_are_in_order(world, read_into_place, std::string(5 * block, '\0')); });
  CHECK(right.reason.empty());
}

TEST_CASE("PLANTED BUG: an fsync that failed is tried again, and believed when it then succeeds") {
  const auto plan = fault_plan::none().set(fault::io_error, 0.05);
  const auto found = look_for("again", [](simulation& w) { saves_are_whole(w, sync_until_it_works); }, plan);
  CHECK(found.reason == "the file is neither old nor new");
  const auto right = look_for("once", [](simulation& w) { saves_are_whole(w, sync_once); }, plan);
  CHECK(right.reason.empty());
}

TEST_CASE("PLANTED BUG: a read is taken to fill its buffer") {
  const auto plan = fault_plan::usual();
  const auto found = look_for("one go", [](simulation& world) { loads_are_whole(world, read_in_one_go); }, plan);
  CHECK(found.reason == "bytes are missing, and nothing said so");
  const auto right = look_for("to the end", [](simulation& world) { loads_are_whole(world, read_to_the_end); }, plan);
  CHECK(right.reason.empty());
}

TEST_CASE("PLANTED BUG: two tasks read, wait, and write back what they made of it") {
  const auto found = look_for("beside", [](simulation& world) { counts_are_kept(world, false); });
  CHECK(found.reason == "an update was lost");
  const auto right = look_for("in turn", [](simulation& world) { counts_are_kept(world, true); });
  CHECK(right.reason.empty());
}

TEST_CASE("PLANTED BUG: a task sleeps for what it should wait for") {
  const auto plan = fault_plan::none().set(fault::delayed, 0.02);
  const auto found = look_for("sleep", [](simulation& world) { preparation_is_found(world, false); }, plan);
  CHECK(found.reason == "it was not there yet");
  const auto right = look_for("wait", [](simulation& world) { preparation_is_found(world, true); }, plan);
  CHECK(right.reason.empty());
}

TEST_CASE("PLANTED BUG: a descriptor that nothing owns leaks when its task is cancelled") {
  const auto found = look_for("number", [](simulation& world) { nothing_is_left_open(world, hold_number()); });
  CHECK(found.reason == "1 descriptors were left open");
  const auto right = look_for("file", [](simulation& world) { nothing_is_left_open(world, hold_file()); });
  CHECK(right.reason.empty());
}
