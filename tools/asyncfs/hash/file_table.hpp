// Files with their names, sizes and identities, in little memory: 32 bytes a file and the bytes of its name, which are
// kept once for a directory and once in it.
//
// Adding is for any thread; all else for one, when nobody adds any more.
#pragma once

#include <asyncfs/file.hpp>
#include <asyncfs/short_lock.hpp>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tool {

class file_table {
 public:
  using directory_number = std::uint32_t;
  static constexpr directory_number no_directory = 0;  // names of its files are whole paths

  struct record {
    std::uint64_t size, inode;
    std::uint64_t name;    // where it is kept
    std::uint32_t device;  // a number of our own
    directory_number holder;
    [[nodiscard]] bool same_file(const record& other) const noexcept {
      return inode == other.inode && device == other.device;
    }
  };

  directory_number add_directory(std::string_view path);
  void add(directory_number holder, std::string_view name, const asyncfs::file_status& status);

  // Files by size, then by identity, so that names of one file stand together.
  void sort();
  [[nodiscard]] std::size_t size() const noexcept { return records_.size(); }
  [[nodiscard]] const record& operator[](std::size_t i) const noexcept { return records_[i]; }
  [[nodiscard]] std::string path(const record& one) const;
  [[nodiscard]] bool is(const record& one, const asyncfs::file_status& status) const noexcept;

 private:
  // NUL-terminated, in blocks: growing neither moves nor doubles what is there.
  class arena {
   public:
    std::uint64_t add(std::string_view text);
    [[nodiscard]] const char* at(std::uint64_t place) const noexcept;

   private:
    std::vector<std::unique_ptr<char[]>> blocks_;
    std::size_t used_ = 0, room_ = 0;  // of the last
  };
  [[nodiscard]] std::uint32_t device_number(std::uint64_t device);

  asyncfs::short_lock mutex_;
  arena names_;
  std::deque<std::uint64_t> directories_{0};  // where their paths are kept, each with a '/' at its end
  std::vector<std::uint64_t> devices_;
  std::deque<record> records_;
};

}  // namespace tool
