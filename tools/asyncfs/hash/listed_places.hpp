// Where the files of a list lie: the directories in which files that it does not name are looked for.
//
// The longest directory that holds all of them, unless that is the current directory or the root; then the first
// component of each name, and the current directory when a file lies directly in it. Absolute names and relative ones
// are taken each on their own. Nothing is looked up.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tool {

class listed_places {
 public:
  void take_file(std::string_view normalised_name);
  // Of which all files are listed.
  void take_directory(std::string_view normalised_name);
  // None lies in another. Some may be no directories.
  [[nodiscard]] std::vector<std::string> found() const;

 private:
  // Of the absolute names, or of the others.
  struct side {
    std::optional<std::string> common;            // holds all files so far
    std::set<std::string, std::less<>> firsts{};  // while that is no place to search

    void take(std::string_view holder, std::string_view first_component);
    void add_to(std::vector<std::string>& places) const;
  };
  [[nodiscard]] side& side_of(std::string_view name) noexcept { return name.starts_with('/') ? absolute_ : relative_; }

  side absolute_, relative_;
};

// Of normalised paths, those that lie in none of the others.
[[nodiscard]] std::vector<std::string> outermost(std::vector<std::string> places);

}  // namespace tool
