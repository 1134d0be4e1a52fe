// What is to be digested: entries of a tree, files that the user named, and standard input.
#pragma once

#include <asyncfs/file.hpp>
#include <asyncfs/task.hpp>
#include <asyncfs/walk.hpp>

#include "hash/file_digester.hpp"
#include "message.hpp"

namespace tool {

// The root that stands for a path on the command line; "-" is standard input.
[[nodiscard]] asyncfs::walk_root source_named(const std::string& path);

// An open file; standard input, which stays open, or one of our own.
class source {
 public:
  explicit source(asyncfs::file own) noexcept : file_(std::move(own)) {}
  [[nodiscard]] static source standard_input() noexcept;
  source(source&& other) noexcept = default;
  source& operator=(source&&) = delete;
  ~source();

  [[nodiscard]] const asyncfs::file& file() const noexcept { return file_; }
  [[nodiscard]] bool is_standard_input() const noexcept { return standard_input_; }
  // To be awaited at last: nothing was written, so nothing can be lost.
  asyncfs::task<void> close();

 private:
  asyncfs::file file_;
  bool standard_input_ = false;
};

// Inside a tree a name must not wait for a peer, and is followed only if the walk did; what the user named is opened as
// `cat` would.
asyncfs::task<asyncfs::result<source>> open_source(const asyncfs::walk_entry& entry);

// To be awaited: of what an entry stands for.
[[nodiscard]] inline auto status_of(const asyncfs::walk_entry& entry) noexcept {
  return entry.followed() ? entry.at().status_followed(entry.name()) : entry.at().status(entry.name());
}

// For walk_options::enter: says that a directory is none of the files that were wanted, and leaves it out.
asyncfs::task<bool> refuse_directory(const asyncfs::walk_directory& found, messages& say);

// Standard input from where it is, all else from the beginning.
asyncfs::task<file_digester::outcome> digest_source(file_digester& by, const source& from, stability begun,
                                                    std::span<const algorithm> which);

}  // namespace tool
