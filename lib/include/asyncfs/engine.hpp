// The seam between the loop and whatever carries out its requests.
//
// An engine belongs to one owner, mostly a loop, and but for `post` and `wake` is called on its thread only. It takes requests,
// and completes each exactly once (or, for a multishot request, once with `completion::more` clear). It never runs user
// code. The clock, randomness and worker dispatch are the engine's too, so that a simulator can own them.
//
// Lifetime: memory that a request points to, and the request's user_data, must outlive its last completion. `cancel`
// only asks; the completion still comes and still decides.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <asyncfs/detail/mailbox.hpp>
#include <asyncfs/request.hpp>
#include <asyncfs/result.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

using steady_time = std::chrono::steady_clock::time_point;

class engine {
 public:
  engine() = default;
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;
  virtual ~engine() = default;

  // "uring", "threads", "sync", or the name of a test engine.
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;

  // Binds the engine to the calling thread. Once, before any other call but `post` and `wake`.
  virtual void adopt_thread() {}

  // True when requests with this opcode may be written into `slot()`; all others go through `submit`.
  [[nodiscard]] bool direct(opcode code) const noexcept { return direct_[static_cast<std::uint8_t>(code)]; }

  // The next free submission slot, with indeterminate content, or null when there is none until `enter`.
  // Writing it submits it, at the latest at the next `enter`.
  [[nodiscard]] request* slot() noexcept {
    if (next_slot_ == last_slot_) [[unlikely]]
      if (!refill()) return nullptr;
    return next_slot_++;
  }

  // The same in two steps, where making room is left to others: false although `slot` might give one.
  [[nodiscard]] bool has_slot_at_once() const noexcept { return next_slot_ != last_slot_; }
  [[nodiscard]] request& slot_at_once() noexcept { return *next_slot_++; }

  // Takes a copy of a request that is not direct. False: no room now; try again after `enter`. May throw
  // std::bad_alloc, and then nothing was started; room for what the request's end needs is made here and nowhere else.
  [[nodiscard]] virtual bool submit(const request& work) = 0;

  // Asks to end the requests with this user_data early. Goes ahead of everything not yet submitted.
  virtual void cancel(std::uint64_t user_data) noexcept = 0;

  // Moves up to batch.size() completions out; returns how many. Never waits.
  [[nodiscard]] virtual std::size_t reap(std::span<completion> batch) noexcept = 0;

  struct wait {
    bool until_completion = false;  // false: hand over what is queued and return
    steady_time deadline = steady_time::max();
  };
  // Submits all that is queued and, if told to, sleeps until a completion, a post, a wake or the deadline.
  virtual void enter(const wait& how) noexcept = 0;

  // Any thread: hands the owner a letter and wakes it. The letter must live until the owner has taken it.
  void post(detail::letter& mail) noexcept {
    const caller inside(*this);
    posts_.put(mail);
    wake_owner();
  }
  // Owner only: the same, without a bell, since the owner is awake.
  void post_to_self(detail::letter& mail) noexcept { posts_.put_own(mail); }
  [[nodiscard]] detail::letter* take_post() noexcept { return posts_.take(); }
  [[nodiscard]] bool has_posts() const noexcept { return !posts_.empty(); }

