#include "pipeline/path_source.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <asyncfs/directory.hpp>

#include <cerrno>
#include <climits>

#include "quoting.hpp"

namespace tool {

namespace {

constexpr std::size_t paths_a_piece = 1024;

constexpr int longest_path = PATH_MAX - 1;

}  // namespace

path_source::~path_source() {
  if (from_.path == "-") static_cast<void>(file_.release());  // standard input stays open
}

void path_source::fail(std::string_view what, const std::error_code& why) {
  say_.failure(fmt::format("cannot {} the list of paths {}", what, shell_quoted(from_.path)), why);
}

asyncfs::task<bool> path_source::open() {
  if (from_.path == "-") {
    file_ = asyncfs::file(STDIN_FILENO);
  } else {
    auto opened = co_await asyncfs::as_result(asyncfs::here().open(from_.path.c_str(), O_RDONLY | O_NOCTTY));
    if (!opened) {
      fail("open", opened.error());
      co_return false;
    }
    file_ = *std::move(opened);
  }
  records_.emplace(file_, from_.end, longest_path);
  co_return true;
}

asyncfs::task<std::vector<std::string>> path_source::next() {
  std::vector<std::string> paths;
  if (!records_ && !co_await open()) co_return paths;
  for (;;) {
    while (paths.size() < paths_a_piece) {
      const auto record = records_->take();
      if (!record) break;
      const bool is_list_of_others = record->text.find('\0') != std::string_view::npos;
      if (record->too_long)
        say_.failure(fmt::format("a path of more than {} bytes is left out of the list of paths {}", longest_path,
                                 shell_quoted(from_.path)));
      else if (is_list_of_others)
        say_.failure(fmt::format("a line with NULs in it is left out of the list of paths {}; --files0-from takes such",
                                 shell_quoted(from_.path)));
      else if (!record->text.empty())
        paths.emplace_back(record->text);
    }
    if (paths.size() >= paths_a_piece) co_return paths;
    const auto more = co_await records_->fill();
    if (!more) fail("read", more.error());
    if (!more || !*more) co_return paths;
  }
}

}  // namespace tool
