// asyncfs hash: digests of every regular file, one line each, in the order of `find | LC_ALL=C sort`.

#include <dirent.h>
#include <fmt/format.h>

#include <cerrno>

#include "command/commands.hpp"

namespace tool {

namespace {

constexpr std::size_t read_piece = std::size_t{64} << 10;  // stays in the second-level cache

// A line as coreutils writes it: names with a newline, carriage return or backslash are escaped, and marked as such.
std::string line_for(const std::string& hex, const std::string& path) {
  if (path.find_first_of("\n\r\\") == std::string::npos) return fmt::format("{}  {}\n", hex, path);
  std::string escaped;
  for (const char c : path) switch (c) {
      case '\n': escaped += "\\n"; break;
      case '\r': escaped += "\\r"; break;
      case '\\': escaped += "\\\\"; break;
      default: escaped += c;
    }
  return fmt::format("\\{}  {}\n", hex, escaped);
}

class file_hasher {
 public:
  file_hasher(algorithm which, report& out, messages& say)
      : digest_(digest::make(which)),
        buffer_(std::make_unique_for_overwrite<std::byte[]>(read_piece)),
        out_(out),
        say_(say) {}

  asyncfs::task<void> visit(asyncfs::walk_entry& entry) {
    std::string line;
    if (entry.error) {
      say_.failure(fmt::format("cannot {} {}", entry.operation, shell_quoted(entry.path())), entry.error);
    } else if (wanted(entry)) {
      auto hex = co_await hash(entry);
      if (hex) line = line_for(*hex, entry.path());
    }
    co_await out_.deliver(entry.sequence(), line);
  }

 private:
  // Inside a tree only regular files; what the user named is read whatever it is.
  static bool wanted(const asyncfs::walk_entry& entry) {
    return entry.is_root() || entry.type() == DT_REG || entry.type() == DT_UNKNOWN;
  }

  asyncfs::task<std::optional<std::string>> hash(asyncfs::walk_entry& entry) {
    const auto begun = stability::begin();
    const int flags = entry.is_root() ? O_RDONLY | O_NOCTTY : O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    auto opened = co_await asyncfs::as_result(entry.at().open(entry.name(), flags));
    if (!opened) {
      say_.failure(fmt::format("cannot open {} for reading", shell_quoted(entry.path())), opened.error());
      co_return std::nullopt;
    }
    asyncfs::file source = *std::move(opened);
    auto hex = co_await digest_of(entry, source, begun);
    const auto closed = co_await asyncfs::as_result(source.close());
    static_cast<void>(closed);  // nothing was written, so nothing can be lost
    co_return hex;
  }

  asyncfs::task<std::optional<std::string>> digest_of(const asyncfs::walk_entry& entry, const asyncfs::file& source,
                                                      stability begun) {
    std::optional<asyncfs::file_status> before;
    for (;;) {
      const auto read = co_await read_all(source);
      if (!read) {
        say_.failure(fmt::format("cannot read {}", shell_quoted(entry.path())), read.error());
        co_return std::nullopt;
      }
      const auto& [size, status] = *read;
      // Files that have no size to compare with (pipes, and those in /proc) are what was read.
      const bool measurable = status.is_regular() && status.size != 0;
      if (!measurable || (status.size == size && begun.proves_unchanged(status))) co_return digest_->end();
      // Changed a moment ago, or of a size that lies (as in /sys): a second reading between two equal statuses is proof.
      if (before && before->changed == status.changed && before->size == status.size) co_return digest_->end();
      if (before) {
        say_.failure(fmt::format("{} changed while hashing; no digest is given, hash it again when it is at rest",
                                 shell_quoted(entry.path())));
        co_return std::nullopt;
      }
      before = status;
    }
  }

  struct read_outcome {
    std::uint64_t size;
    asyncfs::file_status status;  // taken after the last read
  };
  // Digests from the beginning to the end.
  asyncfs::task<asyncfs::result<read_outcome>> read_all(const asyncfs::file& source) {
    digest_->begin();
    std::uint64_t offset = 0;
    bool seekable = true;
    for (;;) {
      const std::span<std::byte> buffer(buffer_.get(), read_piece);
      const std::uint64_t from = seekable ? offset : asyncfs::stream_position;
      const auto got = co_await asyncfs::as_result(source.read_at(buffer, from));
      if (!got && got.error().value() == ESPIPE && seekable) {
        seekable = false;
        continue;
      }
      if (!got) co_return asyncfs::failure(got.error());
      digest_->add(buffer.first(*got));
      offset += *got;
      if (*got == read_piece) continue;
      // Short: the end, if nothing came or the size says so too.
      const auto status = co_await asyncfs::as_result(source.status());
      if (!status) co_return asyncfs::failure(status.error());
      if (*got == 0 || (status->is_regular() && status->size == offset)) co_return read_outcome{offset, *status};
    }
  }

  std::unique_ptr<digest> digest_;
  std::unique_ptr<std::byte[]> buffer_;
  report& out_;
  messages& say_;
};

}  // namespace

int run(const hash_command& command, messages& say) {
  report out(1, report::order::of_the_walk);
  tree_work work;
  for (const std::string& path : command.paths) work.roots.push_back({.path = path});
  work.walk.order = asyncfs::walk_order::bytes;
  work.make_visitor = [&]() -> visitor {
    auto hasher = std::make_shared<file_hasher>(command.which, out, say);
    return [hasher](asyncfs::walk_entry& entry) { return hasher->visit(entry); };
  };
  run_tree(command.tree, std::move(work), out);
  if (out.error() == std::errc::broken_pipe) die_of_closed_pipe();
  if (out.error()) say.failure("cannot write to standard output", out.error());
  return say.any_failure() ? 1 : 0;
}

}  // namespace tool
