#include <asyncfs/detail/timer_heap.hpp>

namespace asyncfs::detail {

namespace {
constexpr std::uint32_t arity = 4;
}

// Until it ends, a timer's value is its number; numbers wrap, so their difference counts.
bool timer_heap::earlier(const entry& a, const entry& b) noexcept {
  if (a.when != b.when) [[likely]]
    return a.when < b.when;
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(a.op->value_) -
                                   static_cast<std::uint32_t>(b.op->value_)) < 0;
}

void timer_heap::place(std::uint32_t index, const entry& one) noexcept {
  entries_[index] = one;
  one.op->timer_index_ = index;
}

void timer_heap::put(pending& op, time_point when) noexcept {
  op.value_ = static_cast<std::int32_t>(put_so_far_++);
  entries_.emplace_back();
  sift(static_cast<std::uint32_t>(entries_.size() - 1), {when, &op});
}

// Puts the entry into the hole at `index`, moving others so that no child is earlier than its parent.
void timer_heap::sift(std::uint32_t index, const entry& one) noexcept {
  while (index > 0) {
    const std::uint32_t parent = (index - 1) / arity;
    if (!earlier(one, entries_[parent])) break;
    place(index, entries_[parent]);
    index = parent;
  }
  const auto size = static_cast<std::uint32_t>(entries_.size());
  for (;;) {
    std::uint32_t earliest = index;
    const entry* first = &one;
    for (std::uint32_t child = index * arity + 1; child < size && child <= (index + 1) * arity; ++child) {
      if (!earlier(entries_[child], *first)) continue;
      earliest = child;
      first = &entries_[child];
    }
    if (earliest == index) break;
    place(index, *first);
    index = earliest;
  }
  place(index, one);
}

void timer_heap::remove_at(std::uint32_t index) noexcept {
  const entry last = entries_.back();
  entries_.pop_back();
  if (index < entries_.size()) sift(index, last);
}

}  // namespace asyncfs::detail
