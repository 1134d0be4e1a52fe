#include "hash/source.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "quoting.hpp"

namespace tool {

namespace {

// What walk_root::user of standard input points to.
const auto standard_input_mark = std::make_shared<int>(0);

}  // namespace

asyncfs::walk_root source_named(const std::string& path) {
  if (path != "-") return {.path = path};
  return {.path = path, .type = DT_FIFO, .user = standard_input_mark};  // a type, so that nobody looks for a file "-"
}

source source::standard_input() noexcept {
  source made{asyncfs::file(STDIN_FILENO)};
  made.standard_input_ = true;
  return made;
}

source::~source() {
  if (standard_input_) static_cast<void>(file_.release());
}

asyncfs::task<void> source::close() {
  if (standard_input_) co_return;
  const auto closed = co_await asyncfs::as_result(file_.close());
  static_cast<void>(closed);
}

asyncfs::task<asyncfs::result<source>> open_source(const asyncfs::walk_entry& entry) {
  if (entry.user() == standard_input_mark) co_return source::standard_input();
  const int how = (entry.is_root() ? 0 : O_NONBLOCK) | (entry.followed() ? 0 : O_NOFOLLOW);
  auto opened = co_await asyncfs::as_result(entry.at().open(entry.name(), O_RDONLY | O_NOCTTY | how));
  if (!opened) co_return std::unexpected(opened.error());
  co_return source(*std::move(opened));
}

asyncfs::task<bool> refuse_directory(const asyncfs::walk_directory& found, messages& say) {
  say.failure(
      fmt::format("{} is a directory; leave out --no-recursive to hash what is in it", shell_quoted(found.path())));
  co_return false;
}

asyncfs::task<file_digester::outcome> digest_source(file_digester& by, const source& from, stability begun,
                                                    std::span<const algorithm> which) {
  return from.is_standard_input() ? by.digest_stream(from.file(), which) : by.digest(from.file(), begun, which);
}

}  // namespace tool
