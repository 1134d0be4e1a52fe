// Files in memory against the kernel's: the same operations on both, chosen by a seed, and every answer compared.
//
// Each sequence is played once in a temporary directory with plain system calls (the sync engine), and once in memory;
// what each operation gave is written down as a line of text, and the lines must be equal, as must the trees at the end.
// ASYNCFS_SEEDS sets how many sequences there are; ASYNCFS_SEED=n plays that one alone and prints its lines.
#include <dirent.h>
#include <linux/falloc.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>

#include "../support/engines.hpp"

using asyncfs::as_result;
using asyncfs::directory;
using asyncfs::file;
using asyncfs::result;
using asyncfs::task;

namespace {

constexpr std::uint64_t usual_sequences = 300;
constexpr int operations_of_a_sequence = 60;

// splitmix64: the same choices in both worlds.
class chooser {
 public:
  explicit chooser(std::uint64_t seed) : state_(seed) {}
  std::uint64_t below(std::uint64_t bound) {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (z ^ (z >> 31)) % bound;
  }
  template <class T, std::size_t N>
  T of(const T (&all)[N]) {
    return all[below(N)];
  }

 private:
  std::uint64_t state_;
};

// ---- what an operation gave, as text -------------------------------------------------------------------------------

std::string told(const std::error_code& error) { return "error " + std::to_string(error.value()); }
std::string told(std::size_t number) { return std::to_string(number); }
std::string told(const std::string& text) { return "'" + text + "'"; }
std::string told(const asyncfs::file_status& is) {
  std::string all = "mode " + std::to_string(is.mode) + " links " + std::to_string(is.links) + " owner " +
                    std::to_string(is.user) + ":" + std::to_string(is.group);
  // How large a directory is, is each file system's own.
  if (!is.is_directory()) all += " size " + std::to_string(is.size);
  return all;
}
template <class T>
std::string told(const result<T>& got) {
  if (!got) return told(got.error());
  if constexpr (std::is_void_v<T>)
    return "done";
  else
    return told(*got);
}

std::string digest(std::string_view bytes) {
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return std::to_string(bytes.size()) + " bytes " + std::to_string(hash);
}

// ---- a sequence ----------------------------------------------------------------------------------------------------

constexpr std::size_t most_open = 4;

struct player {
  const directory& dir;
  chooser random;
  std::vector<std::string> lines{};
  std::vector<file> open{};

  void tell(const std::string& what, const std::string& gave) { lines.push_back(what + " -> " + gave); }
};

const char* const names[] = {"a",  "b",   "c",    "d", "a/x", "a/y", "b/x", "c/x/y",
                             "d/", "a/.", "a/..", ".", "l",   "l/x", ""};
const char* some_name(player& at) { return at.random.of(names); }
// Mostly one that means something.
const char* likely_name(player& at) { return names[at.random.below(at.random.below(3) == 0 ? std::size(names) : 6)]; }

task<void> open_one(player& at) {
  constexpr int flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_APPEND, O_RDONLY | O_DIRECTORY, O_RDONLY | O_NOFOLLOW,
                           O_PATH};
  const char* const name = likely_name(at);
  const int how = at.random.of(flags);
  auto opened = co_await as_result(at.dir.open(name, how));
  at.tell("open " + std::string(name) + " " + std::to_string(how), opened ? "done" : told(opened.error()));
  if (opened) at.open.push_back(*std::move(opened));
}

task<void> create_one(player& at) {
  constexpr int flags[] = {O_RDWR,
                           O_WRONLY,
                           O_RDWR | O_EXCL,
                           O_RDWR | O_TRUNC,
                           O_WRONLY | O_APPEND,
                           O_RDONLY,
                           O_RDWR | O_NOFOLLOW,

                           O_RDONLY | O_TRUNC};
  constexpr std::uint32_t modes[] = {0644, 0600, 0755};
  const char* const name = likely_name(at);
  const int how = at.random.of(flags);
  const std::uint32_t mode = at.random.of(modes);
  auto opened = co_await as_result(at.dir.create(name, how, mode));
  at.tell("create " + std::string(name) + " " + std::to_string(how), opened ? "done" : told(opened.error()));
  if (opened) at.open.push_back(*std::move(opened));
}

