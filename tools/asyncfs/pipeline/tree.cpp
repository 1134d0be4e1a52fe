#include "pipeline/tree.hpp"

#include <sys/resource.h>
#include <asyncfs/future.hpp>

#include <algorithm>
#include <list>
#include <thread>

namespace tool {

namespace {

constexpr unsigned listers = 8;  // tasks a loop that list directories
constexpr unsigned depth_when_cached = 32;
constexpr unsigned depth_most = 128;
constexpr std::uint64_t observed_at_a_time = 256;  // completions between two looks at the flow
constexpr unsigned descriptors_a_file = 3;
constexpr rlim_t descriptors_kept = 256;  // for directories, rings and the rest

// Of the operations in flight when a turn begins, the share that has ended: 1 when all is cached, a third and less when
// a device sets the pace.
constexpr double mostly_cached = 0.8, mostly_waiting = 0.6;

unsigned descriptor_bound(unsigned loops) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return depth_most;
  const auto left = limit.rlim_cur > descriptors_kept * 2 ? limit.rlim_cur - descriptors_kept : limit.rlim_cur / 2;
  return static_cast<unsigned>(std::clamp<std::uint64_t>(left / descriptors_a_file / loops, 1, depth_most));
}

struct shared_state {
  tree_work work;
  report& out;
  asyncfs::walk walk;
  unsigned fixed_depth, most_depth;
};

// The workers of one loop.
class crew {
 public:
  crew(shared_state& shared, asyncfs::loop& home)
      : shared_(shared),
        home_(home),
        make_visitor_(shared.work.make_crew()),
        wanted_(shared.fixed_depth != 0 ? shared.fixed_depth : std::min(depth_when_cached, shared.most_depth)),
        flow_(home.flow()) {}

  asyncfs::task<void> run() {
    for (unsigned i = 0; i < listers; ++i) tasks_.push_back(asyncfs::spawn(home_, shared_.walk.drive()));
    hire();
    // Workers may hire others, so the list can grow while it is awaited.
    std::exception_ptr first;
    for (auto& one : tasks_) {
      try {
        co_await std::move(one);
      } catch (...) {
        if (!first) first = std::current_exception();
        shared_.walk.stop();
      }
    }
    if (first) std::rethrow_exception(first);
    if (shared_.work.afterwards) co_await shared_.work.afterwards();
  }

 private:
  void hire() {
    for (; working_ < wanted_; ++working_) tasks_.push_back(asyncfs::spawn(home_, work()));
  }

  asyncfs::task<void> work() {
    const visitor visit = make_visitor_();
    for (;;) {
      auto entry = co_await shared_.walk.next();
      if (!entry) break;
      co_await shared_.out.credit(entry->sequence());
      co_await visit(*entry);
      if (shared_.out.error()) shared_.walk.stop();
      entry.reset();
      adjust();
      if (working_ > wanted_) break;
    }
    --working_;
  }

  void adjust() {
    const auto& now = home_.flow();
    if (shared_.fixed_depth != 0 || now.completed - flow_.completed < observed_at_a_time) return;
    const double share = static_cast<double>(now.completed - flow_.completed) /
                         static_cast<double>(std::max<std::uint64_t>(now.in_flight - flow_.in_flight, 1));
    flow_ = now;
    if (share > mostly_cached) wanted_ = std::min(depth_when_cached, shared_.most_depth);
    if (share < mostly_waiting) wanted_ = std::min(wanted_ * 2, shared_.most_depth);
    hire();
  }

  shared_state& shared_;
  asyncfs::loop& home_;
  const visitor_maker make_visitor_;
  std::list<asyncfs::future<void>> tasks_;
  unsigned working_ = 0, wanted_;
  asyncfs::loop::flow_counters flow_;
};

asyncfs::task<void> on_loop(shared_state& shared) {
  const asyncfs::task_context at = co_await asyncfs::this_task;
  crew hands(shared, at.home);
  co_await hands.run();
}

asyncfs::task<void> finish(report& out) { co_await out.finish(); }

}  // namespace

void run_tree(const tree_options& options, tree_work work, report& out) {
  unsigned loops = options.jobs != 0 ? options.jobs : std::max(1u, std::thread::hardware_concurrency());
  if (options.loop.engine.kind == asyncfs::engine_kind::sync) loops = 1;
  asyncfs::loop_options how = options.loop;
  for (const asyncfs::opcode code : work.in_place) how.engine.run(code, asyncfs::runs::in_place);
  auto walk_options = work.walk;
  auto roots = std::move(work.roots);
  shared_state shared{std::move(work), out, asyncfs::walk(std::move(roots), std::move(walk_options)), options.depth,
                      descriptor_bound(loops)};
  asyncfs::run_on(loops, [&shared](std::size_t) { return on_loop(shared); }, how);
  asyncfs::run(finish(out), how);
}

}  // namespace tool
