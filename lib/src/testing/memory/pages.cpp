#include "testing/memory/pages.hpp"

#include <algorithm>
#include <cstring>

namespace asyncfs::detail::memory {

namespace {

constexpr std::uint64_t page_of(std::uint64_t at) { return at / pages::page_size; }

// Calls fn(page index, offset in the page, bytes of it, bytes before it) for each page that [at, at + length) touches.
template <class F>
void for_each_piece(std::uint64_t at, std::uint64_t length, F&& fn) {
  for (std::uint64_t done = 0; done < length;) {
    const std::uint64_t within = (at + done) % pages::page_size;
    const std::uint64_t count = std::min(pages::page_size - within, length - done);
    fn(page_of(at + done), within, count, done);
    done += count;
  }
}

}  // namespace

std::size_t pages::read(std::uint64_t at, char* into, std::size_t length) const {
  if (at >= size_) return 0;
  const std::uint64_t count = std::min<std::uint64_t>(length, size_ - at);
  for_each_piece(at, count, [&](std::uint64_t index, std::uint64_t within, std::uint64_t bytes, std::uint64_t before) {
    const auto found = pages_.find(index);
    if (found == pages_.end())
      std::memset(into + before, 0, bytes);
    else
      std::memcpy(into + before, found->second->data() + within, bytes);
  });
  return count;
}

std::string pages::text() const {
  std::string all(size_, '\0');
  read(0, all.data(), all.size());
  return all;
}

pages::page& pages::writable(std::uint64_t index) {
  page_ptr& one = pages_[index];
  if (!one)
    one = std::make_shared<page>();
  else if (one.use_count() > 1)
    one = std::make_shared<page>(*one);
  return *one;
}

void pages::write(std::uint64_t at, std::string_view bytes) {
  for_each_piece(at, bytes.size(),
                 [&](std::uint64_t index, std::uint64_t within, std::uint64_t count, std::uint64_t before) {
                   std::memcpy(writable(index).data() + within, bytes.data() + before, count);
                 });
  if (!bytes.empty()) size_ = std::max<std::uint64_t>(size_, at + bytes.size());
}

std::uint64_t pages::pages_needed(std::uint64_t at, std::uint64_t length) const {
  if (length == 0) return 0;
  const std::uint64_t first = page_of(at), last = page_of(at + length - 1);
  const auto there = std::distance(pages_.lower_bound(first), pages_.upper_bound(last));
  return last - first + 1 - static_cast<std::uint64_t>(there);
}

void pages::zero(std::uint64_t at, std::uint64_t end) {
  if (at >= end || !pages_.contains(page_of(at))) return;
  std::memset(writable(page_of(at)).data() + at % page_size, 0, end - at);
}

void pages::resize(std::uint64_t size) {
  if (size < size_) {
    pages_.erase(pages_.lower_bound(page_of(size + page_size - 1)), pages_.end());
    zero(size, (page_of(size) + 1) * page_size);
  }
  size_ = size;
}

void pages::allocate(std::uint64_t at, std::uint64_t length) {
  if (length == 0) return;
  for (std::uint64_t index = page_of(at); index <= page_of(at + length - 1); ++index)
    if (page_ptr& one = pages_[index]; !one) one = std::make_shared<page>();
}

void pages::punch(std::uint64_t at, std::uint64_t length) {
  const std::uint64_t end = at + length;
  const std::uint64_t first_whole = page_of(at + page_size - 1), end_whole = page_of(end);
  if (first_whole > end_whole) return zero(at, end);  // within one page
  zero(at, first_whole * page_size);
  zero(end_whole * page_size, end);
  pages_.erase(pages_.lower_bound(first_whole), pages_.lower_bound(end_whole));
}

std::uint64_t pages::next_data(std::uint64_t at) const {
  const auto found = pages_.lower_bound(page_of(at));
  return found == pages_.end() ? size_ : std::min(size_, std::max(at, found->first * page_size));
}

std::uint64_t pages::next_hole(std::uint64_t at) const {
  std::uint64_t index = page_of(at);
  for (auto one = pages_.find(index); one != pages_.end() && one->first == index; ++one) ++index;
  return std::min(size_, std::max(at, index * page_size));
}

pages::page_ptr pages::page_at(std::uint64_t index) const {
  const auto found = pages_.find(index);
  return found == pages_.end() ? nullptr : found->second;
}

void pages::put_page(std::uint64_t index, page_ptr what) {
  if (what)
    pages_[index] = std::move(what);
  else
    pages_.erase(index);
}

}  // namespace asyncfs::detail::memory
