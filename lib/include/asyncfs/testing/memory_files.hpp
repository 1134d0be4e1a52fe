// The files of a simulation, seen from the test: put there before, looked at afterwards, as a power cut leaves them.
//
// Paths are absolute. What is put there is durable. Not for use while a loop runs on the same simulation.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace [[gnu::visibility("default")]] asyncfs {
namespace detail::memory {
class tree;
}
}  // namespace asyncfs

namespace [[gnu::visibility("default")]] asyncfs {
namespace testing {

class memory_files {
 public:
  explicit memory_files(detail::memory::tree& of) noexcept;
  explicit memory_files(std::unique_ptr<detail::memory::tree> own) noexcept;
  memory_files(memory_files&&) noexcept;
  memory_files& operator=(memory_files&&) noexcept;
  ~memory_files();

  // Makes the directories above it too. Throws std::system_error.
  void write(std::string_view path, std::string_view bytes, std::uint32_t mode = 0644);
  void make_directory(std::string_view path, std::uint32_t mode = 0755);
  void symlink(std::string_view target, std::string_view path);
  void link(std::string_view existing, std::string_view path);
  // Nothing when there is no such regular file. Links are followed.
  [[nodiscard]] std::optional<std::string> read(std::string_view path) const;
  [[nodiscard]] bool exists(std::string_view path) const;
  // Every path below a directory, with the bytes of a file, the target of a link ("-> there"), or "/" of a directory.
  [[nodiscard]] std::map<std::string, std::string> list(std::string_view directory = "/") const;
  // How many bytes all files together may take, from now on; then writes meet ENOSPC.
  void set_capacity(std::uint64_t bytes) noexcept;

 private:
  std::unique_ptr<detail::memory::tree> own_;
  detail::memory::tree* tree_;
};

}  // namespace testing
}  // namespace asyncfs
