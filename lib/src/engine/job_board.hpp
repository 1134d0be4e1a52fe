// Requests that run on worker threads, and their completions on the way back to the engine that sent them.
//
// Loop thread only, but for the workers' own end of each job. A job is reused, so the steady state allocates nothing,
// and everything that its end may need is there when it is submitted.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include <asyncfs/detail/mailbox.hpp>
#include <asyncfs/engine.hpp>

#include "engine/completion_queue.hpp"
#include "engine/user_data_index.hpp"
#include "engine/worker_pool.hpp"

namespace asyncfs::detail {

class job_board {
 public:
  explicit job_board(engine& owner);
  job_board(const job_board&) = delete;
  job_board& operator=(const job_board&) = delete;
  // Waits for workers that still hold a job (one cancelled while it ran).
  ~job_board();

  // Throws std::bad_alloc, and then nothing was started.
  void submit(const request& work);
  // A job that no worker has begun completes as cancelled at once, in the order asked; one that runs ends by itself.
  // False: not here.
  bool cancel(std::uint64_t user_data) noexcept;
  [[nodiscard]] std::size_t reap(std::span<completion> batch) noexcept;
  [[nodiscard]] bool has_finished() const noexcept { return !finished_.empty() || !cancelled_.empty(); }

 private:
  struct job;
  void make_job();

  engine& owner_;
  mailbox finished_;
  std::vector<std::unique_ptr<job>> jobs_;
  job* free_ = nullptr;
  user_data_index<job> unfinished_;  // but for those cancelled
  completion_queue cancelled_;       // has room for every job that is unfinished
  std::atomic<std::size_t> with_workers_{0};
};

}  // namespace asyncfs::detail
