#include "hash/file_table.hpp"

#include <algorithm>
#include <mutex>
#include <tuple>

namespace tool {

namespace {

constexpr unsigned block_bits = 20;
constexpr std::size_t block_bytes = std::size_t{1} << block_bits;  // paths are shorter

}  // namespace

std::uint64_t file_table::arena::add(std::string_view text) {
  if (text.size() >= room_ - used_) {
    room_ = std::max(block_bytes, text.size() + 1);
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(room_));
    used_ = 0;
  }
  const std::uint64_t place = (std::uint64_t{blocks_.size() - 1} << block_bits) | used_;
  char* const to = blocks_.back().get() + used_;
  *std::ranges::copy(text, to).out = '\0';
  used_ += text.size() + 1;
  return place;
}

const char* file_table::arena::at(std::uint64_t place) const noexcept {
  return blocks_[place >> block_bits].get() + (place & (block_bytes - 1));
}

file_table::directory_number file_table::add_directory(std::string_view path) {
  const bool ends_well = path.ends_with('/');
  const std::string with_slash = std::string(path) + (ends_well ? "" : "/");
  const std::lock_guard lock(mutex_);
  directories_.push_back(names_.add(with_slash));
  return static_cast<directory_number>(directories_.size() - 1);
}

void file_table::add(directory_number holder, std::string_view name, const asyncfs::file_status& status) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t device = device_number(status.device);
  records_.push_back({status.size, status.inode, names_.add(name), device, holder});
}

std::uint32_t file_table::device_number(std::uint64_t device) {
  const auto known = std::ranges::find(devices_, device);
  const auto number = static_cast<std::uint32_t>(known - devices_.begin());
  if (known == devices_.end()) devices_.push_back(device);
  return number;
}

void file_table::sort() {
  std::ranges::sort(records_, {}, [](const record& one) { return std::tuple(one.size, one.device, one.inode); });
}

std::string file_table::path(const record& one) const {
  const char* const name = names_.at(one.name);
  return one.holder == no_directory ? name : std::string(names_.at(directories_[one.holder])) + name;
}

bool file_table::is(const record& one, const asyncfs::file_status& status) const noexcept {
  return status.is_regular() && status.inode == one.inode && status.device == devices_[one.device] &&
         status.size == one.size;
}

}  // namespace tool
