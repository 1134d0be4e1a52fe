#include <asyncfs/walk.hpp>

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

namespace asyncfs {

namespace detail {

// One directory's entries, or a part of them when nothing has to be sorted.
struct walk_listing {
  struct item {
    const char* name;
    unsigned char type;
    std::shared_ptr<walk_pending> child;  // of a directory, when order matters
    std::size_t root = 0;                 // of a root: which
  };
  std::shared_ptr<walk_directory> directory;
  std::shared_ptr<asyncfs::directory> handle;
  std::vector<std::unique_ptr<std::byte[]>> names;
  std::vector<walk_root> roots;  // that the items are, above all directories
  std::vector<item> items;
};

// A directory that is to be listed, or that ordered emission has not passed yet.
struct walk_pending {
  enum class state : std::uint8_t { unlisted, claimed, listed, failed };
  std::shared_ptr<walk_directory> node;
  std::shared_ptr<walk_listing> within;        // where it was found; dropped once it is open
  std::shared_ptr<asyncfs::directory> handle;  // open already: the rest of it is to be read
  bool follow = false;
  state now = state::unlisted;
  std::shared_ptr<walk_listing> listing;  // ordered: waits for its turn
  bool more = false;                      // ordered: and is followed by another (of roots)
  std::error_code error;
  std::string_view operation;
};

}  // namespace detail

namespace {

constexpr std::size_t scratch_bytes = std::size_t{64} << 10;

// A name as it counts in the order of whole paths: a directory's ends in '/'.
struct byte_order {
  bool operator()(const detail::walk_listing::item& a, const detail::walk_listing::item& b) const noexcept {
    const auto* x = reinterpret_cast<const unsigned char*>(a.name);
    const auto* y = reinterpret_cast<const unsigned char*>(b.name);
    for (; *x == *y && *x != 0; ++x, ++y) {
    }
    const auto end = [](const detail::walk_listing::item& i) -> unsigned char { return i.type == DT_DIR ? '/' : '\0'; };
    return (*x != 0 ? *x : end(a)) < (*y != 0 ? *y : end(b));
  }
};

// That the driver was cancelled is no property of a directory.
template <class T>
void throw_if_cancelled(const result<T>& outcome) {
  if (!outcome && is_cancelled(outcome.error())) detail::throw_failure(outcome.error(), "walk.drive");
}

}  // namespace

// ---- what was found ------------------------------------------------------------------------------------------------

std::string walk_directory::path() const {
  // Its own first, then those above it up to a root, or to one that is shown as something else.
  const auto each = [this](auto&& take) {
    for (const walk_directory* one = this; one != nullptr && (one == this || one->depth_ > 0);
         one = one->parent_.get()) {
      take(one->shown_ ? *one->shown_ : one->name_);
      if (one->shown_) return;
    }
  };
  const auto slash_after = [](const std::string& text) { return !text.empty() && text.back() != '/'; };
  std::size_t size = 0;
  each([&](const std::string& text) { size += text.size() + 1; });
  std::string path;
  path.resize(size);
  std::size_t begin = size;
  each([&](const std::string& text) {
    if (begin != size && slash_after(text)) path[--begin] = '/';
    begin -= text.size();
    std::ranges::copy(text, path.begin() + static_cast<std::ptrdiff_t>(begin));
  });
  path.erase(0, begin);
  return path;
}

const directory& walk_entry::at() const noexcept { return *listing_->handle; }
const char* walk_entry::name() const noexcept { return listing_->items[index_].name; }
unsigned char walk_entry::type() const noexcept { return listing_->items[index_].type; }
const walk_directory& walk_entry::parent() const noexcept { return *listing_->directory; }
const std::shared_ptr<void>& walk_entry::user() const noexcept {
  static const std::shared_ptr<void> none;
  return is_root() && !listing_->roots.empty() ? listing_->roots[index_].user : none;
}
std::size_t walk_entry::root() const noexcept { return is_root() ? listing_->items[index_].root : parent().root(); }

std::string walk_entry::path() const {
  std::string path = parent().depth() == 0 ? std::string() : parent().path();
  if (!path.empty() && path.back() != '/') path += '/';
  path += name();
  return path;
}

// ---- the walk ------------------------------------------------------------------------------------------------------

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
  ready_count_ = listed_ahead_ = 0;
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
    for (;;) {
      claim_awaiter next(*this);
      const pending_ptr work = co_await detail::for_caller(next);
      if (!work) co_return;
      try {
        if (work->node->depth() == 0)
          co_await detail::for_caller(list_roots(work));
        else
          co_await detail::for_caller(list(work, {scratch.get(), scratch_bytes}));
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

task<void> walk::list_roots(pending_ptr work) {
  auto listing = std::make_shared<detail::walk_listing>();
  listing->directory = work->node;
  listing->handle = std::make_shared<directory>();
  listing->roots = std::move(first_roots_);
  first_roots_.clear();
  if (listing->roots.empty() && options_.more_roots) listing->roots = co_await options_.more_roots();
  listing->items.reserve(listing->roots.size());
  for (const walk_root& root : listing->roots) {
    unsigned char type = root.type;
    if (type == DT_UNKNOWN) {
      const char* path = root.path.c_str();
      auto status = co_await as_result(here().status(path));
      if (status && status->is_link() && root.follow) status = co_await as_result(here().status_followed(path));
      throw_if_cancelled(status);
      // What cannot be asked is given out all the same: whoever opens it gets the error to tell.
      type = status ? static_cast<unsigned char>(IFTODT(status->mode)) : static_cast<unsigned char>(DT_UNKNOWN);
    }
    listing->items.push_back({root.path.c_str(), type, nullptr, roots_listed_++});
  }
  const bool more = options_.more_roots && !listing->roots.empty();
  publish(work, std::move(listing), more);
}

task<void> walk::list(pending_ptr work, std::span<std::byte> scratch) {
  const bool ordered = options_.order != walk_order::none;
  auto listing = std::make_shared<detail::walk_listing>();
  listing->directory = work->node;
  list_arguments arguments{.buffer = scratch.data(), .capacity = scratch.size()};
  if (work->handle) arguments.directory = work->handle->fd();
  const bool first = !work->handle;
  // Until the handle has it, an opened directory is ours to close.
  struct opened {
    const list_arguments& by;
    bool ours;
    ~opened() {
      if (ours) descriptor(by.directory).reset();
    }
  } open{arguments, first};
  do {
    const directory& at = work->handle ? *work->handle : *work->within->handle;
    const char* const name = work->node->name();
    // What the cache holds is listed here and now; a worker is for what has to come from the device.
    auto read = co_await detail::for_caller(
        as_result(at.list(name, arguments, {.follow = work->follow, .only_if_cached = true})));
    if (!read && (read.error().value() == EAGAIN || read.error().value() == EINVAL))
      read = co_await detail::for_caller(as_result(at.list(name, arguments, {.follow = work->follow})));
    throw_if_cancelled(read);
    if (arguments.directory >= 0 && !work->handle) {
      work->handle = std::make_shared<directory>(arguments.directory);
      open.ours = false;
      if (read && first && options_.enter) {
        const bool wanted = co_await detail::for_caller(options_.enter(*work->node, *work->handle));
        if (!wanted) {
          publish(work, std::move(listing), false);
          co_return;
        }
      }
    }
    if (!read) {
      // What was read before the failure still counts.
      if (!listing->items.empty() && !ordered) publish(work, std::move(listing), true);
      publish_failure(work, read.error(), work->handle ? "read directory" : "open directory");
      co_return;
    }
    auto names = std::make_unique_for_overwrite<std::byte[]>(arguments.used);
    std::memcpy(names.get(), scratch.data(), arguments.used);
    for_each_entry({names.get(), arguments.used}, [&](const directory_entry& entry) {
      listing->items.push_back({entry.name, entry.type, nullptr, 0});
    });
    listing->names.push_back(std::move(names));
  } while (ordered && !arguments.at_end);
  listing->handle = work->handle;
  co_await ask_types(*listing);
  if (ordered) sort(*listing);
  publish(work, std::move(listing), !arguments.at_end);
}

// Some file systems do not say in a directory what its entries are.
task<void> walk::ask_types(detail::walk_listing& listing) {
  for (auto& item : listing.items) {
    if (item.type != DT_UNKNOWN) continue;
    const auto status = co_await as_result(listing.handle->status(item.name));
    throw_if_cancelled(status);
    if (status) item.type = static_cast<unsigned char>(IFTODT(status->mode));
  }
}

void walk::sort(detail::walk_listing& listing) const {
  if (options_.order == walk_order::bytes)
    std::ranges::sort(listing.items, byte_order{});
  else
    std::ranges::sort(listing.items, [](const auto& a, const auto& b) { return std::strcmp(a.name, b.name) < 0; });
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
    child->node->root_ = child->node->is_root() ? item.root : listing->directory->root_;
    if (child->node->is_root()) {
      child->follow = listing->roots[i].follow;
      child->node->shown_ = listing->roots[i].shown;
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
  alone->items.push_back({work->node->name(), DT_DIR, work, work->node->root()});
  ++ready_count_;
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
      ready_of(nullptr).push_back({listing, begin, here.next});
    }
    if (here.next == items.size()) {
      directory->listing.reset();
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
  --ready_count_;
  if (first.next == first.end) from->pop_front();
  return entry;
}

walk::pending_ptr walk::claim() {
  if (stopped_ || listing_now_ >= options_.most_listings) return nullptr;
  const auto begin = [this](pending_ptr chosen) {
    chosen->now = detail::walk_pending::state::claimed;
    ++listing_now_;
    return chosen;
  };
  if (demanded_) return begin(std::exchange(demanded_, nullptr));
  if (ready_count_ >= options_.most_ready || listed_ahead_ >= options_.most_listed) return nullptr;
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
    for (const bool ours : {true, false})
      queue.for_each([&](detail::parked& waits) {
        auto& one = static_cast<waiting&>(waits);
        if (!more || (one.home_ == here) != ours) return;
        if (!give(one)) {
          more = finished();
          if (!more) return;
          one.end();
        }
        one.grant();
        woken.push_back(one);
      });
  };
  serve(takers_, [this](waiting& one) { return (one.entry_ = take(one.home_)).has_value(); });
  serve(listers_, [this](waiting& one) { return (one.claimed_ = claim()) != nullptr; });
}

void walk::wake_all(detail::waiting_room& woken) noexcept {
  while (detail::parked* one = woken.pop_front()) one->wake();
}

}  // namespace asyncfs
