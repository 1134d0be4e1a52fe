// What the tool says to people: one line on standard error for each thing that went wrong.
//
// Any thread. Names are quoted as GNU tools do, so that no byte of a file name reaches a terminal raw.
#pragma once

#include <atomic>
#include <string>
#include <string_view>
#include <system_error>

namespace tool {

// 'name', with unprintable bytes as in a shell: 'a'$'\n''b'.
[[nodiscard]] std::string shell_quoted(std::string_view name);

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
