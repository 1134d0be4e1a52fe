#include "testing/memory/tree.hpp"

#include <linux/openat2.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace asyncfs::detail::memory {

namespace {

constexpr int most_links_followed = 40;  // as Linux
constexpr std::size_t page = 4096, sector = 512;

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
    if (found != nullptr && found->is_link() && (!last || options.follow_last || slash)) {
      if ((options.resolve & RESOLVE_NO_SYMLINKS) != 0) return at.error = ELOOP, at;
      if (++followed > most_links_followed) return at.error = ELOOP, at;
      std::string target = found->data;
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
  record({.parent = &parent, .name = name, .file = &file});
  parent.entries[name] = &file;
  ++file.links;
  touch(parent, true);
  touch(file, false);
}

void tree::unlink(node& parent, const std::string& name) {
  node& file = *parent.entries.at(name);
  record({.parent = &parent, .name = name, .file = nullptr});
  parent.entries.erase(name);
  --file.links;
  if (file.is_directory()) {
    --parent.links;
    --file.links;
  }
  touch(parent, true);
  touch(file, false);
}

void tree::rename(node& from, const std::string& name, node& to, const std::string& new_name, bool exchange) {
  node* const moved = from.entries.at(name);
  const auto there = to.entries.find(new_name);
  node* const replaced = there == to.entries.end() ? nullptr : there->second;
  record({.parent = &to,
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
  }
  touch(from, true);
  touch(to, true);
  touch(*moved, false);
}

bool tree::resize(node& file, std::uint64_t size) {
  if (size > file.data.size() && size - file.data.size() > capacity - std::min(capacity, used_)) return false;
  used_ += size;
  used_ -= file.data.size();
  file.data.resize(size, '\0');
  return true;
}

// ---- durability ----------------------------------------------------------------------------------------------------

void tree::record(change what) { journal_.push_back(std::move(what)); }

bool tree::concerns(const change& what, const node& file) noexcept {
  return what.parent == &file || what.file == &file || what.second_parent == &file || what.second_file == &file;
}

void tree::apply(names& to, const change& what) {
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
  file.durable_data = file.data;
  if (!data_only) file.durable = file.now;
  const auto newest =
      std::find_if(journal_.rbegin(), journal_.rend(), [&](const change& c) { return concerns(c, file); });
  const auto end = newest.base();
  for (auto one = journal_.begin(); one != end; ++one) apply(durable_, *one);
  journal_.erase(journal_.begin(), end);
}

void tree::lose_unsynced(node& file) noexcept { file.data = file.durable_data; }

void tree::sync_all() {
  for (const change& one : journal_) apply(durable_, one);
  journal_.clear();
  for (const auto& file : nodes_) {
    file->durable_data = file->data;
    file->durable = file->now;
  }
}

std::unique_ptr<tree> tree::after_power_loss(const std::function<std::uint64_t(std::uint64_t)>& choose) const {
  names left = durable_;
  const std::uint64_t survived = choose(journal_.size() + 1);
  for (std::uint64_t i = 0; i < survived; ++i) apply(left, journal_[i]);

  const auto data_of = [&choose](const node& file) {
    std::string data = file.durable_data;
    if (data == file.data) return data;
    const std::uint64_t which = choose(3);  // the old length, the new, or what pages made of it
    const std::size_t length = which == 0   ? file.durable_data.size()
                               : which == 1 ? file.data.size()
                                            : std::min(file.data.size(), choose(file.data.size() / page + 2) * page);
    data.resize(length, '\0');
    for (std::size_t at = 0; at < length && at < file.data.size(); at += page) {
      const std::size_t end = std::min({at + page, length, file.data.size()});
      const std::uint64_t fate = choose(8);  // lost, torn within, or written
      const std::size_t written = fate < 3 ? at : fate == 3 ? at + choose(page / sector) * sector : end;
      std::copy(file.data.begin() + static_cast<std::ptrdiff_t>(at),
                file.data.begin() + static_cast<std::ptrdiff_t>(std::min(written, end)),
                data.begin() + static_cast<std::ptrdiff_t>(at));
    }
    return data;
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
      made.data = file->is_regular() ? data_of(*file) : file->data;
      after->used_ += made.data.size();
      twin[file] = &made;
      if (file->is_directory()) directories.push_back(file);
    }
  }
  after->sync_all();
  return after;
}

}  // namespace asyncfs::detail::memory
