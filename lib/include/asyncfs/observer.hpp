// A hook per operation and per callback of one loop: what tracers and statistics of the user's own are made of.
//
// Called on the loop's thread, from inside the loop: it must not throw, start operations or resume anything. A loop
// without an observer pays nothing for it.
#pragma once

#include <chrono>
#include <cstdint>
#include <source_location>

#include <asyncfs/request.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

class loop_observer {
 public:
  loop_observer() = default;
  loop_observer(const loop_observer&) = delete;
  loop_observer& operator=(const loop_observer&) = delete;
  virtual ~loop_observer() = default;

  using time_point = std::chrono::steady_clock::time_point;

  struct operation {
    std::uint64_t id;  // tells operations apart while they last
    opcode code;
    const char* name;           // of the opcode, or of what is waited for ("channel.receive")
    std::source_location site;  // where the user awaits or started it
    std::int32_t fd;            // -1: none
    std::uint64_t offset;
    std::uint32_t length;
  };
  // It was handed to the engine, became a timer, or began to wait for another task.
  virtual void started(const operation&, time_point) noexcept {}
  // A completion came, of what had started: what was cancelled before that is not told of. `last`: none follows. `value`
  // is the system call's, or minus errno.
  struct outcome {
    std::uint64_t id;
    std::int32_t value;
    bool last;
  };
  virtual void completed(const outcome&, time_point) noexcept {}
  // The user's code ran from `begin` to `end`, going on from `site`.
  virtual void ran(const std::source_location&, time_point begin, time_point end) noexcept {
    static_cast<void>(begin);
    static_cast<void>(end);
  }
  // A turn ended with so many operations in flight; the loop is about to enter the kernel, and came back.
  virtual void entered(std::size_t in_flight, time_point begin, time_point end) noexcept {
    static_cast<void>(in_flight);
    static_cast<void>(begin);
    static_cast<void>(end);
  }
};

}  // namespace asyncfs