std::string text_of(player& at) {
  constexpr std::size_t sizes[] = {0, 1, 10, 4095, 4096, 5000, 9000};
  std::string text(at.random.of(sizes), '\0');
  const std::uint64_t mark = at.random.below(26);
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + (mark + i) % 26);
  return text;
}

std::uint64_t some_offset(player& at) {
  constexpr std::uint64_t offsets[] = {0, 1, 100, 4095, 4096, 8192, 10'000, 40'960};
  return at.random.of(offsets);
}

// At a file's own position an engine may move as little at a time as a pipe surely takes.
task<result<std::size_t>> write_whole(const file& to, std::span<const std::byte> bytes) {
  std::size_t done = 0;
  do {
    const auto wrote = co_await as_result(to.write(bytes.subspan(done)));
    if (!wrote && done == 0) co_return wrote;
    if (!wrote || *wrote == 0) break;
    done += *wrote;
  } while (done < bytes.size());
  co_return result<std::size_t>(done);
}

task<result<std::size_t>> read_whole(const file& from, std::span<std::byte> into) {
  std::size_t done = 0;
  do {
    const auto got = co_await as_result(from.read(into.subspan(done)));
    if (!got && done == 0) co_return got;
    if (!got || *got == 0) break;
    done += *got;
  } while (done < into.size());
  co_return result<std::size_t>(done);
}

task<void> write_open(player& at, file& to) {
  const std::string text = text_of(at);
  const std::uint64_t offset = some_offset(at);
  const bool at_position = at.random.below(3) == 0;
  result<std::size_t> wrote;
  if (at_position)
    wrote = co_await write_whole(to, std::as_bytes(std::span(text)));
  else
    wrote = co_await as_result(to.write_at(std::as_bytes(std::span(text)), offset));
  at.tell("write " + std::to_string(text.size()) + " at " + (at_position ? "position" : std::to_string(offset)),
          told(wrote));
}

task<void> read_open(player& at, file& from) {
  std::string buffer(text_of(at).size(), '?');
  const std::uint64_t offset = some_offset(at);
  const bool at_position = at.random.below(3) == 0;
  result<std::size_t> got;
  if (at_position)
    got = co_await read_whole(from, std::as_writable_bytes(std::span(buffer)));
  else
    got = co_await as_result(from.read_at(std::as_writable_bytes(std::span(buffer)), offset));
  at.tell("read " + std::to_string(buffer.size()) + " at " + (at_position ? "position" : std::to_string(offset)),
          told(got) + " " + digest(buffer));
}

task<void> resize_open(player& at, file& what) {
  const std::uint64_t size = some_offset(at);
  const auto done = co_await as_result(what.truncate(size));
  at.tell("truncate to " + std::to_string(size), told(done));
}

task<void> allocate_open(player& at, file& what) {
  constexpr int modes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE};
  const int mode = at.random.of(modes);
  const std::uint64_t from = some_offset(at), length = some_offset(at);
  const auto done = co_await as_result(what.allocate(mode, from, length));
  at.tell("fallocate " + std::to_string(mode) + " " + std::to_string(from) + " " + std::to_string(length), told(done));
}

// Where holes lie is a file system's own; that there is one up to the end, and nothing behind it, is not.
task<void> seek_open(player& at, file& what) {
  const std::uint64_t from = some_offset(at);
  const auto status = co_await as_result(what.status());
  if (!status || !status->is_regular()) co_return;
  const auto hole = co_await as_result(what.next_hole(from));
  const auto data = co_await as_result(what.next_data(from));
  const auto kind = [&](const result<std::uint64_t>& where) {
    if (!where) return told(where.error());
    return std::string(*where >= from && *where <= status->size ? "within" : "elsewhere");
  };
  at.tell("next hole " + std::to_string(from), kind(hole));
  if (from >= status->size) at.tell("next data " + std::to_string(from), kind(data));
}

task<void> status_open(player& at, file& what) {
  const auto is = co_await as_result(what.status());
  at.tell("fstat", told(is));
}

