#include <asyncfs/walk.hpp>

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <utility>

#include "walk_listing.hpp"

namespace asyncfs {

namespace {

constexpr std::size_t scratch_bytes = std::size_t{64} << 10;

}  // namespace

walk::walk(std::vector<walk_root> roots, walk_options options)
    : options_(std::move(options)), first_roots_(std::move(roots)) {
  auto top = std::make_shared<detail::walk_pending>();
  top->node = std::make_shared<walk_directory>();
  unlisted_.push_back(top);
  if (options_.order != walk_order::none) levels_.push_back({std::move(top)});
}

walk::~walk() {
  std::unique_lock lock(mutex_);
  forget(lock);
}

void walk::stop() noexcept {
  std::unique_lock lock(mutex_);
  stopped_ = true;  // so that nothing is emitted or taken any more, which may throw
  detail::waiting_room woken;
  settle(woken);
  forget(lock);
  wake_all(woken);
}

// Lets go of all that was found and not given out, so that what users hung on directories is released. Unlocks: that
// may be any code.
void walk::forget(std::unique_lock<short_lock>& lock) noexcept {
  std::vector<pending_ptr> unlisted = std::move(unlisted_);
  const std::vector<level> levels = std::move(levels_);
  const std::vector<lane> lanes = std::move(lanes_);
  const pending_ptr demanded = std::move(demanded_);
  unlisted_.clear();
  levels_.clear();
  lanes_.clear();
  ready_count_ = listed_ahead_ = ready_ranges_ = open_ahead_ = 0;
  // Some are being listed already, having been demanded, and are their listers' to let go.
  for (pending_ptr& one : unlisted)
    if (std::exchange(one->now, detail::walk_pending::state::claimed) != detail::walk_pending::state::unlisted)
      one.reset();
  lock.unlock();
  // Directories never listed and the listings they were found in hold each other.
  for (const pending_ptr& one : unlisted)
    if (one) one->within.reset();
}

walk::extent walk::found() noexcept {
  const std::lock_guard lock(mutex_);
  return {found_, unlisted_.empty() && demanded_ == nullptr && listing_now_ == 0};
}

void walk::break_off(std::exception_ptr why) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (!stopped_) broken_off_ = std::move(why);
  }
  stop();
}

void walk::waiting::check() const {
  if (broken_off_) std::rethrow_exception(broken_off_);
  if (!over_ && !entry_ && !claimed_) detail::throw_failure(failure(ECANCELED).error(), name());
}

bool walk::next_awaiter::wait(loop& home, cancel_scope& scope) {
  if (scope.cancelled()) return false;
  detail::waiting_room woken;
  std::unique_lock lock(from_.mutex_);
  entry_ = from_.take(&home);
  if (!entry_ && from_.finished()) end();
  const bool queued = !entry_ && !over_;
  if (queued) from_.takers_.push_front(*this);
  try {
    from_.settle(woken);
  } catch (...) {  // nobody was served yet
    if (queued) static_cast<detail::parked_hook&>(*this).unlink();
    lock.unlock();
    from_.break_off(std::current_exception());
    throw;
  }
  const bool waits = queued && !granted();
  if (waits) home.park(*this, scope);
  if (queued && granted()) static_cast<detail::parked_hook&>(*this).unlink();  // served by itself: nobody need wake it
  lock.unlock();
  wake_all(woken);
  return waits;
}

class walk::claim_awaiter final : public waiting {
 public:
  explicit claim_awaiter(walk& from) noexcept : waiting("walk.drive", from) {}
  pending_ptr await_resume() {
    check();
    return std::move(claimed_);
  }

 private:
  bool wait(loop& home, cancel_scope& scope) override {
    const std::lock_guard lock(from_.mutex_);
    if (from_.finished()) end();
    if (over_ || scope.cancelled()) return false;
    claimed_ = from_.claim();
    if (claimed_) return false;
    from_.listers_.push_front(*this);
    home.park(*this, scope);
    return true;
  }
};

task<void> walk::drive() {
  try {
    const auto scratch = std::make_unique_for_overwrite<std::byte[]>(scratch_bytes);
    unsigned to_workers = 0;
    for (;;) {
      claim_awaiter next(*this);
      const pending_ptr work = co_await detail::for_caller(next);
      if (!work) co_return;
      try {
        if (work->node->depth() == 0)
          co_await detail::for_caller(list_roots(work));
        else
          co_await detail::for_caller(list(work, {scratch.get(), scratch_bytes}, to_workers));
      } catch (...) {
        work->within.reset();  // they would hold each other, as in ~walk
        throw;
      }
    }
  } catch (...) {
    break_off(std::current_exception());
    throw;
  }
}

