// What every command that works on trees can be told.
#pragma once

#include <asyncfs/engine.hpp>
#include <asyncfs/loop.hpp>

#include <cstdint>
#include <optional>
#include <string>

#include "pipeline/name_filter.hpp"

namespace tool {

enum class when : std::uint8_t { automatic, always, never };

struct path_list {
  std::string path;  // "-": standard input
  char end;          // of each name
};

// The K-th of N parts of a tree, which together are all of it.
struct shard {
  unsigned part = 1, of = 1;
};

struct tree_options {
  asyncfs::loop_options loop;  // of each: its engine, and who observes it
  unsigned jobs = 0;           // loops; 0: one a CPU
  unsigned depth = 0;          // files in flight a loop; 0: as the device asks
  name_filter filter{};
  std::optional<path_list> more_paths{};
  bool one_file_system = false;
  tool::shard shard{};
  std::uint64_t bytes_a_second = 0;  // 0: as many as there are
  bool direct = false;               // leave the page cache as it was
  bool json = false, stats = false;
  when color = when::automatic;
  when progress = when::never;
  // SIGINT, SIGTERM and SIGHUP end the work early, in order.
  bool interruptible = false;
  std::string trace{};  // where to write a timeline; empty: nowhere
};

}  // namespace tool
