// The engine over io_uring(7): operations write their requests straight into the submission ring.
//
// Invariants: one thread submits and reaps (SINGLE_ISSUER); the ring is made disabled and enabled by the thread that
// adopts it. Slots between next_slot_ and last_slot_ are free; those before next_slot_ since the last publication are
// filled but not yet visible to the kernel. A cancel's own completion and the bell's are swallowed here.

#include <liburing.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>
#include <vector>

#include "engine/bell.hpp"
#include "engine/completion_queue.hpp"
#include "engine/factories.hpp"
#include "engine/job_board.hpp"
#include "engine/kernel.hpp"
#include "engine/perform.hpp"

namespace asyncfs::detail {

namespace {

constexpr std::uint64_t cancel_tag = 1;  // no operation's address: they are aligned
constexpr std::uint64_t bell_tag = 2;
constexpr unsigned completions_per_entry = 8;
constexpr unsigned fewest_entries = 8, most_entries = 32768;  // the latter is the kernel's own limit

// Without these no useful loop can be built on the ring; anything else falls back one opcode at a time.
constexpr opcode essential[] = {opcode::nop,     opcode::readv, opcode::read,   opcode::write,
                                opcode::openat2, opcode::close, opcode::accept, opcode::async_cancel,
                                opcode::send,    opcode::recv,  opcode::connect};
constexpr unsigned essential_features = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_SUBMIT_STABLE;

int register_ring(int fd, unsigned what, void* argument, unsigned count) {
  const auto value = ::syscall(SYS_io_uring_register, fd, what, argument, count);
  return value < 0 ? -errno : static_cast<int>(value);
}

// Sets the ring up with the newest flags the kernel takes, and with fewer entries while memory is refused.
int set_up(io_uring& ring, unsigned entries, bool& disabled) {
  constexpr unsigned base = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;
  constexpr unsigned attempts[] = {
      base | IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
          IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,  // 6.1
      base | IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
          IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,                               // 6.0
      base | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,  // 5.19
      base,
  };
  int error = -EINVAL;
  for (const unsigned flags : attempts) {
    for (unsigned n = std::clamp(entries, fewest_entries, most_entries); n >= fewest_entries; n /= 2) {
      io_uring_params parameters{};
      parameters.flags = flags;
      parameters.cq_entries = n * completions_per_entry;
      error = io_uring_queue_init_params(n, &ring, &parameters);
      disabled = (flags & IORING_SETUP_R_DISABLED) != 0;
      if (error == 0) return 0;
      if (error != -ENOMEM) break;
    }
    if (error != -EINVAL) break;
  }
  return error;
}

// Lets the ring, which must still be disabled, run what `allowed` says and nothing else; what this engine registers
// after enabling it stays allowed.
int restrict_ring(int fd, const std::array<bool, 256>& allowed) {
  std::vector<io_uring_restriction> rules;
  rules.push_back({.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = 0xff});
  for (const std::uint8_t what : {IORING_REGISTER_RING_FDS, IORING_UNREGISTER_RING_FDS})
    rules.push_back({.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = what});
  for (std::size_t code = 0; code < allowed.size(); ++code)
    if (allowed[code])
      rules.push_back({.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = static_cast<std::uint8_t>(code)});
  return register_ring(fd, IORING_REGISTER_RESTRICTIONS, rules.data(), static_cast<unsigned>(rules.size()));
}

// Since 6.10 a no-op can be given its result; older kernels ignore that, or refuse it.
bool nops_take_results() {
  io_uring ring{};
  if (io_uring_queue_init(1, &ring, 0) < 0) return false;
  auto* const slot = reinterpret_cast<request*>(io_uring_get_sqe(&ring));
  *slot = request{
      .code = opcode::nop, .length = static_cast<std::uint32_t>(-ENODATA), .options = kernel::nop_inject_result};
  io_uring_cqe* event = nullptr;
  const bool taken = io_uring_submit(&ring) == 1 && io_uring_wait_cqe(&ring, &event) == 0 && event->res == -ENODATA;
  io_uring_queue_exit(&ring);
  return taken;
}

// Such a socket always looks ready, so that when the listener's queue is full the kernel tries to connect again and
// again, as task work, where a cancel does not find it; only then does it give the request to a thread of its own, where
// a cancel does. So that is where it goes at once.
bool may_wait_for_a_full_queue(const request& work) {
  return work.code == opcode::connect && work.pointer_at<const sockaddr>(work.address)->sa_family == AF_UNIX;
}

class uring_engine final : public engine {
 public:
  uring_engine(const io_uring& ring, bool disabled, const engine_options& options)
      : ring_(ring),
        disabled_(disabled),
        bell_(0),
        workers_(*this),
        faults_(options.faults),
        injects_in_ring_(injects() && nops_take_results()),
        slots_(reinterpret_cast<request*>(ring_.sq.sqes)) {
    unsent_cancels_.reserve(ring_.sq.ring_entries);
    for (unsigned i = 0; i < ring_.sq.ring_entries; ++i) ring_.sq.array[i] = i;
    open_window();
  }
  // Closing the ring ends what only the ring itself had started: the bell.
  ~uring_engine() override {
    // The number belongs to the thread that registered; elsewhere it may name another ring.
    if (number_ >= 0 && adopted_by_ == std::this_thread::get_id()) {
      io_uring_rsrc_update ring_number{.offset = static_cast<std::uint32_t>(number_), .resv = 0, .data = 0};
      register_ring(ring_.ring_fd, IORING_UNREGISTER_RING_FDS, &ring_number, 1);
    }
    io_uring_queue_exit(&ring_);
  }

