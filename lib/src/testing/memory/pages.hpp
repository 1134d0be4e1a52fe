// The bytes of a regular file: pages that are shared until written to, and holes between them.
//
// A copy costs its pages' pointers, so that the durable state of a file is a copy of its state when it was synced.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace asyncfs::detail::memory {

class pages {
 public:
  static constexpr std::uint64_t page_size = 4096;
  using page = std::array<char, page_size>;
  using page_ptr = std::shared_ptr<page>;

  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  // How many pages hold data.
  [[nodiscard]] std::uint64_t count() const noexcept { return pages_.size(); }
  // Bytes read, none past the end; holes read as zeros.
  std::size_t read(std::uint64_t at, char* into, std::size_t length) const;
  [[nodiscard]] std::string text() const;

  // Grows to what it needs.
  void write(std::uint64_t at, std::string_view bytes);
  // How many pages the write would add.
  [[nodiscard]] std::uint64_t pages_needed(std::uint64_t at, std::uint64_t length) const;
  // What lies beyond a smaller size is gone, also when it grows again.
  void resize(std::uint64_t size);
  // Zeros, with pages and without; the size stays.
  void allocate(std::uint64_t at, std::uint64_t length);
  void punch(std::uint64_t at, std::uint64_t length);

  // The next offset from `at` on that is in a page or in a hole; the size when there is none.
  [[nodiscard]] std::uint64_t next_data(std::uint64_t at) const;
  [[nodiscard]] std::uint64_t next_hole(std::uint64_t at) const;

  // Whole pages by index, for what a power cut leaves; null is a hole.
  [[nodiscard]] page_ptr page_at(std::uint64_t index) const;
  void put_page(std::uint64_t index, page_ptr what);

 private:
  page& writable(std::uint64_t index);
  void zero(std::uint64_t at, std::uint64_t end);

  std::map<std::uint64_t, page_ptr> pages_;
  std::uint64_t size_ = 0;
};

}  // namespace asyncfs::detail::memory
