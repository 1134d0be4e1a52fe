// Intrusive containers: nodes live in the objects they link, so linking and unlinking never allocates.
#pragma once

#include <cstddef>

namespace [[gnu::visibility("default")]] asyncfs {
namespace detail {

// A doubly linked node that knows how to leave its list. Not copyable, not movable: neighbours point at it.
// `linked` may be asked of one that was value-initialised; others cost nothing to make.
struct list_hook {
  list_hook* previous;
  list_hook* next;

  list_hook() = default;
  list_hook(const list_hook&) = delete;
  list_hook& operator=(const list_hook&) = delete;

  [[nodiscard]] bool linked() const noexcept { return next != nullptr; }
  void unlink() noexcept {
    previous->next = next;
    next->previous = previous;
    previous = next = nullptr;
  }
};

// A list of T, where T derives from Tag-distinguished hook `Hook` (itself derived from list_hook).
template <class T, class Hook>
class list {
 public:
  list() noexcept { root_.previous = root_.next = &root_; }
  list(const list&) = delete;
  list& operator=(const list&) = delete;

  [[nodiscard]] bool empty() const noexcept { return root_.next == &root_; }
  void push_back(T& node) noexcept { link(root_.previous, static_cast<Hook&>(node)); }
  void push_front(T& node) noexcept { link(&root_, static_cast<Hook&>(node)); }
  [[nodiscard]] T* front() noexcept { return empty() ? nullptr : from(root_.next); }
  // The one behind a node of this list, or null.
  [[nodiscard]] T* after(T& node) noexcept {
    list_hook* const next = static_cast<Hook&>(node).next;
    return next == &root_ ? nullptr : from(next);
  }
  T* pop_front() noexcept {
    if (empty()) return nullptr;
    list_hook* first = root_.next;
    first->unlink();
    return from(first);
  }
  // Calls fn for every node; fn may unlink the node it was given, and no other.
  template <class F>
  void for_each(F&& fn) {
    while_each([&fn](T& one) {
      fn(one);
      return true;
    });
  }
  // The same until fn returns false.
  template <class F>
  void while_each(F&& fn) {
    for (list_hook *node = root_.next, *after; node != &root_; node = after) {
      after = node->next;
      if (!fn(*from(node))) return;
    }
  }

 private:
  static T* from(list_hook* hook) noexcept { return static_cast<T*>(static_cast<Hook*>(hook)); }
  static void link(list_hook* before, list_hook& node) noexcept {
    list_hook* const after = before->next;
    node.previous = before;
    before->next = &node;
    after->previous = &node;
    node.next = after;
  }
  list_hook root_;
};

// First in, first out, singly linked through T::next_in_queue.
template <class T>
class queue {
 public:
  [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
  void push(T& node) noexcept {
    node.next_in_queue = nullptr;
    if (last_ != nullptr) [[likely]]
      last_->next_in_queue = &node;
    else
      head_ = &node;
    last_ = &node;
  }
  // Counts: linear.
  [[nodiscard]] std::size_t size() const noexcept {
    std::size_t count = 0;
    for (const T* node = head_; node != nullptr; node = node->next_in_queue) ++count;
    return count;
  }
  // The last in the queue, or null. Only to compare with: it may be gone once others have run.
  [[nodiscard]] const T* back() const noexcept { return last_; }
  T* pop() noexcept {
    T* node = head_;
    if (node != nullptr) {
      head_ = node->next_in_queue;
      if (head_ == nullptr) last_ = nullptr;
    }
    return node;
  }

 private:
  T* head_ = nullptr;
  T* last_ = nullptr;
};

}  // namespace detail
}  // namespace asyncfs
