#include <asyncfs/detail/list.hpp>
#include <asyncfs/detail/mailbox.hpp>
#include <asyncfs/frame_pool.hpp>

#include <thread>
#include <vector>

#include "../catch.hpp"

namespace {

struct first_hook : asyncfs::detail::list_hook {};
struct second_hook : asyncfs::detail::list_hook {};
struct node : first_hook, second_hook {
  explicit node(int n) : first_hook(), second_hook(), value(n) {}
  int value;
};
using first_list = asyncfs::detail::list<node, first_hook>;
using second_list = asyncfs::detail::list<node, second_hook>;

template <class L>
std::vector<int> values(L& list) {
  std::vector<int> out;
  list.for_each([&](node& n) { out.push_back(n.value); });
  return out;
}

}  // namespace

TEST_CASE("a list keeps order at both ends, and a node leaves from the middle") {
  node a(1), b(2), c(3);
  first_list list;
  CHECK(list.empty());
  CHECK(list.front() == nullptr);
  CHECK(list.pop_front() == nullptr);
  list.push_back(a);
  list.push_back(b);
  list.push_front(c);
  CHECK(values(list) == std::vector{3, 1, 2});
  static_cast<first_hook&>(a).unlink();
  CHECK_FALSE(static_cast<first_hook&>(a).linked());
  CHECK(values(list) == std::vector{3, 2});
  CHECK(list.pop_front() == &c);
  CHECK(list.pop_front() == &b);
  CHECK(list.empty());
}

TEST_CASE("one object is in two lists at once") {
  node a(1), b(2);
  first_list one;
  second_list two;
  one.push_back(a);
  one.push_back(b);
  two.push_back(b);
  two.push_back(a);
  static_cast<first_hook&>(b).unlink();
  CHECK(values(one) == std::vector{1});
  CHECK(values(two) == std::vector{2, 1});
}

TEST_CASE("a node may leave the list while the list is walked") {
  node a(1), b(2), c(3);
  first_list list;
  for (node* n : {&a, &b, &c}) list.push_back(*n);
  list.for_each([](node& n) { static_cast<first_hook&>(n).unlink(); });
  CHECK(list.empty());
}

TEST_CASE("a queue gives back in the order of pushing, also after it ran empty") {
  struct item {
    item* next_in_queue = nullptr;
  };
  item a, b, c;
  asyncfs::detail::queue<item> queue;
  CHECK(queue.pop() == nullptr);
  queue.push(a);
  CHECK(queue.pop() == &a);
  CHECK(queue.empty());
  queue.push(b);
  queue.push(c);
  queue.push(a);
  CHECK(queue.pop() == &b);
  CHECK(queue.pop() == &c);
  CHECK(queue.pop() == &a);
  CHECK(queue.pop() == nullptr);
}

TEST_CASE("letters come out of a mailbox in the order they were put") {
  asyncfs::detail::mailbox box;
  asyncfs::detail::letter a, b, c;
  CHECK(box.empty());
  box.put(a);
  box.put(b);
  CHECK(box.take() == &a);
  box.put(c);
  CHECK_FALSE(box.empty());
  CHECK(box.take() == &b);
  CHECK(box.take() == &c);
  CHECK(box.take() == nullptr);
  CHECK(box.empty());
}

TEST_CASE("a mailbox loses nothing from four threads, and keeps each one's order") {
  struct numbered : asyncfs::detail::letter {
    int sender = 0, number = 0;
  };
  constexpr int senders = 4, letters = 20000;
  std::vector<std::vector<numbered>> mail(senders, std::vector<numbered>(letters));
  asyncfs::detail::mailbox box;
  std::vector<std::jthread> threads;
  for (int s = 0; s < senders; ++s)
    threads.emplace_back([&, s] {
      for (int i = 0; i < letters; ++i) {
        auto& one = mail[static_cast<std::size_t>(s)][static_cast<std::size_t>(i)];
        one.sender = s;
        one.number = i;
        box.put(one);
      }
    });
  std::vector<int> next(senders, 0);
  bool in_order = true;
  for (int taken = 0; taken < senders * letters;) {
    auto* one = static_cast<numbered*>(box.take());
    if (one == nullptr) continue;
    in_order &= next[static_cast<std::size_t>(one->sender)]++ == one->number;
    ++taken;
  }
  CHECK(in_order);
  CHECK(box.take() == nullptr);
}

TEST_CASE("a released frame serves the next request of its size class, and no other") {
  using asyncfs::detail::frame_pool;
  void* first = frame_pool::allocate(100);
  frame_pool::release(first, 100);
  void* other = frame_pool::allocate(300);
  CHECK(other != first);
  void* again = frame_pool::allocate(128);  // 100 and 128 bytes are two cache lines each
  CHECK(again == first);
  frame_pool::release(again, 128);
  frame_pool::release(other, 300);
}

TEST_CASE("a frame larger than any class comes from the heap and goes back there") {
  using asyncfs::detail::frame_pool;
  const std::size_t large = frame_pool::granule * frame_pool::classes + 1;
  auto* memory = static_cast<char*>(frame_pool::allocate(large));
  memory[large - 1] = 'x';
  frame_pool::release(memory, large);
  SUCCEED();
}

TEST_CASE("a thread that only frees what others allocated leaves nothing behind at its end") {
  // The address sanitizer's leak check is what fails here; without it this is a smoke test.
  using asyncfs::detail::frame_pool;
  std::vector<void*> blocks;
  for (int i = 0; i < 2000; ++i) blocks.push_back(frame_pool::allocate(200));  // more than a thread keeps
  std::jthread([&] {
    for (void* one : blocks) frame_pool::release(one, 200);
  }).join();
  void* fresh = frame_pool::allocate(200);
  CHECK(fresh != nullptr);
  frame_pool::release(fresh, 200);
}
