// --exclude and --include: which names of a tree are worked on.
//
// A pattern is a glob as in .gitignore: without a slash in it, it is matched with the last component of a path, else with
// the whole path below the root; `*` and `?` stop at slashes, `**` does not; one that ends in a slash is of directories
// only. The last pattern that matches decides; where none does, a file counts unless the first pattern was an include.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tool {

class name_filter {
 public:
  // Throws std::invalid_argument, saying why, when it is no glob.
  void exclude(const std::string& pattern) { add(pattern, false); }
  void include(const std::string& pattern) { add(pattern, true); }

  [[nodiscard]] bool empty() const noexcept { return rules_.empty(); }
  // Whether anything but the last component matters.
  [[nodiscard]] bool looks_at_paths() const noexcept { return looks_at_paths_; }
  // Any thread. `path` is that below the root, and may be empty where nothing looks at paths.
  [[nodiscard]] bool wants_file(std::string_view name, std::string_view path) const;
  // Whether to enter it; includes concern directories only where they take an exclude back.
  [[nodiscard]] bool wants_directory(std::string_view name, std::string_view path) const;

 private:
  struct glob;
  struct rule {
    bool include, of_path, of_directories;
    std::shared_ptr<const glob> what;
  };
  void add(const std::string& pattern, bool include);
  [[nodiscard]] const rule* last_match(std::string_view name, std::string_view path, bool directory) const;

  std::vector<rule> rules_;
  bool looks_at_paths_ = false;
};

}  // namespace tool