task<void> copy_open(player& at, file& from, file& to) {
  const std::uint64_t source = some_offset(at), target = some_offset(at);
  const std::size_t length = text_of(at).size();
  const auto copied = co_await as_result(from.copy_range_to(to, source, target, length));
  at.tell("copy_file_range " + std::to_string(source) + " " + std::to_string(target) + " " + std::to_string(length),
          told(copied));
}

task<void> sync_open(player& at, file& what) {
  const bool data = at.random.below(2) == 0;
  result<void> done;
  if (data)
    done = co_await as_result(what.sync_data());
  else
    done = co_await as_result(what.sync());
  at.tell("fsync", told(done));
}

task<void> mode_open(player& at, file& what) {
  constexpr std::uint32_t modes[] = {0644, 0600, 0755, 04755};
  const std::uint32_t mode = at.random.of(modes);
  const auto done = co_await as_result(what.set_mode(mode));
  at.tell("fchmod " + std::to_string(mode), told(done));
}

task<void> times_open(player& at, file& what) {
  const asyncfs::file_time accessed{static_cast<std::int64_t>(at.random.below(1'000'000)), 5};
  const asyncfs::file_time modified{static_cast<std::int64_t>(at.random.below(1'000'000)), 7};
  const auto done = co_await as_result(what.set_times(accessed, modified));
  const auto is = co_await as_result(what.status());
  at.tell("futimens", told(done));
  if (done && is)
    at.tell("times", std::to_string(is->accessed == accessed) + " " + std::to_string(is->modified == modified));
}

const char* const attributes[] = {"user.one", "user.two", "user.", "one", ""};

task<void> attributes_open(player& at, file& what) {
  const char* const name = at.random.of(attributes);
  const std::string value(at.random.below(30), 'v');
  constexpr int flags[] = {0, 0, XATTR_CREATE, XATTR_REPLACE};
  const int how = at.random.of(flags);
  std::string buffer(at.random.below(3) * 15, '?');
  switch (at.random.below(4)) {
    case 0: {
      const auto done = co_await as_result(what.set_attribute(name, std::as_bytes(std::span(value)), how));
      at.tell(std::string("set attribute ") + name + " " + std::to_string(how), told(done));
      break;
    }
    case 1: {
      const auto got = co_await as_result(what.attribute(name, std::as_writable_bytes(std::span(buffer))));
      at.tell(std::string("attribute ") + name + " " + std::to_string(buffer.size()), told(got) + " " + buffer);
      break;
    }
    case 2: {
      const auto done = co_await as_result(what.remove_attribute(name));
      at.tell(std::string("remove attribute ") + name, told(done));
      break;
    }
    default: {
      const auto got = co_await as_result(what.list_attributes(buffer));
      at.tell("list attributes " + std::to_string(buffer.size()), told(got));
    }
  }
}

task<void> close_open(player& at, file& what) {
  const auto done = co_await as_result(what.close());
  at.tell("close", told(done));
  std::erase_if(at.open, [](const file& one) { return !one; });
}

task<void> use_open(player& at) {
  file& one = at.open[at.random.below(at.open.size())];
  file& other = at.open[at.random.below(at.open.size())];
  switch (at.random.below(13)) {
    case 0:
    case 1:
    case 2: return write_open(at, one);
    case 3:
    case 4: return read_open(at, one);
    case 5: return resize_open(at, one);
    case 6: return allocate_open(at, one);
    case 7: return seek_open(at, one);
    case 8: return status_open(at, one);
    case 9: return copy_open(at, one, other);
    case 10: return at.random.below(2) == 0 ? sync_open(at, one) : mode_open(at, one);
    case 11: return at.random.below(2) == 0 ? times_open(at, one) : close_open(at, one);
    default: return attributes_open(at, one);
  }
}

// ---- names ---------------------------------------------------------------------------------------------------------

task<void> make_directory(player& at) {
  const char* const name = likely_name(at);
  const auto done = co_await as_result(at.dir.make_directory(name, 0755));
  at.tell("mkdir " + std::string(name), told(done));
}

