// Many threads put, one thread takes: how anything from another thread reaches a loop.
//
// `put` is lock-free, allocates nothing and may be called from any thread; `take` only from the owner. Letters come
// out in the order they were put.
#pragma once

#include <atomic>

namespace [[gnu::visibility("default")]] asyncfs {
namespace detail {

struct letter {
  letter* next_letter = nullptr;
};

class mailbox {
 public:
  void put(letter& mail) noexcept {
    letter* head = newest_.load(std::memory_order_relaxed);
    do mail.next_letter = head;
    while (!newest_.compare_exchange_weak(head, &mail, std::memory_order_seq_cst, std::memory_order_relaxed));
  }
  [[nodiscard]] bool empty() const noexcept {
    return unread_ == nullptr && newest_.load(std::memory_order_seq_cst) == nullptr;
  }
  // The oldest letter, or null.
  letter* take() noexcept {
    if (unread_ == nullptr) {
      if (newest_.load(std::memory_order_relaxed) == nullptr) return nullptr;
      letter* newest_first = newest_.exchange(nullptr, std::memory_order_acquire);
      while (newest_first != nullptr) {
        letter* older = newest_first->next_letter;
        newest_first->next_letter = unread_;
        unread_ = newest_first;
        newest_first = older;
      }
    }
    letter* oldest = unread_;
    unread_ = oldest->next_letter;
    return oldest;
  }

 private:
  std::atomic<letter*> newest_{nullptr};
  letter* unread_ = nullptr;
};

}  // namespace detail
}  // namespace asyncfs
