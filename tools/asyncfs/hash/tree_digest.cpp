#include "hash/tree_digest.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <utility>

namespace tool {

namespace {

constexpr std::string_view tag_begin = "ASYNCFS-TREE-1-";
constexpr std::pair<tree_scope, std::string_view> scopes[] = {
    {tree_scope::content, "CONTENT-"}, {tree_scope::mode, "MODE-"}, {tree_scope::all, "ALL-"}};
constexpr std::uint32_t permission_bits = 07777;
constexpr std::size_t number_bytes = 8;

char type_of_special(std::uint32_t mode) noexcept {
  if (S_ISFIFO(mode)) return 'p';
  if (S_ISSOCK(mode)) return 's';
  return S_ISBLK(mode) ? 'b' : 'c';
}

}  // namespace

std::string tree_tag(tree_scope scope, algorithm which) {
  std::string tag(tag_begin);
  for (const auto& [one, name] : scopes)
    if (one == scope) tag += name;
  tag += describe(which).tag;
  return tag;
}

std::optional<tree_kind> take_tree_tag(std::string_view& rest) {
  if (!rest.starts_with(tag_begin)) return std::nullopt;
  std::string_view behind = rest.substr(tag_begin.size());
  for (const auto& [scope, name] : scopes) {
    if (!behind.starts_with(name)) continue;
    behind.remove_prefix(name.size());
    const algorithm_info* const info = take_tag(behind);
    if (info == nullptr) return std::nullopt;
    rest = behind;
    return tree_kind{scope, info->which};
  }
  return std::nullopt;
}

void tree_node::add_file(std::string_view name, const asyncfs::file_status& status, std::uint64_t size,
                         std::span<const digest_value> digests) {
  begin('f', name, status);
  add_number(size);
  end(digests);
}

void tree_node::add_directory(std::string_view name, const asyncfs::file_status& status,
                              std::span<const digest_value> digests) {
  begin('d', name, status);
  end(digests);
}

void tree_node::add_link(std::string_view name, const asyncfs::file_status& status, std::string_view target) {
  begin('l', name, status);
  add_text(target);
  end({});
}

void tree_node::add_special(std::string_view name, const asyncfs::file_status& status) {
  const char type = type_of_special(status.mode);
  begin(type, name, status);
  if (type == 'b' || type == 'c') {
    add_number(major(status.special_device));
    add_number(minor(status.special_device));
  }
  end({});
}

void tree_node::begin(char type, std::string_view name, const asyncfs::file_status& status) {
  records_.push_back({bytes_.size(), static_cast<std::uint32_t>(name.size()), 0, false});
  bytes_ += type;
  add_text(name);
  if (scope_ != tree_scope::content && type != 'l') add_number(status.mode & permission_bits);
  if (scope_ != tree_scope::all) return;
  add_number(status.user);
  add_number(status.group);
  add_number(static_cast<std::uint64_t>(status.modified.seconds));
  add_number(status.modified.nanoseconds);
}

void tree_node::add_number(std::uint64_t number) {
  for (std::size_t i = 0; i < number_bytes; ++i) bytes_ += static_cast<char>(number >> (8 * i));
}

void tree_node::add_text(std::string_view text) {
  add_number(text.size());
  bytes_ += text;
}

void tree_node::end(std::span<const digest_value> digests) {
  record& last = records_.back();
  last.length = static_cast<std::uint32_t>(bytes_.size() - last.at);
  last.has_digests = !digests.empty();
  for (const digest_value& one : digests) bytes_.append(reinterpret_cast<const char*>(one.bytes.data()), one.size);
}

std::string_view tree_node::name_of(const record& one) const noexcept {
  return std::string_view(bytes_).substr(one.at + 1 + number_bytes, one.name_length);
}

void tree_node::sort() {
  std::ranges::sort(records_, {}, [this](const record& one) { return name_of(one); });
}

std::vector<digest_value> tree_hasher::digests_of(tree_node& node) {
  node.sort();
  std::vector<digest_value> all;
  std::size_t offset = 0;  // of the algorithm's digest among a record's
  for (const algorithm which : node.which_) {
    auto& hash = digests_[static_cast<std::size_t>(which)];
    if (!hash) hash = digest::make(which);
    const auto add = [&](std::string_view bytes) { hash->add(std::as_bytes(std::span(bytes))); };
    hash->begin();
    add(tree_tag(node.scope_, which));
    add({"", 1});
    for (const tree_node::record& one : node.records_) {
      const std::string_view bytes(node.bytes_);
      add(bytes.substr(one.at, one.length));
      if (one.has_digests) add(bytes.substr(one.at + one.length + offset, describe(which).bytes));
    }
    all.push_back(hash->end());
    offset += describe(which).bytes;
  }
  return all;
}

}  // namespace tool