task<void> remove_one(player& at) {
  const char* const name = likely_name(at);
  const bool as_directory = at.random.below(2) == 0;
  result<void> done;
  if (as_directory)
    done = co_await as_result(at.dir.remove_directory(name));
  else
    done = co_await as_result(at.dir.remove(name));
  at.tell((as_directory ? "rmdir " : "unlink ") + std::string(name), told(done));
}

task<void> rename_one(player& at) {
  constexpr unsigned flags[] = {0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_NOREPLACE | RENAME_EXCHANGE};
  const char *const from = likely_name(at), *const to = likely_name(at);
  const unsigned how = at.random.of(flags);
  const auto done = co_await as_result(at.dir.rename(from, at.dir, to, how));
  at.tell("rename " + std::string(from) + " " + to + " " + std::to_string(how), told(done));
}

task<void> link_one(player& at) {
  constexpr int flags[] = {0, AT_SYMLINK_FOLLOW};
  const char *const from = likely_name(at), *const to = likely_name(at);
  const int how = at.random.of(flags);
  const auto done = co_await as_result(at.dir.link(from, at.dir, to, how));
  at.tell("link " + std::string(from) + " " + to + " " + std::to_string(how), told(done));
}

task<void> symlink_one(player& at) {
  const char* const target = some_name(at);
  const char* const name = at.random.below(2) == 0 ? "l" : likely_name(at);
  const auto done = co_await as_result(at.dir.symlink(target, name));
  at.tell("symlink " + std::string(target) + " " + name, told(done));
}

task<void> read_link(player& at) {
  const char* const name = at.random.below(2) == 0 ? "l" : likely_name(at);
  const auto target = co_await as_result(at.dir.read_link(name));
  at.tell("readlink " + std::string(name), told(target));
}

task<void> status_of(player& at) {
  const char* const name = some_name(at);
  const bool follows = at.random.below(2) == 0;
  result<asyncfs::file_status> is;
  if (follows)
    is = co_await as_result(at.dir.status_followed(name));
  else
    is = co_await as_result(at.dir.status(name));
  at.tell((follows ? "stat " : "lstat ") + std::string(name), told(is));
}

task<void> mode_of(player& at) {
  constexpr std::uint32_t modes[] = {0644, 0600, 0755};
  const char* const name = likely_name(at);
  const std::uint32_t mode = at.random.of(modes);
  const auto done = co_await as_result(at.dir.set_mode(name, mode));
  at.tell("chmod " + std::string(name), told(done));
}

task<void> make_node(player& at) {
  const char* const name = likely_name(at);
  const auto done = co_await as_result(at.dir.make_node(name, S_IFREG | 0644, 0));
  at.tell("mknod " + std::string(name), told(done));
}

task<void> list_names(player& at, const directory& which, const std::string& what) {
  std::vector<std::byte> buffer(32 << 10);
  std::set<std::string> all;
  for (;;) {
    const auto got = co_await as_result(which.read_entries(buffer));
    if (!got) {
      at.tell("list " + what, told(got.error()));
      co_return;
    }
    if (*got == 0) break;
    asyncfs::for_each_entry(std::span(buffer).first(*got), [&](const asyncfs::directory_entry& one) {
      all.insert(one.name + std::string(1, static_cast<char>('0' + one.type)));
    });
  }
  std::string joined;
  for (const std::string& one : all) joined += one + " ";
  at.tell("list " + what, joined);
}

task<void> list_one(player& at) {
  const char* const name = likely_name(at);
  const auto opened = co_await as_result(at.dir.open_directory(name));
  if (!opened) {
    at.tell("open directory " + std::string(name), told(opened.error()));
    co_return;
  }
  co_await list_names(at, *opened, name);
}

task<void> use_names(player& at) {
  switch (at.random.below(14)) {
    case 0:
    case 1: return make_directory(at);
    case 2:
    case 3: return remove_one(at);
    case 4:
    case 5: return rename_one(at);
    case 6: return link_one(at);
    case 7: return symlink_one(at);
    case 8: return read_link(at);
    case 9: return status_of(at);
    case 10: return mode_of(at);
    case 11: return make_node(at);
    case 12: return status_of(at);
    default: return list_one(at);
  }
}

