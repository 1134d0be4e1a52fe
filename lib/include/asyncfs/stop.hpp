// The boundary to std::stop_token: other threads, and code that knows nothing of this library, cancel a task.
//
//   std::stop_source source;
//   std::jthread other([&] { ...; source.request_stop(); });
//   asyncfs::run(home, asyncfs::with_stop_token(source.get_token(), serve()));
//
// Inside the library cancelling is loop-local and allocates nothing; here is the one place where a stop callback is
// registered. `request_stop` may be called on any thread: the cancel itself happens on the loop's thread, a moment later.
#pragma once

#include <memory>
#include <stop_token>

#include <asyncfs/awaitable.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

namespace detail {

// Carries one request to stop to a loop. Shared by the task and the request, whichever ends later.
class stop_message final : public message, public std::enable_shared_from_this<stop_message> {
 public:
  stop_message(loop& home, cancel_scope& scope) noexcept : home_(home), scope_(&scope) {}
  // Any thread, once.
  void request() noexcept {
    self_ = shared_from_this();
    home_.send(*this);
  }
  // Loop thread: the scope is about to go.
  void forget() noexcept { scope_ = nullptr; }

 private:
  void deliver() override {
    const auto alive = std::move(self_);
    if (scope_ != nullptr) scope_->cancel();
  }
  void discard() noexcept override { self_.reset(); }
  loop& home_;
  cancel_scope* scope_;
  std::shared_ptr<stop_message> self_;
};

}  // namespace detail

// Runs `what`, and cancels it when the token is asked to stop; it may give a value all the same. The loop must live
// until every `request_stop` that had begun before the task ended has returned.
template <awaitable A>
task<awaited_t<A>> with_stop_token(std::stop_token token, A what) {
  const task_context at = co_await this_task;
  cancel_scope scope(&at.scope);
  if (token.stop_requested()) scope.cancel();  // the callback below would come too late for what begins at once
  auto work = as_task(std::move(what));
  struct carrier {
    std::shared_ptr<detail::stop_message> mail;
    ~carrier() { mail->forget(); }
  } const to_here{std::make_shared<detail::stop_message>(at.home, scope)};
  const auto request = [&to_here] { to_here.mail->request(); };
  // Destroyed first: from then on no request comes.
  const std::stop_callback callback(std::move(token), request);
  co_return co_await detail::for_caller(std::move(work).in(scope));
}

}  // namespace asyncfs
