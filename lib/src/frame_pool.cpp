#include <asyncfs/frame_pool.hpp>

namespace asyncfs::detail {

// Opens a thread's lists, and gives their blocks back when it ends. Made on the thread's first miss, allocating or
// releasing: some threads only ever free what others allocated.
struct frame_pool::thread_cleaner {
  thread_cleaner() {
    for (std::size_t c = 0; c < classes; ++c) lists_[c].room = most_kept / ((c + 1) * granule);
  }
  static void make_once() {
    thread_local thread_cleaner cleaner;
    static_cast<void>(&cleaner);
  }
  ~thread_cleaner() { give_back(); }
  static void give_back() noexcept {
    for (std::size_t c = 0; c < classes; ++c) {
      list& free = lists_[c];
      while (block* kept = free.head) {
        free.head = kept->next;
        ::operator delete(kept, (c + 1) * granule);
      }
      free.room = 0;  // what this thread frees from here on goes to the heap
    }
  }
};

void frame_pool::keep_nothing() noexcept {
  thread_cleaner::make_once();
  thread_cleaner::give_back();
}

void* frame_pool::allocate_slowly(std::size_t bytes) {
  thread_cleaner::make_once();
  const std::size_t c = (bytes - 1) / granule;
  return ::operator new(c < classes ? (c + 1) * granule : bytes);
}

void frame_pool::release_slowly(void* memory, std::size_t bytes) noexcept {
  thread_cleaner::make_once();
  const std::size_t c = (bytes - 1) / granule;
  ::operator delete(memory, c < classes ? (c + 1) * granule : bytes);
}

}  // namespace asyncfs::detail
