// Paths that a list names: --files-from.
#pragma once

#include <asyncfs/file.hpp>
#include <asyncfs/task.hpp>

#include <string>
#include <vector>

#include "message.hpp"
#include "pipeline/record_reader.hpp"
#include "pipeline/tree_options.hpp"

namespace tool {

// Calls come one after the other, from any loop.
class path_source {
 public:
  path_source(path_list from, messages& say) : from_(std::move(from)), say_(say) {}
  path_source(const path_source&) = delete;
  path_source& operator=(const path_source&) = delete;
  ~path_source();

  // The next of them; none at the end. What cannot be taken, or no more be read, was said: it is a failure.
  asyncfs::task<std::vector<std::string>> next();

 private:
  asyncfs::task<bool> open();
  void fail(std::string_view what, const std::error_code& why);
  const path_list from_;
  messages& say_;
  asyncfs::file file_;
  std::optional<record_reader> records_;
};

}  // namespace tool
