// What a loop queues, and what it knows of an operation that was started.
#pragma once

#include <cstdint>
#include <source_location>
#include <string_view>

#include <asyncfs/detail/list.hpp>
#include <asyncfs/detail/mailbox.hpp>
#include <asyncfs/request.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

class loop;
class cancel_scope;

namespace detail {

inline constexpr opcode no_operation{0xff};

// Something that the loop runs once, when its turn comes.
class ready_node {
 public:
  virtual void run() = 0;
  ready_node* next_in_queue;  // the queue's
  std::source_location site;  // the user's line that goes on when it runs
  opcode cause;               // the operation whose end makes it ready; no_operation for none

 protected:
  explicit ready_node(opcode of = no_operation) noexcept : cause(of) {}
  ~ready_node() = default;
};

// Something that another thread sends to a loop, without allocating: it belongs to the sender until `deliver` has run on
// the loop's thread, or `discard` because the loop was destroyed first. No user code runs in either, except for posts.
class message : public letter {
 public:
  virtual void deliver() = 0;
  virtual void discard() noexcept = 0;

 protected:
  ~message() = default;
};

struct scope_hook : list_hook {};
struct backlog_hook : list_hook {};

// An operation that was started: what the loop, its scope and a cancel know of it. It lives in the awaiting frame or
// in a pooled slot, must not move, and must not be destroyed before it has ended; that aborts the program, since the
// kernel may still write to memory the operation points to.
class pending : public ready_node, public scope_hook, public backlog_hook {
 public:
  // Only in the first two may it be destroyed.
  enum class state : std::uint8_t { idle, ended, waiting_for_room, in_flight, in_timer, parked, ready };

  pending(const pending&) = delete;
  pending& operator=(const pending&) = delete;

  // Writes the request; user_data and code are the loop's to set.
  virtual void prepare(request& slot) = 0;
  // Phase 1, no user code: a completion came. The default keeps the value and becomes ready at the last one.
  virtual void arrive(const completion& event);
  // Of one that is parked: takes it out of where it waits. False: too late, what it waits for is on its way to it.
  [[nodiscard]] virtual bool withdraw() noexcept { return true; }
  [[nodiscard]] virtual std::string_view name() const noexcept { return describe(cause).name; }

  [[nodiscard]] opcode code() const noexcept { return cause; }
  [[nodiscard]] state now() const noexcept { return state_; }

 protected:
  // `bounded`: it ends by itself, so it counts against the loop's limit.
  // `arrives_once`: the default `arrive` will do, so the loop need not ask.
  pending(opcode code, bool bounded, bool arrives_once = false) noexcept
      : ready_node(code), bounded_(bounded), arrives_once_(arrives_once) {}
  ~pending() {
    if (state_ > state::ended) [[unlikely]]
      destroyed_in_flight();
  }
  // What came last. Only after the operation has ended.
  [[nodiscard]] completion outcome() const noexcept { return {request::pointer(this), value_, completion_flags_}; }
  [[nodiscard]] loop& home() const noexcept { return *loop_; }
  [[nodiscard]] cancel_scope& origin() const noexcept { return *scope_; }
  [[nodiscard]] bool has_begun() const noexcept { return state_ != state::idle; }
  // To be called first in `run`: from here on the operation may be destroyed, or started again.
  void finish() noexcept { state_ = state::ended; }

 private:
  friend class asyncfs::loop;
  friend class asyncfs::cancel_scope;
  friend class timer_heap;
  [[noreturn]] void destroyed_in_flight() const noexcept;

  // Set when it starts, and when it completes: making one must cost next to nothing.
  // The pointers apart: GCC would put adjacent ones together in a vector first.
  loop* loop_;
  std::int32_t value_;
  std::uint32_t completion_flags_;
  cancel_scope* scope_;
  std::uint32_t timer_index_;
  state state_ = state::idle;
  bool bounded_;
  bool arrives_once_;
};

}  // namespace detail

}  // namespace asyncfs
