#include "engine/job_board.hpp"

#include <cerrno>
#include <thread>
#include <utility>

#include "engine/perform.hpp"

namespace asyncfs::detail {

struct job_board::job final : work_item, letter {
  enum class state : std::uint8_t { free, queued, running, cancelled };

  job_board* board = nullptr;
  job* next_free = nullptr;
  request work;
  std::int32_t value = 0;
  std::atomic<state> now{state::free};

  void run() noexcept override {
    state expected = state::queued;
    if (now.compare_exchange_strong(expected, state::running)) value = perform(work);
    job_board& home = *board;
    home.finished_.put(*this);
    home.owner_.wake();
    // Last touch: from here on the board may be gone.
    home.with_workers_.fetch_sub(1, std::memory_order_release);
  }
};

job_board::job_board(engine& owner) : owner_(owner) {}

job_board::~job_board() {
  while (with_workers_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
}

void job_board::submit(const request& work) {
  if (free_ == nullptr) {
    jobs_.push_back(std::make_unique<job>());
    jobs_.back()->board = this;
    free_ = jobs_.back().get();
  }
  job& next = *std::exchange(free_, free_->next_free);
  next.work = work;
  next.now.store(job::state::queued, std::memory_order_relaxed);
  with_workers_.fetch_add(1, std::memory_order_relaxed);
  const bool computes = work.code == opcode::call && work.options != 0;
  (computes ? worker_pool::computing() : worker_pool::blocking()).submit(next);
}

bool job_board::cancel(std::uint64_t user_data) noexcept {
  for (const auto& candidate : jobs_) {
    if (candidate->work.user_data != user_data) continue;
    auto expected = job::state::queued;
    if (candidate->now.compare_exchange_strong(expected, job::state::cancelled)) {
      cancelled_.push_back({.user_data = user_data, .value = -ECANCELED, .flags = 0});
      return true;
    }
    if (expected == job::state::running) return true;
  }
  return false;
}

std::size_t job_board::reap(std::span<completion> batch) noexcept {
  std::size_t count = 0;
  while (count < batch.size() && !cancelled_.empty()) {
    batch[count++] = cancelled_.back();
    cancelled_.pop_back();
  }
  while (count < batch.size()) {
    letter* mail = finished_.take();
    if (mail == nullptr) break;
    job& done = *static_cast<job*>(mail);
    const bool was_cancelled = done.now.exchange(job::state::free, std::memory_order_relaxed) == job::state::cancelled;
    if (!was_cancelled) batch[count++] = {.user_data = done.work.user_data, .value = done.value, .flags = 0};
    done.work.user_data = 0;
    done.next_free = std::exchange(free_, &done);
  }
  return count;
}

}  // namespace asyncfs::detail
