// Scenarios of single files: written, saved, copied, shared between tasks.
#include "scenario.hpp"

using namespace std::chrono_literals;
using asyncfs::file;

namespace sim {
namespace {

// ---- whole files ---------------------------------------------------------------------------------------------------

task<void> read_into(std::string& into) { into = co_await asyncfs::read_file("/f"); }

void written_reads_back(simulation& world) {
  const std::string wanted = text(world.choose(26), some_size(world));
  const bool written = succeeds(world, asyncfs::write_file("/f", wanted));
  const std::string left = world.files().read("/f").value_or("");
  require(wanted.starts_with(left), "a write leaves more than a beginning of the text, or other text");
  if (written) require(left == wanted, "the write says that it is complete, and is not");
  std::string found;
  if (succeeds(world, read_into(found))) require(found == left, "what was read is not what is there");
}
const scenario reads_back_scenario("a file that was written reads back whole", written_reads_back);

// Makes the text durable under another name, then the new name itself.
task<void> save(std::string path, std::string text) {
  const std::string temporary = path + ".new";
  {
    file out = co_await asyncfs::create(temporary.c_str());
    co_await asyncfs::write_all_at(out, bytes_of(text), 0);
    co_await out.sync();
    co_await out.close();
  }
  co_await asyncfs::here().rename(temporary.c_str(), asyncfs::here(), path.c_str());
  const file above = co_await asyncfs::open("/d", O_RDONLY | O_DIRECTORY);
  co_await above.sync();
}

void save_is_atomic(simulation& world) {
  world.files().write("/d/config", "the old text");
  const std::string wanted = text(world.choose(26), some_size(world));
  const bool saved = succeeds(world, save("/d/config", wanted));
  const auto found = world.files_after_power_loss().read("/d/config");
  require(found == "the old text" || found == wanted, "the file is neither old nor new");
  if (saved) require(found == wanted, "a durable save is gone");
}
const scenario saves_scenario("a save survives the power as a whole, and when it is done for good", save_is_atomic,
                              fault_plan::usual().set(fault::power_loss, 0.5));

void saves_do_not_mix(simulation& world) {
  const std::size_t count = 2 + world.choose(6);
  std::vector<std::string> paths, texts;
  std::vector<task<bool>> work;
  for (std::size_t i = 0; i < count; ++i) {
    paths.push_back("/d/" + std::to_string(i));
    texts.push_back(text(i, some_size(world)));
    world.files().write(paths[i], "old " + paths[i]);
    work.push_back(attempted(save(paths[i], texts[i])));
  }
  const std::vector<bool> saved = [&] {
    const auto all = world.run(asyncfs::when_all(std::move(work)));
    return std::vector<bool>(all.begin(), all.end());
  }();
  const auto left = world.files_after_power_loss();
  for (std::size_t i = 0; i < count; ++i) {
    const auto found = left.read(paths[i]);
    require(found == "old " + paths[i] || found == texts[i], "a file is neither old nor new");
    if (saved[i]) require(found == texts[i], "a durable save is gone");
  }
}
const scenario many_saves_scenario("saves beside each other keep each their own file", saves_do_not_mix,
                                   fault_plan::usual().set(fault::power_loss, 0.3));

void full_disk(simulation& world) {
  world.files().write("/other", text(1, 40'000));
  world.files().set_capacity(70'000);
  const std::string wanted = text(2, 10'000 + world.choose(80'000));
  const bool written = succeeds(world, asyncfs::write_file("/f", wanted));
  const std::string left = world.files().read("/f").value_or("");
  require(wanted.starts_with(left), "a full disk leaves other bytes than a beginning");
  if (written) require(left == wanted && left.size() <= 30'000, "more was written than there is room for");
  require(world.files().read("/other") == text(1, 40'000), "a write that found no room harmed another file");
}
const scenario disk_scenario("a full disk ends a write with an error and a beginning of the text", full_disk);

// ---- copies --------------------------------------------------------------------------------------------------------

struct pieces {
  std::vector<std::pair<std::uint64_t, std::string>> written;
  std::uint64_t size = 0;
  [[nodiscard]] std::string whole() const {
    std::string all(size, '\0');
    for (const auto& [at, bytes] : written) all.replace(at, bytes.size(), bytes);
    return all;
  }
};

pieces with_holes(simulation& world) {
  pieces made;
  for (std::uint64_t i = world.choose(5), at = 0; i > 0; --i) {
    at += world.choose(20'000);
    made.written.emplace_back(at, text(i, 1 + world.choose(9000)));
    at += made.written.back().second.size();
    made.size = at;
  }
  made.size += world.choose(3) * 5000;
  return made;
}

task<void> plant(const pieces& what) {
  const file out = co_await asyncfs::create("/from");
  for (const auto& [at, bytes] : what.written) co_await asyncfs::write_all_at(out, bytes_of(bytes), at);
  co_await out.truncate(what.size);
}

struct copy_result {
  bool complete = false;
  asyncfs::file_status from, to;
};

task<void> copy(copy_result& into, asyncfs::sparse holes) {
  const file from = co_await asyncfs::open("/from");
  const file to = co_await asyncfs::create("/to");
  asyncfs::copy_options how;
  how.sparse = holes;
  co_await asyncfs::copy_file(from, to, how);
  into.complete = true;
  into.from = co_await from.status();
  into.to = co_await to.status();
}

void copies_are_equal(simulation& world) {
  const pieces source = with_holes(world);
  if (!succeeds(world, plant(source))) return;
  const bool sparse = world.choose(2) == 0;
  copy_result result;
  const bool looked = succeeds(world, copy(result, sparse ? asyncfs::sparse::automatic : asyncfs::sparse::never));
  require(world.files().read("/from") == source.whole(), "the source was changed");
  if (result.complete) require(world.files().read("/to") == source.whole(), "the copy differs, and nothing said so");
  if (looked && sparse) require(result.to.blocks <= result.from.blocks, "a hole of the source became zeros");
}
const scenario copying_scenario("a copy is equal to its source, holes and all, or says why not", copies_are_equal);

task<void> copy_in_time(copy_result& into, std::chrono::nanoseconds limit) {
  co_await asyncfs::with_timeout(copy(into, asyncfs::sparse::automatic), limit);
}

void cancelled_copies(simulation& world) {
  const pieces source = with_holes(world);
  if (!succeeds(world, plant(source))) return;
  copy_result result;
  const bool done = succeeds(world, copy_in_time(result, some_time(world, 10ms)));
  if (done || result.complete)
    require(world.files().read("/to") == source.whole(), "the copy differs, and nothing said so");
}
const scenario copying_in_time_scenario("a copy that is cancelled at any moment says so, or is whole",
                                        cancelled_copies);

// ---- one file, many tasks ------------------------------------------------------------------------------------------

struct block {
  std::uint64_t at;
  std::string bytes;
  bool acknowledged = false;
};

task<void> write_block(const file& to, block& one) {
  co_await asyncfs::write_all_at(to, bytes_of(one.bytes), one.at);
  one.acknowledged = true;
}

task<void> write_blocks(std::vector<block>& blocks, std::size_t at_once) {
  const file out = co_await asyncfs::create("/f");
  const auto write = [&out](block& one) { return write_block(out, one); };
  co_await asyncfs::for_each_concurrent(blocks, at_once, write);
}

void blocks_keep_apart(simulation& world) {
  std::vector<block> blocks;
  std::uint64_t end = 0;
  for (std::uint64_t i = 0, count = 1 + world.choose(10); i < count; ++i) {
    blocks.push_back({end, text(i, 1 + world.choose(6000))});
    end += blocks.back().bytes.size();
  }
  const bool all = succeeds(world, write_blocks(blocks, 1 + world.choose(5)));
  const std::string left = world.files().read("/f").value_or("");
  for (const block& one : blocks) {
    if (all) require(one.acknowledged, "a block was left out");
    if (one.acknowledged)
      require(left.substr(std::min<std::size_t>(one.at, left.size()), one.bytes.size()) == one.bytes,
              "a block that was written is not there");
  }
  require(left.size() <= end, "the file is longer than what was written");
}
const scenario block_writers_scenario("writers at different places of a file leave each other's bytes alone",
                                      blocks_keep_apart);

task<void> read_in_pieces(const file& from, std::string& into, std::size_t size, std::uint64_t cut) {
  into.assign(size, '\0');
  for (std::size_t done = 0; done < size;) {
    const std::size_t first = std::min<std::size_t>(cut, size - done), second = size - done - first;
    const std::array<iovec, 2> pieces{{{into.data() + done, first}, {into.data() + done + first, second}}};
    const std::size_t got = co_await from.readv_at(pieces, done);
    if (got == 0) break;
    done += got;
  }
}

task<void> read_beside_each_other(std::vector<std::string>& found, std::size_t size, simulation& world) {
  const file from = co_await asyncfs::open("/f");
  std::vector<task<void>> readers;
  for (std::string& one : found) readers.push_back(read_in_pieces(from, one, size, 1 + world.choose(5000)));
  co_await asyncfs::when_all(std::move(readers));
}

void vectored_reads(simulation& world) {
  const std::string wanted = text(3, some_size(world));
  world.files().write("/f", wanted);
  std::vector<std::string> found(1 + world.choose(5));
  if (!succeeds(world, read_beside_each_other(found, wanted.size(), world))) return;
  for (const std::string& one : found) require(one == wanted, "a reader got other bytes than are there");
}
const scenario vectored_scenario("readers of one file, in pieces, all get its bytes", vectored_reads);

// ---- names ---------------------------------------------------------------------------------------------------------

struct lock_file {
  simulation& world;
  int inside = 0, turns = 0;
};
constexpr int most_tries = 100;

task<void> remove_at_last(const char* path) {
  for (int i = 0; i < most_tries; ++i) {
    const auto removed = co_await asyncfs::as_result(asyncfs::here().remove(path));
    if (removed) co_return;
  }
  throw std::runtime_error("a file cannot be removed");
}

task<void> take_turn(lock_file& lock) {
  for (int i = 0; i < most_tries; ++i) {
    const auto made = co_await asyncfs::as_result(asyncfs::create("/lock", O_WRONLY | O_EXCL));
    if (!made) {
      co_await asyncfs::sleep_for(some_time(lock.world, 3ms));
      continue;
    }
    require(++lock.inside == 1, "two tasks made the same file");
    co_await asyncfs::sleep_for(some_time(lock.world, 2ms));
    --lock.inside;
    ++lock.turns;
    co_await remove_at_last("/lock");
    co_return;
  }
}

void locks_exclude(simulation& world) {
  lock_file lock{world};
  std::vector<task<void>> hands;
  for (std::uint64_t i = 0, count = 2 + world.choose(4); i < count; ++i) hands.push_back(take_turn(lock));
  world.run(asyncfs::when_all(std::move(hands)));
  require(lock.turns > 0, "nobody could make the file");
  require(!world.files().exists("/lock"), "the file is still there");
}
const scenario exclusive_scenario("a file is made exclusively by one task at a time", locks_exclude);

task<bool> is_missing(const char* path) {
  const auto found = co_await asyncfs::as_result(asyncfs::here().status(path));
  co_return !found && found.error() == std::errc::no_such_file_or_directory;
}

task<void> watch(bool& lost, simulation& world) {
  for (int i = 0; i < 5; ++i) {
    const bool not_old = co_await is_missing("/a/f");
    const bool not_new = co_await is_missing("/b/f");
    lost = lost || (not_old && not_new);
    co_await asyncfs::sleep_for(some_time(world, 1ms));
  }
}

task<void> move_by_link(simulation& world) {
  co_await asyncfs::sleep_for(some_time(world, 2ms));
  co_await asyncfs::here().link("/a/f", asyncfs::here(), "/b/f");
  co_await asyncfs::here().remove("/a/f");
}

task<void> move_watched(simulation& world, bool& lost) {
  co_await asyncfs::when_all_settled(move_by_link(world), watch(lost, world), watch(lost, world));
}

void moves_keep_a_name(simulation& world) {
  world.files().write("/a/f", "text");
  world.files().make_directory("/b");
  bool lost = false;
  world.run(move_watched(world, lost));
  require(!lost, "for a moment the file had no name");
  const bool is_old = world.files().exists("/a/f"), is_new = world.files().exists("/b/f");
  require(is_old || is_new, "the file is gone");
}
const scenario moving_scenario("a file that moves by link and unlink is never without a name", moves_keep_a_name);

task<void> grow_branch(int branch, std::vector<std::string>& made) {
  std::string path = "/" + std::to_string(branch);
  for (int depth = 0; depth < 5; ++depth) {
    co_await asyncfs::here().make_directory(path.c_str(), 0755);
    made.push_back(path);
    path += "/d";
  }
}

task<void> cut_branch(std::vector<std::string>& made) {
  while (!made.empty()) {
    co_await asyncfs::here().remove_directory(made.back().c_str());
    made.pop_back();
  }
}

task<void> grow_and_cut(int branch, std::vector<std::string>& made) {
  const bool grown = co_await attempted(grow_branch(branch, made));
  if (grown) co_await cut_branch(made);
}

void directories_count(simulation& world) {
  std::vector<std::vector<std::string>> made(1 + world.choose(4));
  std::vector<task<bool>> work;
  for (std::size_t i = 0; i < made.size(); ++i) work.push_back(attempted(grow_and_cut(static_cast<int>(i), made[i])));
  world.run(asyncfs::when_all(std::move(work)));
  std::size_t expected = 0;
  for (const auto& branch : made) expected += branch.size();
  require(world.files().list("/").size() == expected, "directories are there that were removed, or missing");
}
const scenario branches_scenario("directories made and removed beside each other are there exactly when said",
                                 directories_count);

}  // namespace
}  // namespace sim
