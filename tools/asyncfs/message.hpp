// What the tool says to people: one line on standard error for each thing that went wrong.
//
// Any thread. Names in it are to be quoted (quoting.hpp).
#pragma once

#include <atomic>
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
  [[nodiscard]] bool any_failure() const noexcept { return failed_.test(); }

 private:
  void line(std::string_view text);
  const std::string command_;
  const int fd_;
  std::atomic_flag failed_;
};

}  // namespace tool