  // Asks the kernel what it supports, and decides where each opcode runs. Fails when too much is missing.
  result<void> choose_routes(const engine_options& options) {
    std::vector<std::byte> memory(sizeof(io_uring_probe) + 256 * sizeof(io_uring_probe_op));
    auto* probe = reinterpret_cast<io_uring_probe*>(memory.data());
    if (const int error = register_ring(ring_.ring_fd, IORING_REGISTER_PROBE, probe, 256); error < 0)
      return failure(-error);
    std::array<bool, 256> supported{};
    for (unsigned i = 0; i < probe->ops_len; ++i)
      supported[probe->ops[i].op] = (probe->ops[i].flags & kernel::probe_supported) != 0;
    if ((ring_.features & essential_features) != essential_features) return failure(EOPNOTSUPP);
    if (faults_ != nullptr && !(faults_->denied.empty() && faults_->missing.empty())) {
      std::array<bool, 256> allowed = supported;
      for (const auto* refused : {&faults_->denied, &faults_->missing})
        for (const opcode code : *refused) allowed[static_cast<std::uint8_t>(describe(code).kernel)] = false;
      if (!disabled_) return failure(EOPNOTSUPP);
      if (const int error = restrict_ring(ring_.ring_fd, allowed); error < 0) return failure(-error);
      for (const opcode code : faults_->missing) supported[static_cast<std::uint8_t>(describe(code).kernel)] = false;
    }
    for (const opcode code : essential)
      if (!supported[static_cast<std::uint8_t>(code)]) return failure(EOPNOTSUPP);

    const auto settle = [&](const opcode_info& row, runs wish) {
      const bool in_kernel = row.since != kernel_version{} && supported[static_cast<std::uint8_t>(row.kernel)];
      if (in_kernel && !row.ends_by_itself) wish = runs::in_ring;
      const runs where = wish == runs::in_ring && !in_kernel ? runs::on_worker : wish;
      routes_[static_cast<std::uint8_t>(row.code)] = where;
      direct_[static_cast<std::uint8_t>(row.code)] =
          where == runs::in_ring && row.kernel == row.code && row.code != opcode::connect && !injects();
    };
    // What needs a worker takes the kernel's where it can: submitting those is batched, handing over to ours is not.
    for (const opcode_info& row : opcode_table) settle(row, row.where == runs::on_worker ? runs::in_ring : row.where);
    for (std::size_t i = 0; i < options.routes; ++i) settle(describe(options.route[i].first), options.route[i].second);
    return {};
  }

