#include "pipeline/crew.hpp"

#include <sys/resource.h>

#include <algorithm>

namespace tool {

namespace {

constexpr unsigned listers = 8;  // tasks a loop that list directories

// What is open at once. A copy holds its source, itself, and the directories of both. An ordered walk holds twice as many
// directories as it is told; of a copy each has another; and there are those above where it is.
constexpr rlim_t descriptors_a_file = 4, descriptors_a_directory = 3, descriptors_a_loop = 4;
constexpr rlim_t descriptors_of_the_rest = 64;  // directories that are being listed, standard streams
constexpr rlim_t limit_a_loop = 128;            // more loops than that could do nothing
constexpr rlim_t fewest_directories = 8, most_directories = 65536;

}  // namespace

descriptor_bounds bounds_of_descriptors(unsigned loops, unsigned depth) {
  rlimit limit{};
  const rlim_t all = ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : limit_a_loop;
  descriptor_bounds made{};
  made.loops = static_cast<unsigned>(std::clamp<rlim_t>(all / limit_a_loop, 1, loops));
  // Files first: three quarters of the limit, or of a low one half of that.
  const rlim_t for_files = all / 4 * 3 / (all > 512 ? 1 : 2);
  const rlim_t most = depth != 0 ? depth : working_depth::at_most;
  made.files = static_cast<unsigned>(std::clamp<rlim_t>(for_files / descriptors_a_file / made.loops, 1, most));
  const rlim_t taken = (made.files * descriptors_a_file + descriptors_a_loop) * made.loops + descriptors_of_the_rest;
  const rlim_t left = all - std::min(all, taken);
  made.directories = std::clamp(left / descriptors_a_directory, fewest_directories, most_directories);
  made.descriptors = std::min(all, taken + made.directories * descriptors_a_directory);
  return made;
}

crew::crew(workshop& shared, asyncfs::loop& home)
    : shared_(shared),
      home_(home),
      until_interrupted_(&home.root()),
      place_{shared.whole, until_interrupted_},
      make_visitor_(shared.work.make_crew(place_)),
      depth_(shared.whole.options.depth != 0, shared.most_depth, home.flow()) {}

asyncfs::task<void> crew::run() {
  co_await asyncfs::in_scope([this](asyncfs::scope& workers) { return staff(workers); });
  if (failure_) std::rethrow_exception(failure_);
  if (shared_.work.afterwards) co_await shared_.work.afterwards();
}

asyncfs::task<void> crew::staff(asyncfs::scope& workers) {
  workers_ = &workers;
  for (unsigned i = 0; i < listers; ++i) workers.spawn(list());
  hire();
  co_return;  // the scope waits for all of them
}

void crew::hire() {
  for (; working_ < depth_.now(); ++working_) workers_->spawn(work());
}

// What fails ends the walk for all; the others end what they have begun.
void crew::fail() noexcept {
  if (!failure_) failure_ = std::current_exception();
  shared_.walk.stop();
}

asyncfs::task<void> crew::list() {
  try {
    co_await shared_.walk.drive();
  } catch (...) {
    fail();
  }
}

asyncfs::task<void> crew::work() {
  try {
    co_await work_on();
  } catch (...) {
    fail();
  }
}

asyncfs::task<void> crew::work_on() {
  // Counted down where it ends, not where that is heard of: in between others would see too many at work, and leave too.
  struct place {
    unsigned& taken;
    ~place() { --taken; }
  } const counted{working_};
  const visitor visit = make_visitor_();
  const bool takes_all = shared_.chosen.takes_all();
  for (;;) {
    auto entry = co_await shared_.walk.next();
    if (!entry) break;
    if (entry->sequence() >= credit_until_) {
      const std::uint64_t until = co_await shared_.out.credit(entry->sequence());
      credit_until_ = std::max(credit_until_, until);
    }
    std::string text;
    if (takes_all || shared_.chosen.wants(*entry)) {
      text = co_await outcome_of(visit, *entry);
      shared_.whole.file_done();
    }
    co_await shared_.out.deliver(entry->sequence(), std::move(text));
    if (shared_.out.error()) shared_.walk.stop();
    entry.reset();
    if (depth_.look(home_.flow())) hire();
    if (working_ > depth_.now()) break;
  }
}

// No coroutine itself: a frame less for every file that need not be cut short.
asyncfs::task<std::string> crew::outcome_of(const visitor& visit, asyncfs::walk_entry& entry) {
  return shared_.work.may_be_cut_short && shared_.whole.options.interruptible ? cut_short(visit, entry) : visit(entry);
}

asyncfs::task<std::string> crew::cut_short(const visitor& visit, asyncfs::walk_entry& entry) {
  try {
    co_return co_await visit(entry).in(until_interrupted_);
  } catch (const std::system_error& error) {
    if (shared_.whole.signal() == 0 || !asyncfs::is_cancelled(error.code())) throw;
  }
  co_return std::string();
}

}  // namespace tool