// Takes a listing in; `more`: the directory has more, to be read when there is room.
void walk::publish(const pending_ptr& work, listing_ptr listing, bool more) {
  const auto entries = std::ranges::count_if(listing->items, [](const auto& item) { return item.type != DT_DIR; });
  std::unique_lock lock(mutex_);
  found_ += static_cast<std::uint64_t>(entries);
  --listing_now_;
  work->within.reset();
  if (!stopped_) add_children(listing);
  if (stopped_) {
    work->now = detail::walk_pending::state::failed;
  } else if (options_.order != walk_order::none) {
    work->handle.reset();
    work->now = detail::walk_pending::state::listed;
    work->more = more;
    listed_ahead_ += listing->items.size();
    ++open_ahead_;
    work->listing = std::move(listing);
  } else {
    if (more) {
      work->now = detail::walk_pending::state::unlisted;
      // More roots only when nothing else is left to list: there may be any number.
      unlisted_.insert(work->node->depth() == 0 ? unlisted_.begin() : unlisted_.end(), work);
    }
    // Runs of what is no directory.
    std::deque<range>& ready = ready_of(loop::current());
    for (std::size_t i = 0; i < listing->items.size();) {
      if (listing->items[i].type == DT_DIR) {
        ++i;
        continue;
      }
      const std::size_t begin = i;
      while (i < listing->items.size() && listing->items[i].type != DT_DIR) ++i;
      ready_count_ += i - begin;
      ++ready_ranges_;
      ready.push_back({listing, begin, i});
    }
  }
  detail::waiting_room woken;
  settle(woken);
  lock.unlock();
  wake_all(woken);
}

void walk::publish_failure(const pending_ptr& work, std::error_code error, std::string_view operation) {
  std::unique_lock lock(mutex_);
  --listing_now_;
  ++found_;
  work->within.reset();
  work->handle.reset();
  work->now = detail::walk_pending::state::failed;
  work->error = error;
  work->operation = operation;
  if (options_.order == walk_order::none && !stopped_) emit_failure(work);
  detail::waiting_room woken;
  settle(woken);
  lock.unlock();
  wake_all(woken);
}

void walk::add_children(const listing_ptr& listing) {
  const bool ordered = options_.order != walk_order::none;
  // Last in, first out: pushed backwards, the first comes out first.
  for (std::size_t i = listing->items.size(); i-- > 0;) {
    auto& item = listing->items[i];
    if (item.type != DT_DIR) continue;
    auto child = std::make_shared<detail::walk_pending>();
    child->node = std::make_shared<walk_directory>();
    child->node->parent_ = listing->directory;
    child->node->name_ = item.name;
    child->node->depth_ = listing->directory->depth_ + 1;
    child->within = listing;
    child->follow = item.followed;
    child->node->root_ = child->node->is_root() ? item.root : listing->directory->root_;
    if (child->node->is_root()) {
      child->node->shown_ = listing->roots[i].shown;
    } else {
      child->node->below_link_ = item.followed || listing->directory->below_link_;
    }
    unlisted_.push_back(child);  // before the listing holds it: see ~walk
    if (ordered) item.child = std::move(child);
  }
}

void walk::emit_failure(const pending_ptr& work) {
  auto alone = std::make_shared<detail::walk_listing>();
  alone->directory = work->node->parent_;
  alone->handle = std::make_shared<directory>();
  // The pending directory keeps the name alive.
  alone->items.push_back({.name = work->node->name(),
                          .type = DT_DIR,
                          .followed = work->follow,
                          .child = work,
                          .root = work->node->root()});
  ++ready_count_;
  ++ready_ranges_;
  ready_of(loop::current()).push_back({std::move(alone), 0, 1, work->error, work->operation});
}