  [[nodiscard]] std::string_view name() const noexcept override { return "uring"; }
  [[nodiscard]] runs where(opcode code) const noexcept override { return routes_[static_cast<std::uint8_t>(code)]; }

  void adopt_thread() override {
    if (disabled_) {
      if (const int error = register_ring(ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0); error < 0)
        throw std::system_error(-error, std::system_category(), "cannot enable the ring on this thread");
    }
    // Since 5.18: the thread's own number for the ring saves a descriptor lookup per call, and failing costs only that.
    adopted_by_ = std::this_thread::get_id();
    io_uring_rsrc_update ring_number{.offset = ~0u, .resv = 0, .data = static_cast<std::uint64_t>(ring_.ring_fd)};
    if (register_ring(ring_.ring_fd, IORING_REGISTER_RING_FDS, &ring_number, 1) == 1)
      number_ = static_cast<int>(ring_number.offset);
  }

  [[nodiscard]] bool submit(const request& work) override {
    if (injects()) [[unlikely]] {
      if (!has_slot()) return false;  // so that the hook is asked once
      if (const auto value = faults_->inject(work)) return complete_with(work, *value);
    }
    if ((work.flags & request::only_if_cached) != 0) {
      finished_.reserve();
      finished_.put({.user_data = work.user_data, .value = attempt(work), .flags = 0});
      return true;
    }
    runs place = where(work.code);
    // On a stream these may wait for ever, and only the ring can give them up; it always has them.
    if (place != runs::in_ring && describe(work.code).ends_by_itself && may_wait_for_a_peer(work))
      place = runs::in_ring;
    switch (place) {
      case runs::in_ring: {
        request* free = slot();
        if (free == nullptr) return false;
        *free = work;
        free->code = describe(work.code).kernel;
        if (may_wait_for_a_full_queue(work)) free->flags |= IOSQE_ASYNC;
        return true;
      }
      case runs::on_worker: workers_.submit(work); break;
      case runs::in_place:
        finished_.reserve();
        finished_.put({.user_data = work.user_data, .value = perform(work), .flags = 0});
        break;
    }
    ++count_.submitted;
    return true;
  }

  // A cancel is never lost: it goes into the ring, or into the room kept for as many as the ring has entries. Should the
  // kernel, out of memory, take nothing for longer than that and there be no memory for more, it is asked until it does.
  void cancel(std::uint64_t user_data) noexcept override {
    if (workers_.cancel(user_data)) return;
    while (!send_at_once(user_data)) {
      enter({});
      if (send_at_once(user_data) || put_off(user_data)) return;
      stash_completions();
      ::sched_yield();
    }
  }

  [[nodiscard]] std::size_t reap(std::span<completion> batch) noexcept override {
    std::size_t count = 0;
    if (!finished_.empty()) count = finished_.take(batch);
    if (workers_.has_finished()) count += workers_.reap(batch.subspan(count));
    return count + take_from_ring(batch.subspan(count));
  }

  [[nodiscard]] bool has_finished_work() const noexcept override {
    return !finished_.empty() || workers_.has_finished() ||
           *ring_.cq.khead != __atomic_load_n(ring_.cq.ktail, __ATOMIC_ACQUIRE);
  }

  void enter(const wait& how) noexcept override {
    send_cancels();
    const bool sleep = how.until_completion && unsent_cancels_.empty() && arm_bell() && fall_asleep();
    const unsigned to_submit = publish();
    const unsigned flags = __atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED);
    const bool kernel_has_news = (flags & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN)) != 0;
    if ((flags & IORING_SQ_CQ_OVERFLOW) != 0) ++count_.overflows;
    if (to_submit != 0 || sleep || kernel_has_news) call(to_submit, sleep, how.deadline);
    if (sleep) awake();
  }

