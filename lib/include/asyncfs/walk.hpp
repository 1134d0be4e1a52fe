// Walking directory trees with many hands: from any number of loops at once, in bounded memory, by directory handles.
//
//   asyncfs::walk tree({{"src"}}, {.order = asyncfs::walk_order::bytes});
//   // on each loop, beside each other:
//   co_await tree.drive();                                          // lists directories; several per loop
//   while (auto found = co_await tree.next()) use(*found);          // takes what was found; any number per loop
//
// Every entry is (open directory, one name): no path is resolved twice, and no symbolic link below a root is followed
// unless `walk_options::follow` says so.
// Unordered, directories are taken last in, first out. Ordered, entries come in the exact order of a sorted listing
// while directories ahead are listed in parallel; the largest directory is then held whole.
// Directories in the cache are listed in place; for the others workers wait, many at once.
//
// Threads: `next` and `drive` from any loop's thread; the walk must outlive both. An error in a directory is an entry
// with `error` set; the walk goes on. To end early call `stop`.
// A cancelled `next` throws std::errc::operation_canceled and takes nothing. Any exception that leaves `drive`, that it
// was cancelled among them, and std::bad_alloc from `next` break the walk off for all: from then on every `next` and
// `drive`, on every loop, throws the same, so that nobody takes a part for the whole.
#pragma once

#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <asyncfs/detail/parked.hpp>
#include <asyncfs/directory.hpp>
#include <asyncfs/short_lock.hpp>
#include <asyncfs/task.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

enum class walk_order : std::uint8_t {
  none,
  bytes,       // of whole paths, as `find | LC_ALL=C sort`: "a-b" before "a/c"
  components,  // name by name: "a/c" before "a-b"
};

struct walk_root {
  std::string path;                    // as the user gave it
  bool follow = true;                  // a root that is a symbolic link stands for its target
  unsigned char type = 0;              // DT_*, or DT_UNKNOWN to let the walk ask
  std::optional<std::string> shown{};  // how paths below it begin, where that differs from `path`
  std::shared_ptr<void> user{};        // what a user of the walk hangs on it; see walk_entry::user
};

// A directory on the way: its name, what lies above it, and what a user of the walk hangs on it. Thread-safe to read.
class walk_directory {
 public:
  [[nodiscard]] const walk_directory* parent() const noexcept { return parent_.get(); }
  [[nodiscard]] const char* name() const noexcept { return name_.c_str(); }
  [[nodiscard]] std::size_t depth() const noexcept { return depth_; }
  [[nodiscard]] bool is_root() const noexcept { return depth_ == 1; }
  [[nodiscard]] std::size_t root() const noexcept { return root_; }  // which of the roots it is, or lies below
  // For messages and output; built each time.
  [[nodiscard]] std::string path() const;

  // Set by `walk_options::enter`, released when nothing below the directory is unfinished any more.
  std::shared_ptr<void> user;

 private:
  friend class walk;
  std::shared_ptr<walk_directory> parent_;  // null only above the roots
  std::string name_;
  std::optional<std::string> shown_;
  std::size_t depth_ = 0, root_ = 0;
  // Where links are followed:
  bool below_link_ = false;               // it or one above it was reached through a link
  std::uint64_t device_ = 0, inode_ = 0;  // once it is open
};

namespace detail {
struct walk_listing;
struct walk_pending;
}  // namespace detail

