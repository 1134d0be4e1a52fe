// What the tool says to people: one line on standard error for each thing that went wrong.
//
// Any thread. Names in it are to be quoted (quoting.hpp).
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>

namespace tool {

class messages {
 public:
  explicit messages(std::string_view command, int fd = 2) : command_(command), fd_(fd) {}
  messages(const messages&) = delete;
  messages& operator=(const messages&) = delete;

  // "asyncfs copy: cannot open 'x' for reading: No such file or directory"; counts as a failure.
  void failure(std::string_view what, const std::error_code& why);
  void failure(std::string_view what);
  // Says something that is no failure.
  void note(std::string_view what);
  // From here on failures because something was cancelled count, and are not said: the user knows.
  void expect_cancelling() noexcept { cancelling_.store(true, std::memory_order_relaxed); }
  [[nodiscard]] bool any_failure() const noexcept { return failed_.test(); }

  // A line on a terminal that stands below all messages until it is replaced; empty: none. It must fit in a row there.
  void show_status(std::string_view text);

 private:
  void line(std::string_view text);
  void put(std::string_view text) const;
  const std::string command_;
  const int fd_;
  std::atomic_flag failed_;
  std::atomic<bool> cancelling_{false};
  std::mutex mutex_;
  std::string status_;
};

// Writes a text to standard output at once. False: that failed, and was said. Where nobody reads it, the process dies of
// SIGPIPE.
bool print(std::string_view text, messages& say);

}  // namespace tool
