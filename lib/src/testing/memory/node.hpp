// What there is in a memory world: files, directories, links, and what descriptors refer to.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "testing/memory/pages.hpp"

namespace asyncfs::detail::memory {

struct timestamp {
  std::int64_t ns = 0;
};

struct attributes {
  std::uint32_t mode = 0, user = 0, group = 0;
  timestamp accessed, modified, changed;
  std::map<std::string, std::string> extended;
};

// A file of any type. Lives as long as its world: an open descriptor or a journal entry may refer to it.
struct node {
  std::uint64_t number = 0;
  attributes now;
  std::uint32_t links = 0;
  std::uint32_t opens = 0;               // open file descriptions
  std::uint64_t device = 0;              // of a device node
  pages data;                            // of a regular file
  std::string target;                    // of a symbolic link
  std::map<std::string, node*> entries;  // of a directory
  node* parent = nullptr;                // of a directory
  std::shared_ptr<struct conduit> fifo;  // of a named pipe, once it was opened

  // What a power cut leaves for sure.
  attributes durable;
  pages durable_data;

  [[nodiscard]] bool is(std::uint32_t type) const noexcept { return (now.mode & S_IFMT) == type; }
  [[nodiscard]] bool is_directory() const noexcept { return is(S_IFDIR); }
  [[nodiscard]] bool is_link() const noexcept { return is(S_IFLNK); }
  [[nodiscard]] bool is_regular() const noexcept { return is(S_IFREG); }
  // A directory that was removed and is still open: nothing can be made in it.
  [[nodiscard]] bool is_dead() const noexcept { return is_directory() && links == 0; }
};

struct stream;

// An open file description.
struct opened {
  node* file = nullptr;  // null for streams
  int flags = 0;         // O_*
  std::uint64_t position = 0;
  // Of a directory listing: how many of "." and ".." were given, and the name of the last entry after those.
  int dots_listed = 0;
  std::string last_entry{};
  std::shared_ptr<stream> end{};  // of a pipe or a socket
  std::string* sink = nullptr;    // standard output and error
  std::string path{};             // as it was opened, for people
};

}  // namespace asyncfs::detail::memory
