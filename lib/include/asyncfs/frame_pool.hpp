// Memory for coroutine frames and callback slots: per-thread free lists by size class, so that the steady state
// allocates nothing.
//
// Any thread may free what another allocated; the block then serves the freeing thread. A list keeps a bounded amount
// of memory; blocks above the largest class come from the heap.
#pragma once

#include <cstddef>
#include <new>

namespace [[gnu::visibility("default")]] asyncfs {
namespace detail {

class frame_pool {
 public:
  static constexpr std::size_t granule = 64;         // a cache line
  static constexpr std::size_t classes = 32;         // up to 2 KiB; larger frames are rare and long-lived
  static constexpr std::size_t most_kept = 1 << 20;  // bytes a class and thread

  [[nodiscard]] static void* allocate(std::size_t bytes) {
    const std::size_t c = (bytes - 1) / granule;
    if (c < classes) [[likely]] {
      list& free = lists_[c];
      if (free.head != nullptr) [[likely]] {
        block* taken = free.head;
        free.head = taken->next;
        ++free.room;
        return taken;
      }
    }
    return allocate_slowly(bytes);
  }
  static void release(void* memory, std::size_t bytes) noexcept {
    const std::size_t c = (bytes - 1) / granule;
    if (c < classes) [[likely]] {
      list& free = lists_[c];
      if (free.room > 0) [[likely]] {
        free.head = ::new (memory) block{free.head};
        --free.room;
        return;
      }
    }
    release_slowly(memory, bytes);
  }

  // For tests that make allocations fail: from here on this thread keeps nothing, and asks the heap each time.
  static void keep_nothing() noexcept;

 private:
  struct block {
    block* next;
  };
  struct list {
    block* head;
    std::size_t room;  // for so many more; none until the thread is known to clean up at its end
  };
  struct thread_cleaner;
  static void* allocate_slowly(std::size_t bytes);
  static void release_slowly(void* memory, std::size_t bytes) noexcept;

  static constinit inline thread_local list lists_[classes]{};
};

// The pool as a standard allocator, for std::allocate_shared.
template <class T>
struct pool_allocator {
  using value_type = T;
  pool_allocator() noexcept = default;
  template <class U>
  explicit pool_allocator(const pool_allocator<U>&) noexcept {}
  [[nodiscard]] T* allocate(std::size_t count) { return static_cast<T*>(frame_pool::allocate(count * sizeof(T))); }
  void deallocate(T* memory, std::size_t count) noexcept { frame_pool::release(memory, count * sizeof(T)); }
  bool operator==(const pool_allocator&) const noexcept = default;
};

// Derive from this to be allocated in the pool.
struct pooled {
  static void* operator new(std::size_t bytes) { return frame_pool::allocate(bytes); }
  static void operator delete(void* memory, std::size_t bytes) noexcept { frame_pool::release(memory, bytes); }
};

}  // namespace detail
}  // namespace asyncfs
