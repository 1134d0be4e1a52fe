#include "pipeline/tree.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <asyncfs/event_count.hpp>
#include <asyncfs/future.hpp>
#include <asyncfs/signal.hpp>

#include <chrono>
#include <iterator>
#include <optional>
#include <thread>

#include "ending.hpp"
#include "pipeline/crew.hpp"
#include "pipeline/json.hpp"
#include "pipeline/path_source.hpp"
#include "pipeline/progress.hpp"

namespace tool {

namespace {

// The signals that end the work early, but for those that this process was started to ignore, as by nohup(1).
asyncfs::signal_set ending_signals() {
  asyncfs::signal_set all;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction now{};
    if (::sigaction(number, nullptr, &now) == 0 && now.sa_handler != SIG_IGN) all.add(number);
  }
  return all;
}

struct whole_run : workshop {
  statistics stats{};
  std::optional<asyncfs::signal_block> unsignalled{};  // on the first loop's thread
  asyncfs::event_count changed{};                      // somebody interrupts, or all crews have ended
  std::atomic<unsigned> crews_at_work{0};
  std::chrono::steady_clock::time_point interrupted_at{};  // the first loop's; for others once all have ended
};

// A crew that is at work, or was to be: also one whose loop could not be set up must be counted out.
class at_work {
 public:
  explicit at_work(whole_run& run) noexcept : run_(&run) {}
  at_work(at_work&& other) noexcept : run_(std::exchange(other.run_, nullptr)) {}
  at_work& operator=(at_work&&) = delete;
  ~at_work() { end(); }
  void end() noexcept {
    if (run_ == nullptr) return;
    whole_run& run = *std::exchange(run_, nullptr);
    if (run.crews_at_work.fetch_sub(1) == 1) run.changed.notify();
  }

 private:
  whole_run* run_;
};

// Carries an interruption to a loop, and keeps the loop until all crews have ended.
asyncfs::task<void> attend(whole_run& run, asyncfs::cancel_scope& until_interrupted) {
  for (;;) {
    const auto seen = run.changed.now();
    if (run.whole.signal() != 0) until_interrupted.cancel();
    if (run.crews_at_work.load() == 0) co_return;
    co_await run.changed.after(seen);
  }
}

// timeout(1) and terminals may send the same signal twice, to the process and to its group.
constexpr std::chrono::milliseconds before_impatience{500};
constexpr std::size_t descriptors_of_large_tree = 8192;

// The first one ends the work in order. One that comes later ends the process.
asyncfs::task<void> await_signals(whole_run& run) {
  asyncfs::loop& home = *asyncfs::loop::current();
  asyncfs::signal_watch watch = co_await asyncfs::watch_signals(ending_signals());
  const auto first = co_await watch.next();
  const auto then = home.now();
  run.interrupted_at = std::chrono::steady_clock::now();
  run.whole.interrupt(first->number);
  run.walk.stop();
  run.changed.notify();
  for (;;) {
    const auto again = co_await watch.next();
    if (home.now() - then >= before_impatience) die_of(again->number);
  }
}

asyncfs::task<void> on_loop(whole_run& run, std::size_t index, at_work here) {
  const asyncfs::task_context at = co_await asyncfs::this_task;
  const tree_options& options = run.whole.options;
  std::vector<asyncfs::future<void>> beside;
  if (index == 0 && run.unsignalled) beside.push_back(asyncfs::spawn(at.home, await_signals(run)));
  if (index == 0 && shows_progress(options.progress, run.work.prints_results))
    beside.push_back(asyncfs::spawn(at.home, show_progress(run.whole, run.walk, options.progress == when::always)));
  std::exception_ptr failed;
  {
    crew hands(run, at.home);
    auto attending = asyncfs::spawn(at.home, attend(run, hands.until_interrupted()));
    try {
      co_await hands.run();
    } catch (...) {
      failed = std::current_exception();
    }
    here.end();
    co_await std::move(attending);
  }
  beside.clear();  // asks them to end
  run.stats.add(at.home.metrics(), at.home.engine().name());
  if (failed) std::rethrow_exception(failed);
}

// To be called before signals are let through again.
void tell_interruption(const whole_run& run, messages& say) {
  say.note(fmt::format("interrupted; {}", run.work.after_interruption));
  const sigset_t ending = ending_signals().raw();
  const timespec at_once{};
  while (std::chrono::steady_clock::now() - run.interrupted_at < before_impatience &&
         ::sigtimedwait(&ending, nullptr, &at_once) > 0) {
  }
}

using decision = std::function<asyncfs::task<bool>(asyncfs::walk_directory&, const asyncfs::directory&)>;

asyncfs::task<bool> both_enter(selection& chosen, const decision& own, asyncfs::walk_directory& found,
                               const asyncfs::directory& handle) {
  const bool wanted = co_await chosen.enters(found, handle);
  if (!wanted || !own) co_return wanted;
  co_return co_await own(found, handle);
}

using root_maker = std::function<asyncfs::walk_root(std::string)>;

asyncfs::task<std::vector<asyncfs::walk_root>> next_roots(path_source& from, const root_maker& root_named) {
  std::vector<std::string> paths = co_await from.next();
  std::vector<asyncfs::walk_root> roots;
  roots.reserve(paths.size());
  for (std::string& path : paths)
    roots.push_back(root_named ? root_named(std::move(path)) : asyncfs::walk_root{.path = std::move(path)});
  co_return roots;
}

// What the walk is told, beside what the command wants of it.
asyncfs::walk_options options_of_walk(const tree_work& work, selection& chosen, std::optional<path_source>& paths,
                                      std::size_t most_open) {
  asyncfs::walk_options made = work.walk;
  made.most_open = most_open;
  if (!chosen.enters_all())
    made.enter = [&chosen, own = work.walk.enter](asyncfs::walk_directory& found, const asyncfs::directory& handle) {
      return both_enter(chosen, own, found, handle);
    };
  if (paths) made.more_roots = [&paths, root_named = work.root_named] { return next_roots(*paths, root_named); };
  return made;
}

}  // namespace