 protected:
  [[nodiscard]] bool refill() noexcept override {
    if (open_window()) return true;
    enter({});
    return open_window();
  }
  void ring_bell() noexcept override { bell_.ring(); }

 private:
  // ---- the submission ring: tail_ counts slots handed out up to first_slot_, and what lies between first_slot_ and
  // next_slot_ has been filled since.

  void account_filled() noexcept {
    tail_ += static_cast<unsigned>(next_slot_ - first_slot_);
    first_slot_ = next_slot_;
  }
  // Offers the longest run of free slots that does not wrap. False: every slot is waiting to be submitted.
  bool open_window() noexcept {
    account_filled();
    const unsigned entries = ring_.sq.ring_entries;
    const unsigned used = tail_ - __atomic_load_n(ring_.sq.khead, __ATOMIC_ACQUIRE);
    const unsigned index = tail_ & (entries - 1);
    first_slot_ = next_slot_ = slots_ + index;
    last_slot_ = next_slot_ + std::min(entries - used, entries - index);
    return next_slot_ != last_slot_;
  }
  // Shows the kernel what was filled; returns how much it has not taken yet.
  unsigned publish() noexcept {
    account_filled();
    __atomic_store_n(ring_.sq.ktail, tail_, __ATOMIC_RELEASE);
    return tail_ - __atomic_load_n(ring_.sq.khead, __ATOMIC_RELAXED);
  }

  // io_uring_enter(2). EAGAIN and EBUSY mean that the kernel lacks memory or completion room: what it did not take
  // stays published and goes with the next call, after completions have been reaped. ETIME and EINTR are wake-ups.
  void call(unsigned to_submit, bool sleep, steady_time deadline) noexcept {
    unsigned flags = IORING_ENTER_GETEVENTS;
    __kernel_timespec timeout{};
    io_uring_getevents_arg argument{};
    if (sleep && deadline != steady_time::max()) {
      const auto left = std::max(deadline - now(), steady_time::duration::zero());
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
      timeout = {.tv_sec = seconds.count(), .tv_nsec = std::chrono::nanoseconds(left - seconds).count()};
      argument.ts = request::pointer(&timeout);
      flags |= IORING_ENTER_EXT_ARG;  // only with a deadline: the kernel has to copy it
    }
    if (number_ >= 0) flags |= IORING_ENTER_REGISTERED_RING;
    ++count_.enters;
    const bool extended = (flags & IORING_ENTER_EXT_ARG) != 0;
    const auto taken = ::syscall(SYS_io_uring_enter, number_ >= 0 ? number_ : ring_.ring_fd, to_submit, sleep ? 1u : 0u,
                                 flags, extended ? &argument : nullptr, extended ? sizeof argument : 0);
    if (taken > 0) count_.submitted += static_cast<std::uint64_t>(taken);
  }

  // ---- what the engine itself asks of the ring

  request* own_slot() noexcept { return next_slot_ != last_slot_ || open_window() ? next_slot_++ : nullptr; }

