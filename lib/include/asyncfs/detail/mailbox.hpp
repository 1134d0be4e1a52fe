// Many threads put, one thread takes: how anything from another thread reaches a loop.
//
// `put` is lock-free, allocates nothing and may be called from any thread; all else only from the owner. Letters come
// out in the order they were put: one that was put before another, in the sense of the memory model, comes before it.
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
  // The owner's own letter: no atomic operation but a load, which nothing waits for.
  void put_own(letter& mail) noexcept {
    collect();
    mail.next_letter = nullptr;
    *last_ = &mail;
    last_ = &mail.next_letter;
  }
  [[nodiscard]] bool empty() const noexcept {
    return unread_ == nullptr && newest_.load(std::memory_order_seq_cst) == nullptr;
  }
  // The oldest letter, or null.
  letter* take() noexcept {
    if (unread_ == nullptr) collect();
    letter* oldest = unread_;
    if (oldest == nullptr) return nullptr;
    unread_ = oldest->next_letter;
    if (unread_ == nullptr) last_ = &unread_;
    return oldest;
  }

 private:
  // Moves what others have put behind what is unread, oldest first.
  void collect() noexcept {
    if (newest_.load(std::memory_order_relaxed) == nullptr) return;
    letter* newest_first = newest_.exchange(nullptr, std::memory_order_acquire);
    letter* const newest = newest_first;
    letter* oldest_first = nullptr;
    while (newest_first != nullptr) {
      letter* older = newest_first->next_letter;
      newest_first->next_letter = oldest_first;
      oldest_first = newest_first;
      newest_first = older;
    }
    *last_ = oldest_first;
    last_ = &newest->next_letter;
  }

  std::atomic<letter*> newest_{nullptr};
  letter* unread_ = nullptr;  // oldest first
  letter** last_ = &unread_;  // where the next one goes
};

}  // namespace detail
}  // namespace asyncfs
