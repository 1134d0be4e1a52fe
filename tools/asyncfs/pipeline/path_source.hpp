// Paths that a list names: --files-from.
#pragma once

#include <asyncfs/file.hpp>
#include <asyncfs/task.hpp>

#include <string>
#include <vector>

#include "pipeline/record_reader.hpp"
#include "pipeline/tree_options.hpp"

namespace tool {

// Calls come one after the other, from any loop.
class path_source {
 public:
  explicit path_source(path_list from) : from_(std::move(from)) {}
  path_source(const path_source&) = delete;
  path_source& operator=(const path_source&) = delete;
  ~path_source();

  // The next of them; none at the end. Throws std::system_error that names the list.
  asyncfs::task<std::vector<std::string>> next();

 private:
  asyncfs::task<void> open();
  const path_list from_;
  asyncfs::file file_;
  std::optional<record_reader> records_;
};

}  // namespace tool