  // False: no room; `enter` tries again. Those put off go first, in the order asked.
  bool send_cancels() noexcept {
    for (; sent_ < unsent_cancels_.size(); ++sent_)
      if (!send_cancel(unsent_cancels_[sent_])) return false;
    unsent_cancels_.clear();
    sent_ = 0;
    return true;
  }
  bool send_cancel(std::uint64_t user_data) noexcept {
    request* free = own_slot();
    if (free == nullptr) return false;
    *free = request{};
    free->code = opcode::async_cancel;
    free->address = user_data;
    free->user_data = cancel_tag;
    return true;
  }
  bool send_at_once(std::uint64_t user_data) noexcept { return send_cancels() && send_cancel(user_data); }
  bool put_off(std::uint64_t user_data) noexcept {
    try {
      unsent_cancels_.push_back(user_data);
      return true;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }
  // A read that completes when another thread rings. False: no room for it, so sleeping would not be safe.
  bool arm_bell() noexcept {
    if (bell_armed_) return true;
    request* free = own_slot();
    if (free == nullptr) return false;
    *free = request{};
    free->code = opcode::read;
    free->fd = bell_.fd();
    free->address = request::pointer(&rung_);
    free->length = sizeof rung_;
    free->user_data = bell_tag;
    bell_armed_ = true;
    return true;
  }

  [[nodiscard]] bool injects() const noexcept { return faults_ != nullptr && faults_->inject; }
  [[nodiscard]] bool has_slot() noexcept { return next_slot_ != last_slot_ || refill(); }

  // An injected result. The kernel carries it where it can. REQUIRES a free slot.
  bool complete_with(const request& work, std::int32_t value) {
    if (!injects_in_ring_) finished_.reserve();
    if (work.code == opcode::close && value != -ECANCELED) static_cast<void>(perform(work));
    if (!injects_in_ring_) {
      finished_.put({.user_data = work.user_data, .value = value, .flags = 0});
      return true;
    }
    *next_slot_++ = request{.code = opcode::nop,
                            .length = static_cast<std::uint32_t>(value),
                            .options = kernel::nop_inject_result,
                            .user_data = work.user_data};
    return true;
  }

  std::size_t take_from_ring(std::span<completion> batch) noexcept {
    completion* next = batch.data();
    const completion* const end = next + batch.size();
    unsigned head = *ring_.cq.khead;
    const unsigned tail = __atomic_load_n(ring_.cq.ktail, __ATOMIC_ACQUIRE);
    const unsigned mask = *ring_.cq.kring_mask;
    while (head != tail && next != end) {
      const io_uring_cqe& event = ring_.cq.cqes[head++ & mask];
      if (event.user_data > bell_tag) [[likely]] {
        *next++ = {.user_data = event.user_data, .value = event.res, .flags = event.flags};
      } else if (event.user_data == bell_tag) {
        bell_armed_ = false;
      }
    }
    __atomic_store_n(ring_.cq.khead, head, __ATOMIC_RELEASE);
    return static_cast<std::size_t>(next - batch.data());
  }
  // Kernels before 5.19 take nothing while completions overflow: what there is room for is moved out of their way.
  void stash_completions() noexcept {
    completion one;
    while (finished_.has_extra() && take_from_ring({&one, 1}) == 1) finished_.put_extra(one);
  }

  io_uring ring_;
  const bool disabled_;
  std::thread::id adopted_by_;
  int number_ = -1;  // the ring's, among those registered by that thread
  const bell bell_;
  std::uint64_t rung_ = 0;
  bool bell_armed_ = false;
  job_board workers_;
  std::array<runs, 256> routes_{};
  const engine_faults* const faults_;
  const bool injects_in_ring_;
  request* const slots_;
  request* first_slot_ = nullptr;
  unsigned tail_ = 0;
  std::vector<std::uint64_t> unsent_cancels_;
  std::size_t sent_ = 0;  // of those, the first so many
  completion_queue finished_;
};

}  // namespace

result<std::unique_ptr<engine>> make_uring_engine(const engine_options& options) {
  io_uring ring{};
  bool disabled = false;
  if (const int error = set_up(ring, options.entries, disabled); error < 0) return failure(-error);
  std::unique_ptr<uring_engine> made;
  try {
    made = std::make_unique<uring_engine>(ring, disabled, options);
  } catch (const std::system_error& error) {  // no descriptor left for the bell
    io_uring_queue_exit(&ring);
    return failure(error.code());
  } catch (...) {
    io_uring_queue_exit(&ring);
    throw;
  }
  if (const auto chosen = made->choose_routes(options); !chosen) return failure(chosen.error());
  return made;
}

}  // namespace asyncfs::detail
