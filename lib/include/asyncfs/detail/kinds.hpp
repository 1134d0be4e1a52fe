// The kinds of operation whose request is known when they are made, which is most of them.
#pragma once

#include <cerrno>
#include <cstdint>

#include <asyncfs/descriptor.hpp>
#include <asyncfs/operation.hpp>

namespace [[gnu::visibility("default")]] asyncfs {
namespace detail {

// What a non-negative completion value means, by the type the user gets: nothing, a count, or an owner of a descriptor.
template <class T>
T value_from(std::int32_t value) {
  if constexpr (std::constructible_from<T, int> && !std::integral<T>)
    return T(value);
  else
    return static_cast<T>(value);
}

// What most requests are made of, in the order of `request`; smaller, since it is copied to where it waits.
struct plain_request {
  std::uint8_t flags = 0;
  std::int32_t fd = -1;
  std::uint64_t offset = 0;
  std::uint64_t address = 0;
  std::uint32_t length = 0;
  std::uint32_t options = 0;
  std::int32_t file_index = 0;
  std::uint64_t extra = 0;
};

template <opcode Code, class T>
struct plain_kind {
  using value_type = T;
  static constexpr opcode code = Code;

  plain_request ask;

  void prepare(request& slot) const noexcept {
    slot.flags = ask.flags;
    slot.fd = ask.fd;
    slot.offset = ask.offset;
    slot.address = ask.address;
    slot.length = ask.length;
    slot.options = ask.options;
    slot.file_index = ask.file_index;
    slot.extra = ask.extra;
  }
  result<T> complete(const completion& event) const {
    if (event.value < 0) [[unlikely]]
      return failure(-event.value);
    if constexpr (std::is_void_v<T>)
      return {};
    else
      return value_from<T>(event.value);
  }
};

// A transfer at a stream's own position: it may wait for a peer for ever, so it is not counted against the limit.
template <opcode Code, class T>
struct stream_kind : plain_kind<Code, T> {
  static constexpr bool ends_by_itself = false;
};

// What the cache alone can give, at once, by a system call on the loop's thread.
template <opcode Code, class T>
struct cached_kind : plain_kind<Code, T> {
  static constexpr bool at_once = true;

  void prepare(request& slot) const noexcept {
    plain_kind<Code, T>::prepare(slot);
    slot.flags = request::only_if_cached;
  }
};

// Closing cannot be cancelled, nor fail to begin: the descriptor is this kind's own until an engine has closed it, and
// is closed with it when none did.
struct close_kind {
  using value_type = void;
  static constexpr opcode code = opcode::close;
  descriptor owned;

  void prepare(request& slot) const noexcept { slot.fd = owned.fd(); }
  result<void> complete(const completion& event) noexcept {
    if (event.value == -ECANCELED) [[unlikely]] {
      owned.reset();
      return {};
    }
    static_cast<void>(owned.release());
    if (event.value < 0) return failure(-event.value);
    return {};
  }
};

template <opcode Code, class T>
using plain_operation = operation<plain_kind<Code, T>>;

template <opcode Code, class T>
plain_operation<Code, T> plain(const plain_request& ask) noexcept {
  return plain_operation<Code, T>(plain_kind<Code, T>{ask});
}

}  // namespace detail
}  // namespace asyncfs
