// Operations on open files.
#include <linux/falloc.h>
#include <sys/xattr.h>

#include "differential.hpp"

namespace differential {

namespace {

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
  // They have moved the file's position.
  const auto back = co_await as_result(asyncfs::operation(asyncfs::detail::seek_kind{what.fd(), 0, SEEK_SET}));
  at.tell("seek", told(back));
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

}  // namespace

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
  const char* const name = likely_name(at);
  const int how = at.random.of(flags);
  const std::uint32_t mode = at.random.of(modes);
  auto opened = co_await as_result(at.dir.create(name, how, mode));
  at.tell("create " + std::string(name) + " " + std::to_string(how), opened ? "done" : told(opened.error()));
  if (opened) at.open.push_back(*std::move(opened));
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
    default: return at.has_attributes ? attributes_open(at, one) : status_open(at, one);
  }
}

}  // namespace differential
