// Finds the requests that an engine holds by their user_data, however many there are: what cancelling needs.
//
// Loop thread only. A hash table whose chains run through the nodes themselves: after `reserve`, nothing allocates.
// A node has `work` (a request) and `next_alike` (a T*), and must stay where it is while it is in here.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace asyncfs::detail {

template <class T>
class user_data_index {
 public:
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  // For so many nodes in all. Throws std::bad_alloc, and then nothing has changed.
  void reserve(std::size_t nodes) {
    if (nodes <= buckets_.size()) return;
    std::vector<T*> old(std::bit_ceil(nodes < fewest ? fewest : nodes), nullptr);
    old.swap(buckets_);
    for (T* chain : old)
      while (chain != nullptr) {
        T& node = *chain;
        chain = node.next_alike;
        link(node);
      }
  }
  void insert(T& node) noexcept {
    link(node);
    ++size_;
  }
  void erase(T& node) noexcept {
    T** at = &bucket(node.work.user_data);
    while (*at != &node) at = &(*at)->next_alike;
    *at = node.next_alike;
    --size_;
  }
  // Calls fn for every node with this user_data; fn may erase the node it was given, and no other.
  template <class F>
  void for_each(std::uint64_t user_data, F&& fn) {
    if (size_ == 0) return;
    for (T *node = bucket(user_data), *after; node != nullptr; node = after) {
      after = node->next_alike;
      if (node->work.user_data == user_data) fn(*node);
    }
  }

 private:
  static constexpr std::size_t fewest = 16;

  void link(T& node) noexcept {
    T*& first = bucket(node.work.user_data);
    node.next_alike = first;
    first = &node;
  }
  // Mostly addresses, whose low bits are alike: the product's high bits tell them apart.
  T*& bucket(std::uint64_t user_data) noexcept {
    const std::uint64_t mixed = user_data * 0x9e3779b97f4a7c15;
    return buckets_[static_cast<std::size_t>(mixed >> 32) & (buckets_.size() - 1)];
  }

  std::vector<T*> buckets_;  // a power of two
  std::size_t size_ = 0;
};

}  // namespace asyncfs::detail