// Ordered: moves on along the tree as far as it is listed.
void walk::emit() {
  demanded_.reset();
  while (ready_count_ < options_.most_ready && !levels_.empty()) {
    level& here = levels_.back();
    const pending_ptr directory = here.directory;
    if (directory->now == detail::walk_pending::state::failed) {
      emit_failure(directory);
      levels_.pop_back();
      continue;
    }
    if (directory->now != detail::walk_pending::state::listed) {
      if (directory->now == detail::walk_pending::state::unlisted) demanded_ = directory;
      return;
    }
    const listing_ptr listing = directory->listing;
    const auto& items = listing->items;
    const std::size_t begin = here.next;
    while (here.next < items.size() && items[here.next].child == nullptr) ++here.next;
    if (here.next > begin) {
      ready_count_ += here.next - begin;
      listed_ahead_ -= here.next - begin;
      ++ready_ranges_;
      ready_of(nullptr).push_back({listing, begin, here.next});
    }
    if (here.next == items.size()) {
      directory->listing.reset();
      --open_ahead_;
      if (directory->more) {
        here.next = 0;
        directory->now = detail::walk_pending::state::unlisted;
      } else {
        levels_.pop_back();
      }
    } else {
      --listed_ahead_;
      pending_ptr child = std::exchange(listing->items[here.next++].child, nullptr);
      levels_.push_back({std::move(child)});
    }
  }
}

std::deque<walk::range>& walk::ready_of(const loop* home) {
  if (options_.order != walk_order::none) home = nullptr;
  for (lane& one : lanes_)
    if (one.home == home) return one.ready;
  return lanes_.emplace_back(home, std::deque<range>()).ready;
}

std::optional<walk_entry> walk::take(const loop* home) {
  if (ready_count_ == 0 || stopped_) return std::nullopt;
  std::deque<range>* from = &ready_of(home);
  // Two loops in one directory would wait for each other's locks in the kernel, so others are helped last.
  for (lane& other : lanes_)
    if (from->empty()) from = &other.ready;
  range& first = from->front();
  walk_entry entry;
  entry.listing_ = first.listing;
  entry.index_ = first.next++;
  entry.sequence_ = next_sequence_++;
  entry.error = first.error;
  entry.operation = first.operation;
  if (options_.follow) tell_unfollowed(entry);
  --ready_count_;
  if (first.next == first.end) {
    from->pop_front();
    --ready_ranges_;
  }
  return entry;
}

void walk::tell_unfollowed(walk_entry& entry) {
  const int error = entry.listing_->items[entry.index_].error;
  if (error == 0) return;
  entry.error = failure(error).error();
  entry.operation = "follow";
}

walk::pending_ptr walk::claim() {
  if (stopped_ || listing_now_ >= options_.most_listings) return nullptr;
  const auto begin = [this](pending_ptr chosen) {
    chosen->now = detail::walk_pending::state::claimed;
    ++listing_now_;
    return chosen;
  };
  if (ready_ranges_ >= options_.most_open) return nullptr;
  if (demanded_) return begin(std::exchange(demanded_, nullptr));
  if (ready_count_ >= options_.most_ready || listed_ahead_ >= options_.most_listed) return nullptr;
  if (ready_ranges_ + open_ahead_ >= options_.most_open) return nullptr;
  while (!unlisted_.empty()) {
    pending_ptr last = std::move(unlisted_.back());
    unlisted_.pop_back();
    if (last->now == detail::walk_pending::state::unlisted) return begin(std::move(last));
  }
  return nullptr;
}

bool walk::finished() const noexcept {
  if (stopped_) return true;
  if (listing_now_ != 0 || ready_count_ != 0) return false;
  return options_.order == walk_order::none ? unlisted_.empty() : levels_.empty();
}

// Throws before anybody was served, or not at all.
void walk::settle(detail::waiting_room& woken) {
  if (options_.order != walk_order::none && !stopped_) emit();
  // Those on this loop first: waking them is cheap, and what was just listed is in this CPU's cache.
  const loop* const here = loop::current();
  const auto serve = [&](detail::waiting_room& queue, auto&& give) {
    bool more = true;
    for (const bool ours : {true, false}) {
      if (!more) return;
      queue.while_each([&](detail::parked& waits) {
        auto& one = static_cast<waiting&>(waits);
        if ((one.home_ == here) != ours) return true;
        if (!give(one)) {
          more = finished();
          if (!more) return false;
          one.end();
        }
        one.grant();
        woken.push_back(one);
        return true;
      });
    }
  };
  // Any number may wait, and each that comes gets here.
  if (ready_count_ != 0 || finished())
    serve(takers_, [this](waiting& one) { return (one.entry_ = take(one.home_)).has_value(); });
  serve(listers_, [this](waiting& one) { return (one.claimed_ = claim()) != nullptr; });
}

void walk::wake_all(detail::waiting_room& woken) noexcept {
  while (detail::parked* one = woken.pop_front()) one->wake();
}

}  // namespace asyncfs