// Something found. Keeps what it needs alive; cheap to move.
class walk_entry {
 public:
  [[nodiscard]] const directory& at() const noexcept;  // where to open `name`
  [[nodiscard]] const char* name() const noexcept;
  [[nodiscard]] unsigned char type() const noexcept;  // DT_*; a directory only with `error`
  // If `name` is a symbolic link, it stands for its target, whose type this is: open it without O_NOFOLLOW, and examine
  // it by `status_followed`. True of roots with `follow`, and of links that `walk_options::follow` has followed.
  [[nodiscard]] bool followed() const noexcept;
  [[nodiscard]] std::string path() const;
  [[nodiscard]] const walk_directory& parent() const noexcept;
  [[nodiscard]] bool is_root() const noexcept { return parent().depth() == 0; }
  [[nodiscard]] std::size_t root() const noexcept;                   // which of the roots it is, or lies below
  [[nodiscard]] const std::shared_ptr<void>& user() const noexcept;  // of a root: walk_root::user; else null
  // Place in the order of the walk, from 0 without gaps.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }
  // Why a directory could not be listed or a link not be followed, and by which operation, as in "cannot `operation`".
  std::error_code error;
  std::string_view operation;

 private:
  friend class walk;
  std::shared_ptr<detail::walk_listing> listing_;
  std::size_t index_ = 0;
  std::uint64_t sequence_ = 0;
};

struct walk_options {
  walk_order order = walk_order::none;
  // Symbolic links below the roots stand for what they lead to: one to a directory is entered, and sorted as a directory;
  // one that leads nowhere is an entry with an error, as ENOENT. A directory that is one of those above it, by device and
  // inode, is an entry with ELOOP, since it would be walked for ever. Costs a status for each link and each directory.
  bool follow = false;
  // Called for every directory after it was opened and before anything in it is given out, on a loop's thread.
  // False: leave it and what is below it out.
  std::function<task<bool>(walk_directory&, const directory&)> enter{};
  // Where there are more roots than should be in memory at once: called on a loop's thread, one call after the other,
  // when those before are about to be taken; nothing in the vector: there are no more. They count on from those before.
  std::function<task<std::vector<walk_root>>()> more_roots{};
  std::size_t most_ready = 4096;    // entries found and not yet taken, before listing pauses
  std::size_t most_listed = 65536;  // the same for directories listed ahead of the order
  // Directories that are held open because of entries found and not yet taken; as many again when there is an order.
  // Beside these, every entry that was taken keeps its own open, and an ordered walk those above where it is. At least 1.
  std::size_t most_open = 256;
  unsigned most_listings = 16;  // at once
};

class walk {
 public:
  walk(std::vector<walk_root> roots, walk_options options);
  walk(const walk&) = delete;
  walk& operator=(const walk&) = delete;
  ~walk();

  class next_awaiter;
  struct [[nodiscard]] next_operation {
    walk& from;
    next_awaiter operator co_await() const noexcept;
  };
  // The next entry, or nothing at the end.
  next_operation next() noexcept { return {*this}; }
  // Lists directories until none is left. Run several: those there is no use for just wait.
  [[nodiscard]] task<void> drive();
  struct extent {
    std::uint64_t entries;  // found so far, but for directories, whether or not they were taken
    bool complete;          // all directories that were found are listed; `enter` and `more_roots` were asked
  };
  // Any thread.
  [[nodiscard]] extent found() noexcept;
  // Any thread: ends the walk early; `next` gives nothing more than what had been handed to waiting tasks already. What
  // users hung on directories is released once nobody holds an entry of them.
  void stop() noexcept;

 private:
  using listing_ptr = std::shared_ptr<detail::walk_listing>;
  using pending_ptr = std::shared_ptr<detail::walk_pending>;
  class claim_awaiter;
  class waiting;
  struct range {  // found and not yet taken
    listing_ptr listing;
    std::size_t next, end;
    std::error_code error{};
    std::string_view operation{};
  };
  struct lane {  // what a loop's own listings found: it takes from there first, others when they have nothing
    const loop* home;
    std::deque<range> ready;
  };
  struct level {  // of the path that ordered emission is on
    pending_ptr directory;
    std::size_t next = 0;
  };

