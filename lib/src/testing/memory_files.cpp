#include <asyncfs/testing/memory_files.hpp>

#include <sys/stat.h>

#include <cerrno>
#include <system_error>

#include "testing/memory/tree.hpp"

namespace asyncfs::testing {

namespace {

using asyncfs::detail::memory::node;
using asyncfs::detail::memory::tree;

[[noreturn]] void fail(int error, std::string_view what, std::string_view path) {
  throw std::system_error(error, std::system_category(),
                          "memory_files: " + std::string(what) + " " + std::string(path));
}

tree::place place_of(tree& in, std::string_view path, bool follow = true) {
  return in.find(in.root(), path, {.follow_last = follow});
}

// Where the name will be, with all directories above it.
tree::place make_way(tree& in, std::string_view path, std::string_view what) {
  for (std::size_t slash = path.find('/', 1); slash != std::string_view::npos; slash = path.find('/', slash + 1)) {
    const tree::place above = place_of(in, path.substr(0, slash));
    if (above.error == ENOENT && above.parent != nullptr) in.create(*above.parent, above.name, S_IFDIR | 0755);
  }
  tree::place there = place_of(in, path, false);
  if (there.error != 0 && (there.error != ENOENT || there.parent == nullptr)) fail(there.error, what, path);
  return there;
}

void list_below(const node& directory, const std::string& prefix, std::map<std::string, std::string>& into) {
  for (const auto& [name, file] : directory.entries) {
    const std::string path = prefix + "/" + name;
    if (file->is_directory()) {
      into[path] = "/";
      list_below(*file, path, into);
    } else {
      into[path] = file->is_link() ? "-> " + file->target : file->data.text();
    }
  }
}

}  // namespace

memory_files::memory_files(asyncfs::detail::memory::tree& of) noexcept : tree_(&of) {}
memory_files::memory_files(std::unique_ptr<asyncfs::detail::memory::tree> own) noexcept
    : own_(std::move(own)), tree_(own_.get()) {}
memory_files::memory_files(memory_files&&) noexcept = default;
memory_files& memory_files::operator=(memory_files&&) noexcept = default;
memory_files::~memory_files() = default;

void memory_files::write(std::string_view path, std::string_view bytes, std::uint32_t mode) {
  const tree::place there = make_way(*tree_, path, "cannot write");
  node& file = there.file != nullptr ? *there.file : tree_->create(*there.parent, there.name, S_IFREG | mode);
  if (!file.is_regular()) fail(EINVAL, "cannot write", path);
  tree_->resize(file, 0);
  if (tree_->write(file, 0, bytes) != bytes.size()) fail(ENOSPC, "cannot write", path);
  tree_->sync_all();
}

void memory_files::make_directory(std::string_view path, std::uint32_t mode) {
  const tree::place there = make_way(*tree_, path, "cannot make");
  if (there.file == nullptr) tree_->create(*there.parent, there.name, S_IFDIR | mode);
  tree_->sync_all();
}

void memory_files::symlink(std::string_view target, std::string_view path) {
  const tree::place there = make_way(*tree_, path, "cannot make");
  if (there.file != nullptr) fail(EEXIST, "cannot make", path);
  node& made = tree_->create(*there.parent, there.name, S_IFLNK | 0777);
  made.target = target;
  tree_->sync_all();
}

void memory_files::link(std::string_view existing, std::string_view path) {
  const tree::place from = place_of(*tree_, existing);
  if (from.error != 0) fail(from.error, "cannot link", existing);
  const tree::place there = make_way(*tree_, path, "cannot make");
  if (there.file != nullptr) fail(EEXIST, "cannot make", path);
  tree_->link(*there.parent, there.name, *from.file);
  tree_->sync_all();
}

std::optional<std::string> memory_files::read(std::string_view path) const {
  const tree::place there = place_of(*tree_, path);
  if (there.error != 0 || !there.file->is_regular()) return std::nullopt;
  return there.file->data.text();
}

bool memory_files::exists(std::string_view path) const { return place_of(*tree_, path, false).error == 0; }

std::map<std::string, std::string> memory_files::list(std::string_view directory) const {
  const tree::place there = place_of(*tree_, directory);
  if (there.error != 0) fail(there.error, "cannot list", directory);
  std::map<std::string, std::string> all;
  list_below(*there.file, directory == "/" ? "" : std::string(directory), all);
  return all;
}

void memory_files::set_capacity(std::uint64_t bytes) noexcept { tree_->capacity = bytes; }

}  // namespace asyncfs::testing
