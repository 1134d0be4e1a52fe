// One I/O, described and not yet begun; completed by co_await, by a callback, or as a future (future.hpp).
//
//   std::size_t n = co_await file.read_at(buffer, 0);                     // the value, or std::system_error is thrown
//   auto r = co_await asyncfs::as_result(file.read_at(buffer, 0));        // result<std::size_t>, nothing is thrown
//   asyncfs::start(loop, file.read_at(buffer, 0), [](auto r) { ... });    // callback: gets result<std::size_t>
//
// A kind of operation is a small struct: `value_type`, `code`, `prepare(request&)`, `complete(completion)`. Everything
// else (the ways to wait, cancelling, every engine) is written here once.
//
// Memory that an operation names (buffers, paths) belongs to it from its start to its completion. All on the loop's
// thread. Cancelling the scope asks for an early end; a result that wins against that is delivered.
#pragma once

#include <concepts>
#include <coroutine>
#include <string>
#include <utility>

#include <asyncfs/frame_pool.hpp>
#include <asyncfs/loop.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

template <class K>
concept operation_kind = requires(const K& kind, K& mutable_kind, request& slot, const completion& event) {
  typename K::value_type;
  { K::code } -> std::convertible_to<opcode>;
  kind.prepare(slot);
  { mutable_kind.complete(event) } -> std::same_as<result<typename K::value_type>>;
};

namespace detail {

[[noreturn]] void throw_failure(const std::error_code& error, std::string_view what);

// What an awaiting coroutine must offer: where it runs, and what cancels it.
template <class P>
concept awaiting_promise = requires(P& promise) {
  { promise.home() } -> std::same_as<loop&>;
  { promise.scope() } -> std::same_as<cancel_scope&>;
};

// Whether operations of this kind count against the loop's limit: the opcode's answer, unless the kind has its own.
template <class Kind>
inline constexpr bool ends_by_itself = describe(Kind::code).ends_by_itself;
template <class Kind>
  requires requires { Kind::ends_by_itself; }
inline constexpr bool ends_by_itself<Kind> = Kind::ends_by_itself;

template <operation_kind Kind>
class operation_awaiter_base : public pending {
 public:
  // `kind` lives in the awaited expression, and so in the coroutine's frame until the await is over.
  explicit operation_awaiter_base(Kind& kind) noexcept : pending(Kind::code, ends_by_itself<Kind>, true), kind_(kind) {}

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class P>
  void await_suspend(std::coroutine_handle<P> waiter, std::source_location at = std::source_location::current()) {
    static_assert(awaiting_promise<P>, "operations are awaited in a coroutine that returns asyncfs::task");
    this->site = at;
    waiter_ = waiter;
    waiter.promise().home().start(*this, waiter.promise().scope(), kind_);
  }
  void prepare(request& slot) final { kind_.prepare(slot); }
  void run() final {
    finish();
    waiter_.resume();
  }

 protected:
  ~operation_awaiter_base() = default;
  Kind& kind_;

 private:
  std::coroutine_handle<> waiter_;
};

template <operation_kind Kind>
class throwing_awaiter final : public operation_awaiter_base<Kind> {
 public:
  using operation_awaiter_base<Kind>::operation_awaiter_base;
  typename Kind::value_type await_resume() {
    auto r = this->kind_.complete(this->outcome());
    if (!r) [[unlikely]]
      throw_failure(r.error(), describe(Kind::code).name);
    if constexpr (!std::is_void_v<typename Kind::value_type>) return *std::move(r);
  }
};

template <operation_kind Kind>
class result_awaiter final : public operation_awaiter_base<Kind> {
 public:
  using operation_awaiter_base<Kind>::operation_awaiter_base;
  result<typename Kind::value_type> await_resume() { return this->kind_.complete(this->outcome()); }
};

// A started operation that nobody awaits: it calls `done` with the result, then frees itself.
template <operation_kind Kind, class F>
class callback_slot final : public pending, public pooled {
 public:
  callback_slot(Kind&& kind, F&& done)
      : pending(Kind::code, ends_by_itself<Kind>, true), kind_(std::move(kind)), done_(std::move(done)) {}

  static void start(loop& home, cancel_scope& scope, Kind&& kind, F done, std::source_location site) {
    auto* slot = new callback_slot(std::move(kind), std::move(done));
    slot->site = site;
    try {
      home.start(*slot, scope, slot->kind_);
    } catch (...) {
      delete slot;
      throw;
    }
  }
  void prepare(request& slot) override { kind_.prepare(slot); }
  void run() override {
    this->finish();
    auto value = kind_.complete(this->outcome());
    F done = std::move(done_);
    delete this;
    done(std::move(value));
  }

 private:
  ~callback_slot() = default;
  Kind kind_;
  F done_;
};

}  // namespace detail

namespace detail {

// The part of an operation that is awaited without throwing.
template <operation_kind Kind>
class [[nodiscard("an operation does nothing until it is awaited or started")]] quiet_operation {
 public:
  explicit quiet_operation(Kind kind) noexcept : kind_(std::move(kind)) {}
  auto operator co_await() && noexcept { return result_awaiter<Kind>(kind_); }

 protected:
  Kind kind_;
};

}  // namespace detail

// Lazy, move-only: to begin it, await it or give it to `start` or `spawn`, once.
template <operation_kind Kind>
class [[nodiscard("an operation does nothing until it is awaited or started")]] operation
    : public detail::quiet_operation<Kind> {
 public:
  using kind_type = Kind;
  using value_type = typename Kind::value_type;

  explicit operation(Kind kind) noexcept : detail::quiet_operation<Kind>(std::move(kind)) {}
  operation(operation&&) = default;
  operation& operator=(operation&&) = default;

  auto operator co_await() && noexcept { return detail::throwing_awaiter<Kind>(this->kind_); }
  [[nodiscard]] const Kind& kind() const& noexcept { return this->kind_; }
  [[nodiscard]] Kind&& kind() && noexcept { return std::move(this->kind_); }
};

// The same operation, awaited without throwing. No copy: it refers to `op`, which outlives the await.
template <class Kind>
detail::quiet_operation<Kind>&& as_result(operation<Kind>&& op) noexcept {
  return std::move(op);
}

// Begins the operation; `done(result<T>)` runs on the loop's thread, once, from the ready queue. An exception that
// `done` lets out leaves run() of the loop. The slot comes from a pool: the steady state allocates nothing.
// Throws std::bad_alloc, and then nothing was started.
template <class Kind, std::invocable<result<typename Kind::value_type>> F>
void start(loop& home, operation<Kind>&& op, F done, std::source_location site = std::source_location::current()) {
  detail::callback_slot<Kind, F>::start(home, home.root(), std::move(op).kind(), std::move(done), site);
}
template <class Kind, std::invocable<result<typename Kind::value_type>> F>
void start(operation<Kind>&& op, F done, std::source_location site = std::source_location::current()) {
  start(*loop::current(), std::move(op), std::move(done), site);
}

}  // namespace asyncfs
