#include "copy/targets.hpp"
#include "quoting.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <set>

namespace tool {

namespace {

std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string last_component(const std::string& path) {
  const std::string plain = without_trailing_slashes(path);
  const std::size_t slash = plain.rfind('/');
  return slash == std::string::npos || plain.size() == 1 ? plain : plain.substr(slash + 1);
}

std::string parent_of(const std::string& path) {
  const std::string plain = without_trailing_slashes(path);
  const std::size_t slash = plain.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : plain.substr(0, slash);
}

// True when `start` is `ancestor` or lies below it.
asyncfs::task<bool> lies_within(const asyncfs::directory& start, const asyncfs::file_status& ancestor) {
  auto at = co_await asyncfs::as_result(start.open_directory(".", O_PATH));
  while (at) {
    const auto here = co_await asyncfs::as_result(at->status());
    if (!here) break;
    if (here->same_file(ancestor)) co_return true;
    auto above = co_await asyncfs::as_result(at->open_directory("..", O_PATH));
    if (!above) break;
    const auto up = co_await asyncfs::as_result(above->status());
    if (!up || up->same_file(*here)) break;  // the root
    at = std::move(above);
  }
  co_return false;
}

}  // namespace

asyncfs::task<std::vector<copy_target>> choose_targets(const std::vector<std::string>& paths, messages& say) {
  const asyncfs::directory& here = asyncfs::here();
  std::vector<copy_target> chosen;
  const std::string& destination = paths.back();
  const auto there = co_await asyncfs::as_result(here.status_followed(destination.c_str()));
  const bool into = there && there->is_directory();
  if (!into && paths.size() > 2) {
    say.failure(fmt::format("the destination {} of several sources is not a directory", shell_quoted(destination)));
    co_return chosen;
  }
  const auto link = co_await asyncfs::as_result(here.status(destination.c_str()));
  if (!there && link) {
    say.failure(
        fmt::format("not writing through the dangling symbolic link {}; remove it first", shell_quoted(destination)));
    co_return chosen;
  }
  if (!there && destination.back() == '/' && paths.size() == 2) {
    const auto source = co_await asyncfs::as_result(here.status(paths.front().c_str()));
    if (source && !source->is_directory()) {
      say.failure(fmt::format("cannot create regular file {}: Not a directory", shell_quoted(destination)));
      co_return chosen;
    }
  }
  const std::string parent_path = into ? destination : parent_of(destination);
  auto opened = co_await asyncfs::as_result(here.open_directory(parent_path.c_str(), 0));
  if (!opened) {
    say.failure(fmt::format("cannot open the destination directory {}", shell_quoted(parent_path)), opened.error());
    co_return chosen;
  }
  const auto parent = std::make_shared<asyncfs::directory>(*std::move(opened));
  std::set<std::string> taken;
  for (std::size_t i = 0; i + 1 < paths.size(); ++i) {
    const std::string& path = paths[i];
    std::string name = into ? last_component(path) : last_component(destination);
    if (name == ".." || name == "/" || (into && name == ".")) name = ".";
    const std::string shown = name == "." ? destination
                              : into      ? without_trailing_slashes(destination) + "/" + name
                                          : destination;
    auto source = co_await asyncfs::as_result(here.status(path.c_str()));
    if (!source) {
      say.failure(fmt::format("cannot examine {}", shell_quoted(path)), source.error());
      continue;
    }
    if (source->is_link() && path.back() == '/') {
      const auto followed = co_await asyncfs::as_result(here.status_followed(path.c_str()));
      if (followed) source = followed;
    }
    const auto target = co_await asyncfs::as_result(parent->status_followed(name.c_str()));
    if (target && source->same_file(*target)) {
      say.failure(fmt::format("{} and {} are the same file", shell_quoted(path), shell_quoted(shown)));
      continue;
    }
    // A device, pipe or socket would be replaced, not written to: that is hardly what was meant.
    if (target && !target->is_regular() && !target->is_directory()) {
      say.failure(fmt::format("will not replace {}, which is no regular file, with {}; remove it first",
                              shell_quoted(shown), shell_quoted(path)));
      continue;
    }
    bool into_itself = source->is_directory();
    if (into_itself) into_itself = co_await lies_within(*parent, *source);
    if (into_itself) {
      say.failure(fmt::format("cannot copy the directory {} into itself, {}", shell_quoted(path), shell_quoted(shown)));
      continue;
    }
    if (name != "." && !taken.insert(name).second) {
      say.failure(fmt::format("will not overwrite {}, which was just made from another source, with {}",
                              shell_quoted(shown), shell_quoted(path)));
      continue;
    }
    chosen.push_back({path, shown, parent, name});
  }
  co_return chosen;
}

}  // namespace tool
