// What scenarios need beside the library: preparing, and looking at what came out, by plain system calls and without
// allocating.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "scenarios.hpp"

namespace tests {

// The parts of scenarios().
std::span<const scenario> scenarios_of_files();
std::span<const scenario> scenarios_of_streams();
std::span<const scenario> scenarios_of_waiting();

inline constexpr std::size_t small_size = 1000;
inline constexpr std::size_t large_size = 300'000;

// The byte that every file of these scenarios has at a place.
inline std::byte byte_at(std::size_t offset) noexcept { return static_cast<std::byte>(offset * 31 + offset / 251); }

inline void expect(bool holds, const char* what) {
  if (!holds) throw wrong_outcome(what);
}

class plain_file {
 public:
  plain_file(int directory, const char* name, int flags) : fd_(::openat(directory, name, flags | O_CLOEXEC, 0600)) {
    if (fd_ < 0) throw std::system_error(errno, std::system_category(), name);
  }
  plain_file(const plain_file&) = delete;
  plain_file& operator=(const plain_file&) = delete;
  ~plain_file() { ::close(fd_); }

  void fill(std::size_t from, std::size_t to) const {
    std::array<std::byte, 4096> piece;
    for (std::size_t at = from; at < to; at += piece.size()) {
      const std::size_t count = std::min(piece.size(), to - at);
      for (std::size_t i = 0; i < count; ++i) piece[i] = byte_at(at + i);
      expect(::pwrite(fd_, piece.data(), count, static_cast<off_t>(at)) == static_cast<ssize_t>(count), "prepared");
    }
  }
  void stretch(std::size_t size) const { expect(::ftruncate(fd_, static_cast<off_t>(size)) == 0, "stretched"); }
  // Whether [from, to) holds what `fill` writes, and the file is `size` long.
  [[nodiscard]] bool holds(std::size_t from, std::size_t to, std::size_t size) const {
    struct stat status{};
    if (::fstat(fd_, &status) != 0 || static_cast<std::size_t>(status.st_size) != size) return false;
    std::array<std::byte, 4096> piece;
    for (std::size_t at = from; at < to; at += piece.size()) {
      const std::size_t count = std::min(piece.size(), to - at);
      if (::pread(fd_, piece.data(), count, static_cast<off_t>(at)) != static_cast<ssize_t>(count)) return false;
      for (std::size_t i = 0; i < count; ++i)
        if (piece[i] != byte_at(at + i)) return false;
    }
    return true;
  }

 private:
  int fd_;
};

class plain_directory {
 public:
  explicit plain_directory(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (fd_ < 0) throw std::system_error(errno, std::system_category(), path);
  }
  plain_directory(const plain_directory&) = delete;
  plain_directory& operator=(const plain_directory&) = delete;
  ~plain_directory() { ::close(fd_); }
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

inline bool has(const place& at, const char* name, std::size_t size) {
  return plain_file(at.dir.fd(), name, O_RDONLY).holds(0, size, size);
}
inline bool exists(const place& at, const char* name) {
  return ::faccessat(at.dir.fd(), name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

inline void prepare_files(const std::string& path) {
  const plain_directory dir(path);
  plain_file(dir.fd(), "small", O_RDWR | O_CREAT).fill(0, small_size);
  plain_file(dir.fd(), "large", O_RDWR | O_CREAT).fill(0, large_size);
}

inline constexpr std::size_t sparse_size = std::size_t{3} << 20, island = std::size_t{1} << 20;
inline void prepare_sparse(const std::string& path) {
  const plain_directory dir(path);
  const plain_file sparse(dir.fd(), "sparse", O_RDWR | O_CREAT);
  sparse.stretch(sparse_size);
  sparse.fill(island, island + 8192);
}

inline constexpr std::size_t tree_directories = 4, files_each = 5;
inline void prepare_tree(const std::string& path) {
  const plain_directory dir(path);
  expect(::mkdirat(dir.fd(), "tree", 0700) == 0, "tree");
  for (std::size_t d = 0; d < tree_directories; ++d) {
    const std::string name = "tree/" + std::to_string(d);
    expect(::mkdirat(dir.fd(), name.c_str(), 0700) == 0, "directory");
    for (std::size_t f = 0; f < files_each; ++f)
      plain_file(dir.fd(), (name + "/" + std::to_string(f)).c_str(), O_RDWR | O_CREAT).fill(0, 10);
  }
}

// And links to a directory and to a file in it.
inline void prepare_linked_tree(const std::string& path) {
  prepare_tree(path);
  const plain_directory dir(path);
  expect(::symlinkat("0", dir.fd(), "tree/directory") == 0, "link to a directory");
  expect(::symlinkat("0/0", dir.fd(), "tree/file") == 0, "link to a file");
}

// Bytes as `byte_at` gives them, without the heap.
template <std::size_t N>
std::array<std::byte, N> pattern() {
  std::array<std::byte, N> bytes;
  for (std::size_t i = 0; i < N; ++i) bytes[i] = byte_at(i);
  return bytes;
}
inline bool is_pattern(std::span<const std::byte> bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if (bytes[i] != byte_at(i)) return false;
  return true;
}
inline std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace tests
