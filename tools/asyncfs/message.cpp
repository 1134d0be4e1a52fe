#include "message.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "ending.hpp"

namespace tool {

namespace {

constexpr std::string_view clear_row = "\r\x1b[K";

}  // namespace

// One call, so that lines stay whole among those of other programs.
void messages::put(std::string_view text) const {
  [[maybe_unused]] const auto written = ::write(fd_, text.data(), text.size());
}

void messages::line(std::string_view text) {
  const std::lock_guard lock(mutex_);
  if (status_.empty())
    put(fmt::format("{}: {}\n", command_, text));
  else
    put(fmt::format("{}{}: {}\n{}", clear_row, command_, text, status_));
}

void messages::show_status(std::string_view text) {
  const std::lock_guard lock(mutex_);
  if (!text.empty() || !status_.empty()) put(fmt::format("{}{}", clear_row, text));
  status_ = text;
}

void messages::failure(std::string_view what, const std::error_code& why) {
  if (why == std::errc::operation_canceled && cancelling_.load(std::memory_order_relaxed))
    failed_.test_and_set();
  else
    failure(fmt::format("{}: {}", what, why.message()));
}

void messages::failure(std::string_view what) {
  failed_.test_and_set();
  line(what);
}

void messages::note(std::string_view what) { line(what); }

bool print(std::string_view text, messages& say) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return true;
  if (errno == EPIPE) die_of(SIGPIPE);
  say.failure("cannot write to standard output", std::error_code(errno, std::system_category()));
  return false;
}

}  // namespace tool
