// How a walk reads directories, and the names of what it found.
#include "walk_listing.hpp"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace asyncfs {

namespace {

// Where the names of directories are in the cache and their entries are not, each try would stop the loop.
constexpr unsigned listings_after_waiting = 32;

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

unsigned char type_of(const file_status& status) noexcept { return static_cast<unsigned char>(IFTODT(status.mode)); }

// That the driver was cancelled is no property of a directory.
template <class T>
void throw_if_cancelled(const result<T>& outcome) {
  if (!outcome && is_cancelled(outcome.error())) detail::throw_failure(outcome.error(), "walk.drive");
}

}  // namespace

// ---- what was found -------------------------------------------------------------------------------------------------

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
bool walk_entry::followed() const noexcept { return listing_->items[index_].followed; }
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

// ---- reading directories --------------------------------------------------------------------------------------------

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
      type = status ? type_of(*status) : static_cast<unsigned char>(DT_UNKNOWN);
    }
    listing->items.push_back(
        {.name = root.path.c_str(), .type = type, .followed = root.follow, .root = roots_listed_++});
  }
  const bool more = options_.more_roots && !listing->roots.empty();
  publish(work, std::move(listing), more);
}

task<void> walk::list(pending_ptr work, std::span<std::byte> scratch, unsigned& to_workers) {
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
    result<void> read = failure(EAGAIN);
    if (to_workers > 0) {
      --to_workers;
    } else {
      read = co_await detail::for_caller(
          as_result(at.list(name, arguments, {.follow = work->follow, .only_if_cached = true})));
      if (arguments.waited) to_workers = listings_after_waiting;
    }
    if (!read && (read.error().value() == EAGAIN || read.error().value() == EINVAL))
      read = co_await detail::for_caller(as_result(at.list(name, arguments, {.follow = work->follow})));
    throw_if_cancelled(read);
    if (arguments.directory >= 0 && !work->handle) {
      work->handle = std::make_shared<directory>(arguments.directory);
      open.ours = false;
      if (read && first && options_.follow) {
        const std::error_code refused = co_await detail::for_caller(identify(*work->node, *work->handle));
        if (refused) {
          publish_failure(work, refused, work->follow ? "follow" : "enter");
          co_return;
        }
      }
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
      listing->items.push_back({.name = entry.name, .type = entry.type});
    });
    listing->names.push_back(std::move(names));
  } while (ordered && !arguments.at_end);
  listing->handle = work->handle;
  co_await ask_types(*listing);
  if (ordered) sort(*listing);
  publish(work, std::move(listing), !arguments.at_end);
}

// Some file systems do not say in a directory what its entries are, and none what links lead to.
task<void> walk::ask_types(detail::walk_listing& listing) {
  for (auto& item : listing.items) {
    if (item.type == DT_UNKNOWN) {
      const auto status = co_await as_result(listing.handle->status(item.name));
      throw_if_cancelled(status);
      if (status) item.type = type_of(*status);
    }
    if (item.type == DT_LNK && options_.follow) {
      const auto target = co_await as_result(listing.handle->status_followed(item.name));
      throw_if_cancelled(target);
      item.followed = target.has_value();
      if (target)
        item.type = type_of(*target);
      else
        item.error = target.error().value();
    }
  }
}

// Where links are followed: which directory it is that was opened, and whether that is one of those above it. Not only
// of links: when one leads to a directory above the root, the way back to the root has none.
task<std::error_code> walk::identify(walk_directory& found, const directory& handle) {
  const auto status = co_await as_result(handle.status());
  throw_if_cancelled(status);
  if (!status) co_return status.error();
  found.device_ = status->device;
  found.inode_ = status->inode;
  if (!found.below_link_) co_return std::error_code();
  for (const walk_directory* above = found.parent(); above->depth() > 0; above = above->parent())
    if (above->device_ == found.device_ && above->inode_ == found.inode_) co_return failure(ELOOP).error();
  co_return std::error_code();
}

void walk::sort(detail::walk_listing& listing) const {
  if (options_.order == walk_order::bytes)
    std::ranges::sort(listing.items, byte_order{});
  else
    std::ranges::sort(listing.items, [](const auto& a, const auto& b) { return std::strcmp(a.name, b.name) < 0; });
}

}  // namespace asyncfs
