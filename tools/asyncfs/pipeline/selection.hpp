// Which of what a walk finds is worked on: filters, file systems, shards.
#pragma once

#include <asyncfs/directory.hpp>
#include <asyncfs/walk.hpp>

#include <mutex>
#include <unordered_map>

#include "message.hpp"
#include "pipeline/tree_options.hpp"

namespace tool {

// Any thread.
class selection {
 public:
  selection(const tree_options& how, messages& say) noexcept : how_(how), say_(say) {}

  [[nodiscard]] bool takes_all() const noexcept { return how_.filter.empty() && how_.shard.of == 1; }
  // Errors always pass: they are for the command to tell.
  [[nodiscard]] bool wants(const asyncfs::walk_entry& entry) const;

  [[nodiscard]] bool enters_all() const noexcept { return how_.filter.empty() && !how_.one_file_system; }
  asyncfs::task<bool> enters(const asyncfs::walk_directory& found, const asyncfs::directory& handle);

 private:
  asyncfs::task<bool> on_same_device(const asyncfs::walk_directory& found, const asyncfs::directory& handle);

  const tree_options& how_;
  messages& say_;
  std::mutex mutex_;
  std::unordered_map<std::size_t, std::uint64_t> devices_;  // of roots that are directories
};

}  // namespace tool
