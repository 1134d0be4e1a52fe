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
  job* next_alike = nullptr;
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

void job_board::make_job() {
  unfinished_.reserve(jobs_.size() + 1);
  jobs_.push_back(std::make_unique<job>());
  jobs_.back()->board = this;
  free_ = jobs_.back().get();
}

void job_board::submit(const request& work) {
  const bool computes = work.code == opcode::call && work.options != 0;
  worker_pool& pool = computes ? worker_pool::computing() : worker_pool::blocking();  // made the first time
  if (free_ == nullptr) make_job();
  cancelled_.reserve();
  job& next = *std::exchange(free_, free_->next_free);
  next.work = work;
  unfinished_.insert(next);
  next.now.store(job::state::queued, std::memory_order_relaxed);
  with_workers_.fetch_add(1, std::memory_order_relaxed);
  pool.submit(next);
}

bool job_board::cancel(std::uint64_t user_data) noexcept {
  bool here = false;
  unfinished_.for_each(user_data, [&](job& one) {
    here = true;
    auto expected = job::state::queued;
    if (!one.now.compare_exchange_strong(expected, job::state::cancelled)) return;
    unfinished_.erase(one);
    cancelled_.put({.user_data = user_data, .value = -ECANCELED, .flags = 0});
  });
  return here;
}

std::size_t job_board::reap(std::span<completion> batch) noexcept {
  std::size_t count = cancelled_.take(batch);
  while (count < batch.size()) {
    letter* mail = finished_.take();
    if (mail == nullptr) break;
    job& done = *static_cast<job*>(mail);
    if (done.now.exchange(job::state::free, std::memory_order_relaxed) != job::state::cancelled) {
      unfinished_.erase(done);
      cancelled_.release();
      batch[count++] = {.user_data = done.work.user_data, .value = done.value, .flags = 0};
    }
    done.next_free = std::exchange(free_, &done);
  }
  return count;
}

}  // namespace asyncfs::detail
