// The workers of one loop, and how many there are of them.
#pragma once

#include <asyncfs/future.hpp>
#include <asyncfs/walk.hpp>

#include <list>

#include "pipeline/job.hpp"
#include "pipeline/report.hpp"
#include "pipeline/selection.hpp"
#include "pipeline/tree.hpp"

namespace tool {

// What all crews of a job share.
struct workshop {
  tree_work work;
  job whole;
  report& out;
  const selection& chosen;
  asyncfs::walk walk;
  unsigned most_depth;
};

// As many files in flight as the limit on descriptors allows each of the loops.
[[nodiscard]] unsigned descriptor_bound(unsigned loops);

// Loop thread only.
class crew {
 public:
  crew(workshop& shared, asyncfs::loop& home);
  crew(const crew&) = delete;
  crew& operator=(const crew&) = delete;

  // To be cancelled when the user interrupts.
  [[nodiscard]] asyncfs::cancel_scope& until_interrupted() noexcept { return until_interrupted_; }
  // Until there is nothing left to do.
  asyncfs::task<void> run();

 private:
  void hire();
  asyncfs::task<void> work();
  asyncfs::task<std::string> outcome_of(const visitor& visit, asyncfs::walk_entry& entry);
  asyncfs::task<std::string> cut_short(const visitor& visit, asyncfs::walk_entry& entry);
  void adjust();

  workshop& shared_;
  asyncfs::loop& home_;
  asyncfs::cancel_scope until_interrupted_;
  workplace place_;
  const visitor_maker make_visitor_;
  std::list<asyncfs::future<void>> tasks_;
  const unsigned fixed_depth_;
  unsigned working_ = 0, wanted_;
  asyncfs::loop::flow_counters flow_;
};

}  // namespace tool
