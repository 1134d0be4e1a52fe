#include "pipeline/selection.hpp"

#include <fmt/format.h>
#include <sys/sysmacros.h>

#include <string>

#include "quoting.hpp"

namespace tool {

namespace {

std::string below_root(const asyncfs::walk_directory& directory) {
  if (directory.depth() <= 1) return {};
  std::string path = below_root(*directory.parent());
  path += directory.name();
  return path += '/';
}

std::string_view last_component(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return path.substr(path.rfind('/') + 1);
}

// The same everywhere and for ever (64-bit FNV-1a): machines that share a tree must agree on its parts.
std::uint64_t stable_hash(std::string_view text) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash ^ (hash >> 32);  // the lowest bits alone mix badly
}

}  // namespace

bool selection::wants(const asyncfs::walk_entry& entry) const {
  if (entry.error) return how_.shard.part == 1;  // of all shards one tells
  if (how_.shard.of > 1 && stable_hash(entry.path()) % how_.shard.of != how_.shard.part - 1) return false;
  if (how_.filter.empty()) return true;
  if (entry.is_root()) return how_.filter.wants_file(last_component(entry.name()), last_component(entry.name()));
  std::string path;
  if (how_.filter.looks_at_paths()) path = below_root(entry.parent()) + entry.name();
  return how_.filter.wants_file(entry.name(), path);
}

asyncfs::task<bool> selection::enters(const asyncfs::walk_directory& found, const asyncfs::directory& handle) {
  const std::string_view name = found.is_root() ? last_component(found.name()) : found.name();
  if (!how_.filter.empty() && name != "." && name != "..") {
    std::string path(name);
    if (!found.is_root() && how_.filter.looks_at_paths()) path = below_root(*found.parent()) + std::string(name);
    if (!how_.filter.wants_directory(name, path)) co_return false;
  }
  if (how_.one_file_system) co_return co_await on_same_device(found, handle);
  co_return true;
}

asyncfs::task<bool> selection::on_same_device(const asyncfs::walk_directory& found, const asyncfs::directory& handle) {
  const auto status = co_await asyncfs::as_result(handle.status());
  if (!status) {
    say_.failure(fmt::format("cannot examine {}", shell_quoted(found.path())), status.error());
    co_return false;
  }
  const std::lock_guard lock(mutex_);
  const auto [root, fresh] = devices_.try_emplace(found.root(), status->device);
  co_return root->second == status->device;
}

}  // namespace tool