  // Any thread, after what is to be seen: a waiting `enter` that has not seen it returns. Costs a system call only if
  // the owner sleeps.
  void wake() noexcept {
    const caller inside(*this);
    wake_owner();
  }
  // Owner only, before the engine is destroyed: what a letter told the owner may be that there is no more to do, while
  // its sender still rings the bell. Waits for those who are inside `post` or `wake`; no call may begin from then on.
  void await_callers() const noexcept {
    while (callers_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
  }

  // True while completed work waits to be reaped although nothing is in a kernel queue.
  [[nodiscard]] virtual bool has_finished_work() const noexcept = 0;

  // True after an `enter` that would have slept for ever: no time, no completion and no other thread could have ended
  // it. Only engines that know all of their world can tell.
  [[nodiscard]] virtual bool nothing_can_wake() const noexcept { return false; }
  // Ends the program, with whatever else the engine knows of how it came to this.
  [[noreturn]] virtual void give_up(const std::string& why) const noexcept;

  [[nodiscard]] virtual steady_time now() noexcept { return std::chrono::steady_clock::now(); }
  [[nodiscard]] virtual std::uint64_t random() noexcept;

  // Where requests with this opcode run under this engine, for `asyncfs probe` and for tests.
  [[nodiscard]] virtual runs where(opcode code) const noexcept = 0;

  struct counters {
    std::uint64_t enters = 0;     // system calls that submitted or waited
    std::uint64_t submitted = 0;  // requests handed over
    std::uint64_t overflows = 0;  // completion queue overflows seen
  };
  [[nodiscard]] const counters& count() const noexcept { return count_; }

 protected:
  // Makes room between next_slot_ and last_slot_, submitting if need be. False: no room before `enter`.
  virtual bool refill() noexcept = 0;
  // Any thread: interrupts a sleeping `enter`.
  virtual void ring_bell() noexcept = 0;

  // To be called before sleeping: false means there is news already, so do not sleep.
  [[nodiscard]] bool fall_asleep() noexcept {
    asleep_.store(true, std::memory_order_seq_cst);
    if (!has_posts() && !has_finished_work()) return true;
    asleep_.store(false, std::memory_order_relaxed);
    return false;
  }
  void awake() noexcept { asleep_.store(false, std::memory_order_relaxed); }

  // What every operation looks at shares a cache line with the table's first rows.
  request* next_slot_ = nullptr;
  request* last_slot_ = nullptr;
  std::array<bool, 256> direct_{};
  counters count_;

 private:
  // Counted before a letter can be seen, so that whoever has taken it counts its sender too.
  class caller {
   public:
    explicit caller(engine& of) noexcept : of_(of) { of_.callers_.fetch_add(1, std::memory_order_relaxed); }
    caller(const caller&) = delete;
    caller& operator=(const caller&) = delete;
    // Last touch: from here on the engine may be gone.
    ~caller() { of_.callers_.fetch_sub(1, std::memory_order_release); }

   private:
    engine& of_;
  };
  void wake_owner() noexcept {
    if (asleep_.load(std::memory_order_seq_cst) && asleep_.exchange(false, std::memory_order_seq_cst)) ring_bell();
  }

  std::atomic<bool> asleep_{false};
  std::atomic<std::uint32_t> callers_{0};
  detail::mailbox posts_;
  std::uint64_t random_state_ = 0;
};

enum class engine_kind : std::uint8_t { automatic, uring, threads, sync };

// "auto", "uring", "threads" or "sync"; nothing for any other word.
[[nodiscard]] result<engine_kind> parse_engine_kind(std::string_view word);

// What goes wrong on purpose, for tests: asyncfs/testing/ring_faults.hpp fills it in.
struct engine_faults {
  // Asked of every request as it is submitted, on the loop's thread. A value makes the request complete with that (what
  // the system call would return, or minus errno) instead of being carried out; a close closes all the same, unless it was
  // to be cancelled. Under the
  // uring engine the completion comes through the ring.
  std::function<std::optional<std::int32_t>(const request&)> inject{};
  // Opcodes that the uring engine's ring is told to refuse: they complete with EACCES.
  std::vector<opcode> denied{};
  // Opcodes that the uring engine takes for unknown to this kernel, and falls back for. Denied as well.
  std::vector<opcode> missing{};
};

struct engine_options {
  engine_kind kind = engine_kind::automatic;
  unsigned entries = 512;  // submission queue entries; halved while the kernel refuses with ENOMEM
  // Overrides of the opcode table's routing under the uring engine; `runs::in_ring` is honoured where the kernel can.
  // What may wait for a peer stays in the ring all the same: a worker could not be cancelled.
  std::array<std::pair<opcode, runs>, opcode_table.size()> route{};
  std::size_t routes = 0;
  // Makes the engine instead: for engines of the user's own, and for simulations (testing/simulation.hpp).
  std::function<std::unique_ptr<asyncfs::engine>(const engine_options&)> make{};

  const engine_faults* faults = nullptr;  // for tests; the caller's, and must outlive the engine

  engine_options& run(opcode code, runs where) {
    route.at(routes++) = {code, where};
    return *this;
  }
};

struct chosen_engine {
  std::unique_ptr<asyncfs::engine> engine;
  std::string reason;  // why this engine, in words, for people
};

// Makes the engine asked for. `automatic` takes uring where it works, and threads otherwise, and says why.
// Errors: the kernel's, when uring was asked for by name and is refused (man page io_uring_setup(2)).
[[nodiscard]] result<chosen_engine> make_engine(const engine_options& options = {});

// Why io_uring cannot be used here, in words that name what to change; empty when it can.
[[nodiscard]] std::string explain_uring_refusal(const std::error_code& error);

}  // namespace asyncfs
