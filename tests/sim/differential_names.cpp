// Operations on names.
#include <set>

#include "differential.hpp"

namespace differential {

namespace {

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

}  // namespace

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

}  // namespace differential
