#include "testing/memory/tree.hpp"

#include <linux/openat2.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <set>

namespace asyncfs::detail::memory {

namespace {

constexpr int most_links_followed = 40;  // as Linux
constexpr std::size_t sector = 512;

}  // namespace

tree::tree() : root_(&make(S_IFDIR | 0755)) {
  root_->parent = root_;
  root_->links = 2;
}

node& tree::make(std::uint32_t mode) {
  nodes_.push_back(std::make_unique<node>());
  node& made = *nodes_.back();
  made.number = nodes_.size();
  made.now.mode = mode;
  made.now.user = ::geteuid();
  made.now.group = ::getegid();
  made.now.accessed.ns = made.now.modified.ns = made.now.changed.ns = now_ns;
  made.durable = made.now;
  return made;
}

tree::place tree::find(node& from, std::string_view path, const how& options) {
  place at;
  if (path.empty()) return at.error = ENOENT, at;
  if (path.size() >= PATH_MAX) return at.error = ENAMETOOLONG, at;
  const bool beneath = (options.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) != 0;
  node* here = &from;
  std::string rest(path);
  int followed = 0;
  const auto enter_root = [&] {
    if ((options.resolve & RESOLVE_BENEATH) != 0) return false;
    here = (options.resolve & RESOLVE_IN_ROOT) != 0 ? &from : root_;
    return true;
  };
  if (rest.front() == '/' && !enter_root()) return at.error = EXDEV, at;
  for (std::size_t next = 0;;) {
    next = rest.find_first_not_of('/', next);
    if (next == std::string::npos) {  // only slashes were left
      at.file = here;
      at.must_be_directory = true;
      return at;
    }
    const std::size_t end = std::min(rest.find('/', next), rest.size());
    const std::string name = rest.substr(next, end - next);
    const std::size_t after = rest.find_first_not_of('/', end);
    const bool last = after == std::string::npos;
    const bool slash = last && end != rest.size();
    if (!here->is_directory()) return at.error = ENOTDIR, at;
    if (name.size() > NAME_MAX) return at.error = ENAMETOOLONG, at;
    if (here->is_dead() && name != ".") return at.error = ENOENT, at;
    node* found = nullptr;
    if (name == ".") {
      found = here;
    } else if (name == "..") {
      if (beneath && here == &from) {
        if ((options.resolve & RESOLVE_BENEATH) != 0) return at.error = EXDEV, at;
        found = here;
      } else {
        found = here->parent;
      }
    } else if (const auto entry = here->entries.find(name); entry != here->entries.end()) {
      found = entry->second;
    }
    const bool self = name == "." || name == "..";
    if (found != nullptr && found->is_link() && (!last || (slash ? options.follow_slash : options.follow_last))) {
      if ((options.resolve & RESOLVE_NO_SYMLINKS) != 0) return at.error = ELOOP, at;
      if (++followed > most_links_followed) return at.error = ELOOP, at;
      std::string target = found->target;
      if (target.front() == '/' && !enter_root()) return at.error = EXDEV, at;
      rest = target + (last ? (slash ? "/" : "") : "/" + rest.substr(after));
      next = 0;
      continue;
    }
    if (last) {
      at.parent = self ? nullptr : here;
      at.name = name;
      at.file = found;
      at.must_be_directory = slash;
      if (found == nullptr) at.error = ENOENT;
      if (found != nullptr && slash && !found->is_directory()) at.error = ENOTDIR;
      return at;
    }
    if (found == nullptr) return at.error = ENOENT, at;
    here = found;
    next = end;
  }
}

node& tree::create(node& parent, const std::string& name, std::uint32_t mode) {
  node& made = make(mode);
  if (made.is_directory()) {
    made.parent = &parent;
    made.links = 1;
    ++parent.links;
  }
  link(parent, name, made);
  return made;
}

node& tree::create_nameless(std::uint32_t mode) { return make(mode); }

void tree::touch(node& file, bool modified) noexcept {
  if (modified) file.now.modified.ns = now_ns;
  file.now.changed.ns = now_ns;
}

void tree::link(node& parent, const std::string& name, node& file) {
  journal_.push_back({.parent = &parent, .name = name, .file = &file});
  parent.entries[name] = &file;
  ++file.links;
  touch(parent, true);
  touch(file, false);
}

void tree::unlink(node& parent, const std::string& name) {
  node& file = *parent.entries.at(name);
  journal_.push_back({.parent = &parent, .name = name, .file = nullptr});
  parent.entries.erase(name);
  --file.links;
  if (file.is_directory()) {
    --parent.links;
    --file.links;
  }
  touch(parent, true);
  touch(file, false);
  forget_unused(file);
}

void tree::rename(node& from, const std::string& name, node& to, const std::string& new_name, bool exchange) {
  node* const moved = from.entries.at(name);
  const auto there = to.entries.find(new_name);
  node* const replaced = there == to.entries.end() ? nullptr : there->second;
  journal_.push_back({.parent = &to,
                      .name = new_name,
                      .file = moved,
                      .second_parent = &from,
                      .second_name = name,
                      .second_file = exchange ? replaced : nullptr});
  if (exchange)
    from.entries[name] = replaced;
  else
    from.entries.erase(name);
  to.entries[new_name] = moved;
  const auto move_directory = [](node& directory, node& before, node& after) {
    if (!directory.is_directory() || &before == &after) return;
    directory.parent = &after;
    --before.links;
    ++after.links;
  };
  move_directory(*moved, from, to);
  if (exchange) {
    move_directory(*replaced, to, from);
    touch(*replaced, false);
  } else if (replaced != nullptr) {
    --replaced->links;
    if (replaced->is_directory()) {
      --to.links;
      --replaced->links;
    }
    touch(*replaced, false);
    forget_unused(*replaced);
  }
  touch(from, true);
  touch(to, true);
  touch(*moved, false);
}

// ---- data ----------------------------------------------------------------------------------------------------------

std::size_t tree::write(node& file, std::uint64_t at, std::string_view bytes) {
  std::uint64_t needed = file.data.pages_needed(at, bytes.size());
  // As much as there is room for, as a device does.
  while (needed > room() && !bytes.empty()) {
    const std::uint64_t last_page = (at + bytes.size() - 1) / pages::page_size * pages::page_size;
    bytes = bytes.substr(0, last_page <= at ? 0 : last_page - at);
    needed = file.data.pages_needed(at, bytes.size());
  }
  file.data.write(at, bytes);
  used_ += needed;
  touch(file, true);
  return bytes.size();
}

void tree::resize(node& file, std::uint64_t size) {
  const std::uint64_t before = file.data.count();
  if (size < file.data.size()) journal_.push_back({.parent = nullptr, .file = &file, .size = size});
  file.data.resize(size);
  used_ -= before - file.data.count();
  touch(file, true);
}

bool tree::allocate(node& file, std::uint64_t at, std::uint64_t length) {
  const std::uint64_t needed = file.data.pages_needed(at, length);
  if (needed > room()) return false;
  file.data.allocate(at, length);
  used_ += needed;
  return true;
}

void tree::punch(node& file, std::uint64_t at, std::uint64_t length) {
  const std::uint64_t before = file.data.count();
  file.data.punch(at, length);
  used_ -= before - file.data.count();
  touch(file, true);
}

void tree::share(const node& from, node& to) {
  used_ += from.data.count();
  used_ -= to.data.count();
  to.data = from.data;
  touch(to, true);
}

void tree::forget_unused(node& file) {
  if (file.links != 0 || file.opens != 0) return;
  used_ -= file.data.count();  // the bytes stay: its name may not have gone for good
}

// ---- durability ----------------------------------------------------------------------------------------------------

bool tree::concerns(const change& what, const node& file) noexcept {
  return what.parent == &file || what.file == &file || what.second_parent == &file || what.second_file == &file;
}

void tree::apply(names& to, const change& what) {
  if (what.parent == nullptr) return;
  const auto set = [&to](node* parent, const std::string& name, node* file) {
    if (file != nullptr)
      to[parent][name] = file;
    else
      to[parent].erase(name);
  };
  set(what.parent, what.name, what.file);
  if (what.second_parent != nullptr) set(what.second_parent, what.second_name, what.second_file);
}

void tree::sync(node& file, bool data_only) {
  if (!data_only) file.durable = file.now;
  const auto newest =
      std::find_if(journal_.rbegin(), journal_.rend(), [&](const change& c) { return concerns(c, file); });
  const auto end = newest.base();
  for (auto one = journal_.begin(); one != end; ++one) {
    apply(durable_, *one);
    if (one->parent == nullptr) one->file->durable_data.resize(std::min(one->size, one->file->durable_data.size()));
  }
  journal_.erase(journal_.begin(), end);
  file.durable_data = file.data;
}

void tree::lose_unsynced(node& file) noexcept {
  const std::uint64_t size = file.data.size();
  used_ += file.durable_data.count();
  used_ -= file.data.count();
  file.data = file.durable_data;
  file.data.resize(size);
}

void tree::sync_all() {
  for (const change& one : journal_) apply(durable_, one);
  journal_.clear();
  for (const auto& file : nodes_) {
    file->durable_data = file->data;
    file->durable = file->now;
  }
}

namespace {

using chooser = std::function<std::uint64_t(std::uint64_t)>;

// What is found of a file of which `before` was durable, and `now` was in memory.
pages mixture(const pages& before, const pages& now, const chooser& choose) {
  switch (choose(4)) {
    case 0: return before;
    case 1: return now;
    default: break;
  }
  // It has grown all the way, not at all, or to a page in between.
  const std::uint64_t low = std::min(before.size(), now.size()), high = std::max(before.size(), now.size());
  const std::uint64_t which = choose(3), steps = (high - low) / pages::page_size + 1;
  const std::uint64_t size = which == 0   ? low
                             : which == 1 ? high
                                          : std::min(high, low + choose(steps) * pages::page_size);
  pages found = before;
  for (std::uint64_t at = now.next_data(0); at < std::min(size, now.size());
       at = now.next_data(at + pages::page_size)) {
    const std::uint64_t index = at / pages::page_size;
    at = index * pages::page_size;
    const pages::page_ptr written = now.page_at(index), old = before.page_at(index);
    if (written == old) continue;
    const std::uint64_t fate = choose(8);
    if (fate < 3) continue;  // lost
    if (fate > 3) {
      found.put_page(index, written);
      continue;
    }
    auto torn = old ? std::make_shared<pages::page>(*old) : std::make_shared<pages::page>();
    for (std::size_t i = 0; i < pages::page_size; i += sector)
      if (choose(2) == 0) std::copy_n(written->data() + i, sector, torn->data() + i);
    found.put_page(index, std::move(torn));
  }
  found.resize(std::max(size, found.size()) + 1);  // so that the last page is cut where it has to be
  found.resize(size);
  return found;
}

}  // namespace

std::unique_ptr<tree> tree::after_power_loss(const chooser& choose) const {
  names left = durable_;
  std::map<const node*, std::uint64_t> cut_to;  // of the files that were cut short for good
  std::set<const node*> older;                  // of those whose cut did not survive
  // Often all or nothing of the journal: what is in between matters only where several changes belong together.
  const std::uint64_t luck = choose(4);
  const std::uint64_t survived = luck == 0 ? 0 : luck == 1 ? journal_.size() : choose(journal_.size() + 1);
  for (std::uint64_t i = 0; i < journal_.size(); ++i) {
    const change& one = journal_[i];
    if (i >= survived) {
      if (one.parent == nullptr) older.insert(one.file);
    } else if (one.parent == nullptr) {
      const auto [known, is_new] = cut_to.try_emplace(one.file, one.size);
      if (!is_new) known->second = std::min(known->second, one.size);
    } else {
      apply(left, one);
    }
  }
  const auto data_of = [&](const node& file) {
    pages before = file.durable_data;
    if (const auto cut = cut_to.find(&file); cut != cut_to.end()) before.resize(std::min(cut->second, before.size()));
    return older.contains(&file) ? before : mixture(before, file.data, choose);
  };

  auto after = std::make_unique<tree>();
  after->now_ns = now_ns;
  after->capacity = capacity;
  std::map<const node*, node*> twin{{root_, after->root_}};
  // Breadth first, so that every directory is there before what is in it.
  std::deque<const node*> directories{root_};
  while (!directories.empty()) {
    const node* from = directories.front();
    directories.pop_front();
    const auto entries = left.find(from);
    if (entries == left.end()) continue;
    for (const auto& [name, file] : entries->second) {
      const auto known = twin.find(file);
      if (known != twin.end()) {
        if (!file->is_directory()) after->link(*twin.at(from), name, *known->second);
        continue;
      }
      node& made = after->create(*twin.at(from), name, file->now.mode);
      made.now = choose(2) == 0 ? file->durable : file->now;
      made.now.mode = (made.now.mode & ~static_cast<std::uint32_t>(S_IFMT)) | (file->now.mode & S_IFMT);
      made.device = file->device;
      made.target = file->target;
      if (file->is_regular()) made.data = data_of(*file);
      after->used_ += made.data.count();
      twin[file] = &made;
      if (file->is_directory()) directories.push_back(file);
    }
  }
  after->sync_all();
  return after;
}

}  // namespace asyncfs::detail::memory
