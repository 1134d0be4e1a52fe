#include "hash/known_names.hpp"

#include <sys/random.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>

namespace tool {

std::string normalised(std::string_view path) {
  std::string made;
  made.reserve(path.size());
  if (path.starts_with('/')) made = "/";
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view component = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (component.empty() || component == ".") continue;
    if (!made.empty() && made.back() != '/') made += '/';
    made += component;
  }
  return made.empty() ? "." : made;
}

known_names::known_names() {
  static_assert(std::tuple_size_v<decltype(secret_)> >= XXH3_SECRET_SIZE_MIN);
  // As many bytes as this (up to 256) come at once or not at all.
  while (::getrandom(secret_.data(), secret_.size(), 0) < 0)
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "getrandom");
}

known_names::mark known_names::mark_of(std::string_view name) const noexcept {
  const XXH128_hash_t made = XXH3_128bits_withSecret(name.data(), name.size(), secret_.data(), secret_.size());
  return {{static_cast<std::uint32_t>(made.high64), static_cast<std::uint32_t>(made.low64),
           static_cast<std::uint32_t>(made.low64 >> 32)}};
}

void known_names::add(std::string_view normalised_name) {
  if (size_ == capacity_) {
    constexpr std::size_t at_first = 64;
    const std::size_t more = std::max(at_first, capacity_ * 2);
    void* const grown = std::realloc(marks_.get(), more * sizeof(mark));
    if (grown == nullptr) throw std::bad_alloc();
    static_cast<void>(marks_.release());
    marks_.reset(static_cast<mark*>(grown));
    capacity_ = more;
  }
  marks_[size_++] = mark_of(normalised_name);
}

void known_names::settle() { std::sort(marks_.get(), marks_.get() + size_); }

bool known_names::contains(std::string_view normalised_name) const {
  return std::binary_search(marks_.get(), marks_.get() + size_, mark_of(normalised_name));
}

}  // namespace tool