// ---- the whole -----------------------------------------------------------------------------------------------------

// Every path below, with what it is and holds.
task<void> tell_tree(player& at, std::string below) {
  const directory top = co_await at.dir.open_directory(below.c_str());
  std::vector<std::byte> buffer(32 << 10);
  std::set<std::string> all;
  for (;;) {
    const std::size_t got = co_await top.read_entries(buffer);
    if (got == 0) break;
    asyncfs::for_each_entry(std::span(buffer).first(got),
                            [&](const asyncfs::directory_entry& one) { all.insert(one.name); });
  }
  for (const std::string& name : all) {
    const std::string path = below + "/" + name;
    const asyncfs::file_status is = co_await at.dir.status(path.c_str());
    std::string holds;
    if (is.is_regular()) {
      const std::string bytes = co_await asyncfs::read_file(at.dir, path.c_str());
      holds = digest(bytes);
    } else if (is.is_link()) {
      holds = co_await at.dir.read_link(path.c_str());
    }
    at.tell(path, told(is) + " " + holds);
    if (is.is_directory()) co_await tell_tree(at, path);
  }
}

task<void> play(player& at) {
  for (int i = 0; i < operations_of_a_sequence; ++i) {
    if (at.open.size() == most_open) at.open.erase(at.open.begin());
    const std::uint64_t which = at.random.below(10);
    if (which < 2)
      co_await create_one(at);
    else if (which < 3)
      co_await open_one(at);
    else if (which < 7 && !at.open.empty())
      co_await use_open(at);
    else
      co_await use_names(at);
  }
  at.open.clear();
  co_await tell_tree(at, ".");
}

task<void> play_in(const std::string& path, std::uint64_t seed, std::vector<std::string>& lines) {
  const directory dir = co_await asyncfs::here().open_directory(path.c_str());
  player at{dir, chooser(seed)};
  co_await play(at);
  lines = std::move(at.lines);
}

std::vector<std::string> on_the_kernel(std::uint64_t seed) {
  const tests::temporary_directory at;
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::sync;
  std::vector<std::string> lines;
  asyncfs::run(play_in(at.path(), seed, lines), options);
  return lines;
}

std::vector<std::string> in_memory(std::uint64_t seed) {
  asyncfs::testing::simulation world({.seed = seed});
  world.files().make_directory("/top", 0700);
  std::vector<std::string> lines;
  world.run(play_in("/top", seed, lines));
  CHECK(world.open_descriptors() == 0);
  return lines;
}

std::optional<std::uint64_t> number_from(const char* variable) {
  const char* const text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

std::string lines_up_to(const std::vector<std::string>& lines, std::size_t end) {
  std::string all;
  for (std::size_t i = 0; i < end && i < lines.size(); ++i) all += lines[i] + "\n";
  return all;
}

}  // namespace

TEST_CASE("whatever is done with files in memory gives what the kernel's files give") {
  const auto wanted = number_from("ASYNCFS_SEED");
  const std::uint64_t first = wanted.value_or(1),
                      count = wanted ? 1 : number_from("ASYNCFS_SEEDS").value_or(usual_sequences);
  std::size_t compared = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const auto kernel = on_the_kernel(seed), memory = in_memory(seed);
    const auto [here, there] = std::ranges::mismatch(kernel, memory);
    const auto equal = static_cast<std::size_t>(here - kernel.begin());
    compared += equal;
    if (wanted) std::fprintf(stderr, "%s", lines_up_to(kernel, kernel.size()).c_str());
    if (here == kernel.end() && there == memory.end()) continue;
    INFO("seed " << seed << "\n" << lines_up_to(kernel, equal));
    const std::string ended = "the end";
    CHECK((there == memory.end() ? ended : *there) == (here == kernel.end() ? ended : *here));
    break;  // to see it again: ASYNCFS_SEED
  }
  std::printf("%llu sequences, %zu answers compared\n", static_cast<unsigned long long>(count), compared);
}
