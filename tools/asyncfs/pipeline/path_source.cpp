#include "pipeline/path_source.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <asyncfs/directory.hpp>

#include <cerrno>
#include <climits>
#include <stdexcept>

#include "quoting.hpp"

namespace tool {

namespace {

constexpr std::size_t paths_a_piece = 1024;

[[noreturn]] void refuse(const std::error_code& why, const path_list& list, std::string_view what) {
  throw std::system_error(why, fmt::format("cannot {} the list of paths {}", what, shell_quoted(list.path)));
}

}  // namespace

path_source::~path_source() {
  if (from_.path == "-") static_cast<void>(file_.release());  // standard input stays open
}

asyncfs::task<void> path_source::open() {
  if (from_.path == "-") {
    file_ = asyncfs::file(STDIN_FILENO);
  } else {
    auto opened = co_await asyncfs::as_result(asyncfs::here().open(from_.path.c_str(), O_RDONLY | O_NOCTTY));
    if (!opened) refuse(opened.error(), from_, "open");
    file_ = *std::move(opened);
  }
  records_.emplace(file_, from_.end, PATH_MAX);
}

asyncfs::task<std::vector<std::string>> path_source::next() {
  if (!records_) co_await open();
  std::vector<std::string> paths;
  for (;;) {
    while (paths.size() < paths_a_piece) {
      const auto record = records_->take();
      if (!record) break;
      if (record->too_long) refuse(std::make_error_code(std::errc::filename_too_long), from_, "take a name of");
      if (record->text.find('\0') != std::string_view::npos)
        throw std::runtime_error(
            fmt::format("the list of paths {} has NULs in it; --files0-from takes such", shell_quoted(from_.path)));
      if (!record->text.empty()) paths.emplace_back(record->text);
    }
    if (paths.size() >= paths_a_piece) co_return paths;
    const auto more = co_await records_->fill();
    if (!more) refuse(more.error(), from_, "read");
    if (!*more) co_return paths;
  }
}

}  // namespace tool
