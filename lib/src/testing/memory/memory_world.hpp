// A world of files in memory: descriptors, and every request carried out on the tree and the streams.
#pragma once

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "testing/memory/streams.hpp"
#include "testing/memory/tree.hpp"
#include "testing/seam.hpp"
#include "testing/world.hpp"

namespace asyncfs::detail::memory {

class memory_world final : public world, public simulated_descriptors {
 public:
  memory_world();
  memory_world(const memory_world&) = delete;
  memory_world& operator=(const memory_world&) = delete;
  ~memory_world() override;

  [[nodiscard]] std::shared_ptr<void> hold(const request& work) override;
  std::int32_t attempt(request& work, const std::shared_ptr<void>& held, std::uint64_t& waits_on) override;
  std::vector<std::uint64_t> take_changes() override { return std::exchange(streams_.changed, {}); }
  bool look_outside(std::span<const request* const>, std::chrono::milliseconds, std::vector<std::size_t>&) override {
    return false;
  }
  void set_time(std::int64_t nanoseconds) noexcept override;
  void cut_power() override;
  void lose_unsynced(int fd) noexcept override;

  void close(int fd) noexcept override;
  std::int32_t local_address(int fd, sockaddr* address, socklen_t* size) noexcept override;
  std::int32_t set_option(int fd) noexcept override;

  // Descriptors of both ends, for tests: what is read, what is written; or a connected pair of sockets.
  std::array<int, 2> give_pipe(std::size_t capacity);
  std::array<int, 2> give_pair();
  // open(2) of what exists.
  std::int32_t open_path(std::string_view path, int flags);
  // What was opened and not closed, as "number path".
  [[nodiscard]] std::vector<std::string> open_list() const;

  [[nodiscard]] tree& files() noexcept { return *tree_; }
  bool reflinks = false;  // whether ficlone works
  [[nodiscard]] std::size_t open_count() const noexcept { return open_count_; }
  [[nodiscard]] std::size_t bad_uses() const noexcept { return bad_uses_; }
  [[nodiscard]] const std::string& written_to(int fd) const { return sinks_.at(static_cast<std::size_t>(fd)); }
  [[nodiscard]] bool powered() const noexcept { return powered_; }

 private:
  using call = std::int32_t (memory_world::*)(const request&);
  static const std::array<call, 256>& calls();

  // Descriptors.
  [[nodiscard]] opened* at(int fd) noexcept;
  int give(opened what);
  [[nodiscard]] node* directory_at(int fd, std::string_view path, std::int32_t& error) noexcept;
  [[nodiscard]] node* file_at(int fd, std::int32_t& error) noexcept;
  // The same of a descriptor that must be more than a place (O_PATH).
  [[nodiscard]] node* usable_file_at(int fd, std::int32_t& error) noexcept;
  [[nodiscard]] tree::place find(const request& work, std::uint64_t path_field, bool follow);
  [[nodiscard]] tree::place find(int fd, std::string_view path, const tree::how& how);
  // Where a name is that is to be made, moved or removed.
  [[nodiscard]] tree::place find_name(int fd, std::string_view path);

  // One a system call.
  std::int32_t open(int fd, std::string_view path, std::uint64_t flags, std::uint32_t mode, std::uint64_t resolve);
  std::int32_t openat(const request& work);
  std::int32_t openat2(const request& work);
  std::int32_t close_now(const request& work);
  std::int32_t statx(const request& work);
  std::int32_t transfer(const request& work);
  std::int32_t read_into(opened& from, std::uint64_t offset, char* data, std::size_t length, int flags);
  std::int32_t write_from(opened& to, std::uint64_t offset, const char* data, std::size_t length, int flags);
  std::int32_t fsync(const request& work);
  std::int32_t fallocate(const request& work);
  std::int32_t ftruncate(const request& work);
  std::int32_t mkdirat(const request& work);
  std::int32_t mknodat(const request& work);
  std::int32_t unlinkat(const request& work);
  std::int32_t renameat(const request& work);
  std::int32_t linkat(const request& work);
  std::int32_t symlinkat(const request& work);
  std::int32_t readlinkat(const request& work);
  std::int32_t getdents(const request& work);
  std::int32_t list_directory(const request& work);
  std::int32_t read_entries(opened& from, std::byte* buffer, std::size_t capacity);
  std::int32_t set_mode(const request& work);
  std::int32_t set_owner(const request& work);
  std::int32_t set_times(const request& work);
  std::int32_t set_attribute(const request& work);
  std::int32_t get_attribute(const request& work);
  std::int32_t list_attributes(const request& work);
  std::int32_t remove_attribute(const request& work);
  std::int32_t copy_file_range(const request& work);
  std::int32_t seek(const request& work);
  std::int32_t nothing(const request& work);
  std::int32_t advise(const request& work);
  std::int32_t clone(const request& work);
  std::int32_t open_fifo(node& file, int flags);
  // 0, and what a local socket's address is bound by; empty for all others.
  std::int32_t bound_name(const request& work, bool creates, std::string& key);
  std::int32_t call_function(const request& work);
  std::int32_t make_pipe(const request& work);
  std::int32_t make_socket(const request& work);
  std::int32_t bind(const request& work);
  std::int32_t listen(const request& work);
  std::int32_t accept(const request& work);
  std::int32_t connect(const request& work);
  std::int32_t shutdown(const request& work);
  std::int32_t poll(const request& work);

  std::unique_ptr<tree> tree_;
  streams streams_;
  std::vector<std::shared_ptr<opened>> opened_;  // by number; numbers are never given out twice
  std::array<std::string, 3> sinks_;
  std::array<opened, 3> standard_;
  std::size_t open_count_ = 0, bad_uses_ = 0;
  std::uint64_t waits_on_ = 0;
  int held_number_ = -1;  // during an attempt: what its descriptor means, though it may be closed by now
  opened* held_ = nullptr;
  bool powered_ = true;
  simulated_descriptors* outer_;
};

}  // namespace asyncfs::detail::memory
