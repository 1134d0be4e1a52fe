// The tree of a memory world: names, and what of them survives a power cut.
//
// Changes to names, and cutting files short, are volatile until an fsync of something they concern, and survive as a
// prefix of their order, as in a journalling file system. Data is volatile until an fsync of its file, and survives page
// by page, as it pleases; what was written after a cut that did not survive does not survive either.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <string_view>
#include <vector>

#include "testing/memory/node.hpp"

namespace asyncfs::detail::memory {

class tree {
 public:
  tree();
  tree(const tree&) = delete;
  tree& operator=(const tree&) = delete;

  [[nodiscard]] node& root() noexcept { return *root_; }
  std::int64_t now_ns = 0;
  std::uint64_t capacity = ~std::uint64_t{0};  // bytes of all pages that hold data

  struct how {
    bool follow_last = true;
    bool follow_slash =
        true;  // a last link with a slash behind it; not where the name itself is made, moved or removed
    std::uint64_t resolve = 0;  // RESOLVE_*
  };
  // Where a path leads. `error` is 0 or an errno; with ENOENT, `parent` is set when only the last name is missing.
  struct place {
    int error = 0;
    node* parent = nullptr;  // null for the root itself, and for "." and ".."
    std::string name{};
    node* file = nullptr;
    bool must_be_directory = false;  // a trailing slash
  };
  [[nodiscard]] place find(node& from, std::string_view path, const how& options);

  // Changes of names. The caller has checked that they may be made.
  node& create(node& parent, const std::string& name, std::uint32_t mode);
  node& create_nameless(std::uint32_t mode);
  void link(node& parent, const std::string& name, node& file);
  void unlink(node& parent, const std::string& name);
  void rename(node& from, const std::string& name, node& to, const std::string& new_name, bool exchange);

  // Data. How many bytes there was room for.
  std::size_t write(node& file, std::uint64_t at, std::string_view bytes);
  void resize(node& file, std::uint64_t size);
  // False: no space.
  [[nodiscard]] bool allocate(node& file, std::uint64_t at, std::uint64_t length);
  void punch(node& file, std::uint64_t at, std::uint64_t length);
  void share(const node& from, node& to);
  // A file without a name that nobody has open takes no room any more.
  void forget_unused(node& file);

  // fsync(2): its data and attributes, and every change of names up to the last that concerns it.
  void sync(node& file, bool data_only);
  // A failed fsync: what was not durable is gone from memory too.
  void lose_unsynced(node& file) noexcept;
  // The tree as found after a power cut now. `choose(n)` gives a number below n.
  [[nodiscard]] std::unique_ptr<tree> after_power_loss(const std::function<std::uint64_t(std::uint64_t)>& choose) const;
  // Makes all that there is durable.
  void sync_all();

  void touch(node& file, bool modified) noexcept;

 private:
  struct change {  // of names; a rename is one change of two names. Without a parent: the file is cut to `size`
    node* parent;
    std::string name{};
    node* file;  // null: the name goes
    std::uint64_t size = 0;
    node* second_parent = nullptr;
    std::string second_name{};
    node* second_file = nullptr;
  };
  node& make(std::uint32_t mode);
  static bool concerns(const change& what, const node& file) noexcept;
  using names = std::map<const node*, std::map<std::string, node*>>;
  static void apply(names& to, const change& what);
  [[nodiscard]] std::uint64_t room() const noexcept {
    return capacity / pages::page_size - std::min(used_, capacity / pages::page_size);
  }

  std::deque<std::unique_ptr<node>> nodes_;
  node* root_;
  std::uint64_t used_ = 0;       // pages
  std::vector<change> journal_;  // changes that are not durable
  names durable_;                // entries of directories
};

}  // namespace asyncfs::detail::memory
