#include "copy/targets.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
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

bool same(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

// True when `directory` is `ancestor` or lies below it.
bool lies_within(int directory, const struct stat& ancestor) {
  int at = ::openat(directory, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct stat here{}, above{};
  bool within = false;
  while (at >= 0 && ::fstat(at, &here) == 0) {
    within = same(here, ancestor);
    if (within) break;
    const int up = ::openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    ::close(at);
    at = up;
    if (at < 0 || ::fstat(at, &above) != 0 || same(here, above)) break;  // the root
  }
  if (at >= 0) ::close(at);
  return within;
}

std::error_code last_error() { return {errno, std::system_category()}; }

}  // namespace

std::vector<copy_target> choose_targets(const std::vector<std::string>& paths, messages& say) {
  std::vector<copy_target> chosen;
  const std::string& destination = paths.back();
  struct stat there{};
  const bool exists = ::stat(destination.c_str(), &there) == 0;
  const bool into = exists && S_ISDIR(there.st_mode);
  if (!into && paths.size() > 2) {
    say.failure(fmt::format("the destination {} of several sources is not a directory", shell_quoted(destination)));
    return chosen;
  }
  struct stat link{};
  if (!exists && ::lstat(destination.c_str(), &link) == 0) {
    say.failure(
        fmt::format("not writing through the dangling symbolic link {}; remove it first", shell_quoted(destination)));
    return chosen;
  }
  if (!into && destination.back() == '/' && !exists && paths.size() == 2) {
    struct stat source{};
    if (::lstat(paths.front().c_str(), &source) == 0 && !S_ISDIR(source.st_mode)) {
      say.failure(fmt::format("cannot create regular file {}: Not a directory", shell_quoted(destination)));
      return chosen;
    }
  }
  const std::string parent_path = into ? destination : parent_of(destination);
  const int fd = ::open(parent_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    say.failure(fmt::format("cannot open the destination directory {}", shell_quoted(parent_path)), last_error());
    return chosen;
  }
  const auto parent = std::make_shared<asyncfs::directory>(fd);
  std::set<std::string> taken;
  for (std::size_t i = 0; i + 1 < paths.size(); ++i) {
    const std::string& path = paths[i];
    std::string name = into ? last_component(path) : last_component(destination);
    if (name == ".." || name == "/" || (into && name == ".")) name = ".";
    const std::string shown = name == "." ? destination
                              : into      ? without_trailing_slashes(destination) + "/" + name
                                          : destination;
    struct stat source{}, target{};
    if (::lstat(path.c_str(), &source) != 0) {
      say.failure(fmt::format("cannot examine {}", shell_quoted(path)), last_error());
      continue;
    }
    if (S_ISLNK(source.st_mode) && path.back() == '/') ::stat(path.c_str(), &source);
    if (::fstatat(fd, name.c_str(), &target, 0) == 0 && same(source, target)) {
      say.failure(fmt::format("{} and {} are the same file", shell_quoted(path), shell_quoted(shown)));
      continue;
    }
    if (S_ISDIR(source.st_mode) && lies_within(fd, source)) {
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
  return chosen;
}

}  // namespace tool
