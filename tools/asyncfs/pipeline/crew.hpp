// The workers of one loop, and how many there are of them.
#pragma once

#include <asyncfs/scope.hpp>
#include <asyncfs/walk.hpp>

#include <exception>

#include "pipeline/job.hpp"
#include "pipeline/report.hpp"
#include "pipeline/selection.hpp"
#include "pipeline/tree.hpp"
#include "pipeline/working_depth.hpp"

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

// How the limit on open descriptors is shared out.
struct descriptor_bounds {
  unsigned loops;           // no more than asked for
  unsigned files;           // in flight a loop
  std::size_t directories;  // ahead of the files (walk_options::most_open): the further, the better for a cold disk
  std::size_t descriptors;  // for all of that
};
// `depth`: files in flight a loop, where the user has said so; 0: as the device asks.
[[nodiscard]] descriptor_bounds bounds_of_descriptors(unsigned loops, unsigned depth);

// Loop thread only.
class crew {
 public:
  crew(workshop& shared, asyncfs::loop& home);
  crew(const crew&) = delete;
  crew& operator=(const crew&) = delete;

  // To be cancelled when the user interrupts.
  [[nodiscard]] asyncfs::cancel_scope& until_interrupted() noexcept { return until_interrupted_; }
  // Until there is nothing left to do. Throws what the first worker threw that failed.
  asyncfs::task<void> run();

 private:
  asyncfs::task<void> staff(asyncfs::scope& workers);
  void hire();
  asyncfs::task<void> list();
  asyncfs::task<void> work();
  asyncfs::task<void> work_on();
  void fail() noexcept;
  asyncfs::task<std::string> outcome_of(const visitor& visit, asyncfs::walk_entry& entry);
  asyncfs::task<std::string> cut_short(const visitor& visit, asyncfs::walk_entry& entry);

  workshop& shared_;
  asyncfs::loop& home_;
  asyncfs::cancel_scope until_interrupted_;
  workplace place_;
  const visitor_maker make_visitor_;
  asyncfs::scope* workers_ = nullptr;  // any number come and go: nothing of those that have gone is kept
  std::exception_ptr failure_;
  working_depth depth_;
  unsigned working_ = 0;
  std::uint64_t credit_until_ = 0;  // entries before it need not ask the report
};

}  // namespace tool
