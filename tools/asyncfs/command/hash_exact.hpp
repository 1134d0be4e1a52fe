// Files that a list does not name: looked for after its check.
#pragma once

#include <asyncfs/directory.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "command/hash.hpp"
#include "hash/known_names.hpp"
#include "hash/line.hpp"
#include "hash/listed_places.hpp"

namespace tool {

class unlisted_search {
 public:
  unlisted_search(const hash_command& command, verdict_style style, messages& say)
      : command_(command), style_(style), say_(say) {}

  // A listed file. Before `run`; one thread at a time.
  void take_file(std::string_view name);
  // A tree of which the list has one digest: all in it is listed.
  void take_tree(std::string_view name);
  // Files that are no business of the list's: itself, and where results are written.
  void leave_out(const asyncfs::file_status& what) { left_out_.push_back(what); }

  struct outcome {
    std::uint64_t unlisted = 0;
    bool complete = true;  // all places could be searched
  };
  outcome run(report& out, tree_summary& part_of);

 private:
  class worker;
  [[nodiscard]] bool listed(std::string_view normalised_name) const;

  const hash_command& command_;
  const verdict_style style_;
  messages& say_;
  known_names known_, trees_;
  bool any_tree_ = false;
  listed_places places_;
  std::vector<asyncfs::file_status> left_out_;
};

}  // namespace tool
