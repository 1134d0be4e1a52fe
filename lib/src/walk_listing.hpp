// What a walk holds of directories: those that were listed, and those that are to be. Inside of the library only.
#pragma once

#include <asyncfs/walk.hpp>

#include <memory>
#include <string_view>
#include <system_error>
#include <vector>

namespace asyncfs::detail {

// One directory's entries, or a part of them when nothing has to be sorted.
struct walk_listing {
  struct item {
    const char* name;
    unsigned char type;
    bool followed = false;                  // see walk_entry
    int error = 0;                          // why a link could not be followed
    std::shared_ptr<walk_pending> child{};  // of a directory, when order matters
    std::size_t root = 0;                   // of a root: which
  };
  std::shared_ptr<walk_directory> directory;
  std::shared_ptr<asyncfs::directory> handle;
  std::vector<std::unique_ptr<std::byte[]>> names;
  std::vector<walk_root> roots;  // that the items are, above all directories
  std::vector<item> items;
};

// A directory that is to be listed, or that ordered emission has not passed yet.
struct walk_pending {
  enum class state : std::uint8_t { unlisted, claimed, listed, failed };
  std::shared_ptr<walk_directory> node;
  std::shared_ptr<walk_listing> within;        // where it was found; dropped once it is open
  std::shared_ptr<asyncfs::directory> handle;  // open already: the rest of it is to be read
  bool follow = false;
  state now = state::unlisted;
  std::shared_ptr<walk_listing> listing;  // ordered: waits for its turn
  bool more = false;                      // ordered: and is followed by another (of roots)
  std::error_code error;
  std::string_view operation;
};

}  // namespace asyncfs::detail
