// What is cancelled together.
#pragma once

#include <asyncfs/detail/pending.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

// Operations, and the scopes below. Loop-local, never allocates.
//
// What outlives a scope (a listener's request, a scope below) becomes its parent's.
class cancel_scope : public detail::scope_hook {
 public:
  explicit cancel_scope(cancel_scope* parent = nullptr) noexcept;
  ~cancel_scope();

  // Asks every operation in this scope and below to end early; those started later end at once as cancelled.
  // Loop thread. Completions still come, and may be successes that won the race.
  void cancel() noexcept;
  [[nodiscard]] bool cancelled() const noexcept { return requested_; }
  // Makes `child`, with all that is in it, part of this one and of no other; `leave` takes it out again.
  void adopt(cancel_scope& child) noexcept;
  // What is in it goes to the parent, if it has one.
  void leave() noexcept;

 private:
  friend class loop;
  detail::list<detail::pending, detail::scope_hook> operations_;
  detail::list<cancel_scope, detail::scope_hook> children_;
  cancel_scope* parent_ = nullptr;
  bool requested_ = false;
};

}  // namespace asyncfs
