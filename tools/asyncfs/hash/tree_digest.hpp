// Digests of trees: what is hashed for a directory, byte by byte. asyncfs-hash(1) specifies it; this follows that text.
//
// A directory's digest is that of its node: a prefix and one record an entry, in the order of their names. A record holds
// the digest of a file, or of a directory's own node. A whole tree's is that of a node in which it is alone, nameless.
#pragma once

#include <asyncfs/file.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hash/digest.hpp"

namespace tool {

enum class tree_scope : std::uint8_t {
  content,  // names, types, contents, links' targets
  mode,     // and permissions
  all,      // and owners, groups and times of modification
};
// As the option's values.
inline constexpr std::array<std::string_view, 3> tree_scope_names{"content", "mode", "all"};

// "ASYNCFS-TREE-1-CONTENT-SHA256": what a line of output calls such a digest, and what its nodes begin with.
[[nodiscard]] std::string tree_tag(tree_scope scope, algorithm which);

struct tree_kind {
  tree_scope scope;
  algorithm which;
};
// The longest tag that `rest` begins with, which is taken off.
[[nodiscard]] std::optional<tree_kind> take_tree_tag(std::string_view& rest);

// One node in the making: records come in any order. One thread at a time.
class tree_node {
 public:
  // What is added has one digest for each algorithm, in their order.
  tree_node(tree_scope scope, std::span<const algorithm> which) noexcept : scope_(scope), which_(which) {}

  void add_file(std::string_view name, const asyncfs::file_status& status, std::uint64_t size,
                std::span<const digest_value> digests);
  void add_directory(std::string_view name, const asyncfs::file_status& status, std::span<const digest_value> digests);
  void add_link(std::string_view name, const asyncfs::file_status& status, std::string_view target);
  // FIFOs, sockets and devices.
  void add_special(std::string_view name, const asyncfs::file_status& status);
  [[nodiscard]] std::size_t size() const noexcept { return records_.size(); }
  [[nodiscard]] tree_scope scope() const noexcept { return scope_; }
  [[nodiscard]] std::span<const algorithm> algorithms() const noexcept { return which_; }

 private:
  friend class tree_hasher;
  struct record {
    std::size_t at;  // in bytes_; digests come behind it, one an algorithm
    std::uint32_t name_length, length;
    bool has_digests;
  };
  void begin(char type, std::string_view name, const asyncfs::file_status& status);
  void add_number(std::uint64_t number);
  void add_text(std::string_view text);
  void end(std::span<const digest_value> digests);
  [[nodiscard]] std::string_view name_of(const record& one) const noexcept;
  void sort();

  const tree_scope scope_;
  const std::span<const algorithm> which_;
  std::string bytes_;
  std::vector<record> records_;
};

// Digests nodes, one after the other. Not thread-safe.
class tree_hasher {
 public:
  // One digest an algorithm.
  std::vector<digest_value> digests_of(tree_node& node);

 private:
  std::array<std::unique_ptr<digest>, algorithm_table.size()> digests_;
};

}  // namespace tool
