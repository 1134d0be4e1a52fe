// Crews whose workers digest files.
#pragma once

#include <thread>
#include <utility>

#include "hash/file_digester.hpp"
#include "pipeline/tree.hpp"

namespace tool {

// For tree_work::make_crew: `make_worker(share)` makes a worker, by shared pointer; its `visit` is told of each entry.
template <class Make>
crew_maker digesting_crew(Make make_worker) {
  auto large = std::make_shared<large_files>(std::thread::hardware_concurrency());
  return [make_worker = std::move(make_worker), large](workplace& place) -> visitor_maker {
    return [make_worker, share = std::make_shared<loop_share>(place.whole, large)]() -> visitor {
      auto worker = make_worker(share);
      return [worker](asyncfs::walk_entry& entry) { return worker->visit(entry); };
    };
  };
}

}  // namespace tool
