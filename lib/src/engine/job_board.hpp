// Requests that run on worker threads, and their completions on the way back to the engine that sent them.
//
// Loop thread only, but for the workers' own end of each job. A job is reused, so the steady state allocates nothing.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include <asyncfs/detail/mailbox.hpp>
#include <asyncfs/engine.hpp>

#include "engine/worker_pool.hpp"

namespace asyncfs::detail {

class job_board {
 public:
  explicit job_board(engine& owner);
  job_board(const job_board&) = delete;
  job_board& operator=(const job_board&) = delete;
  // Waits for workers that still hold a job (one cancelled while it ran).
  ~job_board();

  void submit(const request& work);
  // A job that no worker has begun completes as cancelled at once; one that runs ends by itself. False: not here.
  bool cancel(std::uint64_t user_data) noexcept;
  std::size_t reap(std::span<completion> batch) noexcept;
  [[nodiscard]] bool has_finished() const noexcept { return !finished_.empty() || !cancelled_.empty(); }

 private:
  struct job;
  engine& owner_;
  mailbox finished_;
  std::vector<std::unique_ptr<job>> jobs_;
  job* free_ = nullptr;
  std::vector<completion> cancelled_;
  std::atomic<std::size_t> with_workers_{0};
};

}  // namespace asyncfs::detail