std::string json_summary(const tree_options& options, const tree_summary& of, bool failed) {
  std::string text;
  json_line line(text);
  line.text("type", "summary").number("files", of.files).number("bytes", of.bytes).real("seconds", of.seconds);
  line.boolean("failed", failed).members(options.stats ? statistics_members(of) : std::string()).end();
  return text;
}

void tell_statistics(const tree_options& options, const tree_summary& of, messages& say) {
  if (!options.stats || options.json) return;
  for (const std::string& line : statistics_lines(of)) say.note(line);
}

std::vector<std::string> read_paths(const tree_options& options, messages& say) {
  std::vector<std::string> all;
  if (!options.more_paths) return all;
  path_source from(*options.more_paths, say);
  for (;;) {
    auto some = run_ahead(options, from.next());
    if (some.empty()) return all;
    all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
}

tree_summary run_tree(const tree_options& options, tree_work work, report& out, messages& say) {
  unsigned loops = options.jobs != 0 ? options.jobs : std::max(1u, std::thread::hardware_concurrency());
  if (options.loop.engine.kind == asyncfs::engine_kind::sync) loops = 1;
  const descriptor_bounds bounds = bounds_of_descriptors(loops, options.depth);
  loops = bounds.loops;
  asyncfs::loop_options how = options.loop;
  for (const asyncfs::opcode code : work.in_place) how.engine.run(code, asyncfs::runs::in_place);

  selection chosen(options, say);
  std::optional<path_source> paths;
  if (options.more_paths) paths.emplace(*options.more_paths, say);
  auto walk_options = options_of_walk(work, chosen, paths, bounds.directories);
  auto roots = std::move(work.roots);
  whole_run run{
      {std::move(work), {options, say}, out, chosen, {std::move(roots), std::move(walk_options)}, bounds.files}};
  run.crews_at_work = loops;
  // Before other threads start, so that they have the signals blocked as well.
  if (options.interruptible) run.unsignalled.emplace(ending_signals());
  // No more than a large source tree takes: a small job would wait for the kernel to clear the room.
  asyncfs::reserve_descriptors(std::min(bounds.descriptors, descriptors_of_large_tree));
  asyncfs::run_on(loops, [&run](std::size_t index) { return on_loop(run, index, at_work(run)); }, how);
  const int signal = run.whole.signal();
  if (signal != 0) tell_interruption(run, say);
  run.unsignalled.reset();

  const tree_summary summary = run.stats.sum_up(run.work.counts_files ? run.whole.files() : 0, run.whole.bytes());
  if (run.work.part_of != nullptr) *run.work.part_of += summary;
  const tree_summary& whole = run.work.part_of != nullptr ? *run.work.part_of : summary;
  const bool is_last = run.work.part_of == nullptr || signal != 0;
  std::string last;
  if (options.json && is_last)
    last =
        run.work.last_line ? run.work.last_line(whole) : json_summary(options, whole, say.any_failure() || signal != 0);
  run_ahead(options, out.finish(std::move(last)));
  if (is_last) tell_statistics(options, whole, say);
  if (signal != 0) throw interrupted{signal};
  return summary;
}

}  // namespace tool
