// The library's wire format: what an operation asks of an engine, and what comes back.
//
// `request` has the layout of the kernel's 64-byte submission queue entry (io_uring_enter(2)); engine/uring.cpp asserts
// every offset. The uring engine lets operations write straight into the ring; the other engines interpret the same
// struct. Memory that a request points to belongs to the engine until the request's last completion, on every engine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <asyncfs/opcode.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

struct request {
  // In `flags`, beyond the kernel's IOSQE_* bits: done in place from what the caches hold, or completed with EAGAIN.
  static constexpr std::uint8_t only_if_cached = 1u << 7;

  opcode code = opcode::nop;
  std::uint8_t flags = 0;      // IOSQE_*
  std::uint16_t priority = 0;  // ioprio; for sockets the multishot bits
  std::int32_t fd = -1;
  std::uint64_t offset = 0;     // file offset, or a second address
  std::uint64_t address = 0;    // buffer, path, iovec or socket address
  std::uint32_t length = 0;     // bytes, iovec count, or mode
  std::uint32_t options = 0;    // the operation's own flags
  std::uint64_t user_data = 0;  // comes back in every completion
  std::uint16_t buffer = 0;     // buffer index or group
  std::uint16_t personality = 0;
  std::int32_t file_index = 0;  // direct descriptor slot, or splice source
  std::uint64_t extra = 0;      // addr3: xattr path, or a private operation's fourth argument
  std::uint64_t reserved = 0;

  template <class T>
  static std::uint64_t pointer(T* p) noexcept {
    return reinterpret_cast<std::uintptr_t>(p);
  }
  template <class T>
  T* pointer_at(std::uint64_t field) const noexcept {
    return reinterpret_cast<T*>(static_cast<std::uintptr_t>(field));
  }
};
static_assert(sizeof(request) == 64);

// One completion. The layout is the kernel's 16-byte completion queue entry.
struct completion {
  static constexpr std::uint32_t has_buffer = 1u << 0;    // a buffer was chosen by the engine: id in the high half
  static constexpr std::uint32_t more = 1u << 1;          // this request will complete again
  static constexpr std::uint32_t notification = 1u << 3;  // zero-copy: the buffer is free again; `value` says nothing

  std::uint64_t user_data = 0;
  std::int32_t value = 0;  // what the system call returned, or minus errno
  std::uint32_t flags = 0;

  [[nodiscard]] bool last() const noexcept { return (flags & more) == 0; }
  [[nodiscard]] bool carries_buffer() const noexcept { return (flags & has_buffer) != 0; }
  [[nodiscard]] std::uint16_t buffer_id() const noexcept { return static_cast<std::uint16_t>(flags >> 16); }
};
static_assert(sizeof(completion) == 16);

// Arguments too wide for a request; `address` or `offset` points to one of these.

// opcode::list_directory: opens `name` below `fd` unless `directory` is already open, then reads raw directory entries
// (getdents64(2)) until the buffer is nearly full or the directory ends.
struct list_arguments {
  std::byte* buffer = nullptr;
  std::size_t capacity = 0;
  std::size_t used = 0;         // out: bytes of entries
  std::int32_t directory = -1;  // in/out: the open directory; the caller closes it
  bool at_end = false;          // out: nothing left to read
  bool waited = false;          // out, of request::only_if_cached: the thread slept all the same, as for a device
};

// opcode::call: any function on a worker; its return value is the completion's value.
struct call_arguments {
  std::int32_t (*function)(void*) noexcept = nullptr;
  void* argument = nullptr;
};

// opcode::spawn: starts a program as a child process (posix_spawn(3)); the completion's value is a new pidfd. The child
// has no signal blocked, and takes SIGPIPE the default way.
struct spawn_arguments {
  enum class group : std::uint8_t { same, own, own_session };

  const char* program = nullptr;                     // found in PATH unless it has a slash
  char* const* arguments = nullptr;                  // null-terminated, the program's own name first
  char* const* environment = nullptr;                // null-terminated; null: this process's
  std::int32_t directory = -1;                       // where it starts; -1: where this process is
  std::array<std::int32_t, 3> standard{-1, -1, -1};  // what becomes its descriptors 0, 1 and 2; -1: this process's
  bool keep_descriptors = false;                     // those from 3 on that are not close-on-exec; else they are closed
  group process_group = group::same;
  std::int32_t pid = 0;  // out
};

}  // namespace asyncfs