  // `to_workers`: how many of the next listings are not to be tried on the loop's thread.
  task<void> list(pending_ptr work, std::span<std::byte> scratch, unsigned& to_workers);
  task<void> list_roots(pending_ptr work);
  task<void> ask_types(detail::walk_listing& listing);
  task<std::error_code> identify(walk_directory& found, const directory& handle);
  void sort(detail::walk_listing& listing) const;
  void publish(const pending_ptr& work, listing_ptr listing, bool more);
  void publish_failure(const pending_ptr& work, std::error_code error, std::string_view operation);

  // With mutex_ held:
  void add_children(const listing_ptr& listing);
  void emit();
  void emit_failure(const pending_ptr& work);
  [[nodiscard]] std::deque<range>& ready_of(const loop* home);
  [[nodiscard]] std::optional<walk_entry> take(const loop* home);
  static void tell_unfollowed(walk_entry& entry);
  [[nodiscard]] pending_ptr claim();
  [[nodiscard]] bool finished() const noexcept;
  // Gives what there is to those who wait; wake them once the mutex is released.
  void settle(detail::waiting_room& woken);
  static void wake_all(detail::waiting_room& woken) noexcept;
  void forget(std::unique_lock<short_lock>& lock) noexcept;
  // Ends the walk, with `why` for all who wait and all who come.
  void break_off(std::exception_ptr why) noexcept;

  const walk_options options_;
  std::vector<walk_root> first_roots_;  // until they are listed
  std::size_t roots_listed_ = 0;
  short_lock mutex_;
  std::vector<pending_ptr> unlisted_;  // last in, first out
  pending_ptr demanded_;               // what ordered emission cannot go on without
  std::vector<level> levels_;
  std::vector<lane> lanes_;                         // one a loop; a single one when there is an order
  std::size_t ready_count_ = 0, listed_ahead_ = 0;  // entries
  std::size_t ready_ranges_ = 0,
              open_ahead_ = 0;  // directories, or parts of them: in the lanes, and ahead of the order
  unsigned listing_now_ = 0;
  std::uint64_t next_sequence_ = 0, found_ = 0;
  bool stopped_ = false;
  std::exception_ptr broken_off_;  // why; `stopped_` holds too
  detail::lasting_room takers_{"a walk"}, listers_{"a walk"};
};

// A task that waits for an entry or for a directory to list; what it waits for is put into it before it wakes.
class walk::waiting : public detail::parked {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <detail::awaiting_promise P>
  bool await_suspend(std::coroutine_handle<P> waiter, std::source_location at = std::source_location::current()) {
    this->site = at;
    waiter_ = waiter;
    home_ = &waiter.promise().home();
    return wait(*home_, waiter.promise().scope()) || home_->takes_turn(*this);
  }

 protected:
  waiting(const char* what, walk& from) noexcept : detail::parked(what, from.mutex_), from_(from) {}
  ~waiting() = default;
  // False: there is something, or never will be again, or the scope is cancelled.
  virtual bool wait(loop& home, cancel_scope& scope) = 0;
  // To be called first in `await_resume`: throws when it was cancelled, or the walk was broken off.
  void check() const;

  walk& from_;
  std::optional<walk_entry> entry_;
  pending_ptr claimed_;
  bool over_ = false;  // the walk

 private:
  friend class walk;
  void end() noexcept {
    over_ = true;
    broken_off_ = from_.broken_off_;
  }
  void run() final {
    finish();
    waiter_.resume();
  }

  std::exception_ptr broken_off_;
  loop* home_ = nullptr;
  std::coroutine_handle<> waiter_;
};

class walk::next_awaiter final : public waiting {
 public:
  explicit next_awaiter(walk& from) noexcept : waiting("walk.next", from) {}
  std::optional<walk_entry> await_resume() {
    check();
    return std::move(entry_);
  }

 private:
  bool wait(loop& home, cancel_scope& scope) override;
};

inline walk::next_awaiter walk::next_operation::operator co_await() const noexcept { return next_awaiter(from); }

}  // namespace asyncfs
