// Runs a function in a child process, mostly one that is expected to die, and tells how it went.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

namespace tests {

struct last_words {
  int signal = 0;       // what killed the child; 0: it ended by itself
  int status = 0;       // with this status, then
  std::string message;  // what it wrote to stderr
};

template <class F>
last_words in_a_child(F fn) {
  int ends[2];
  if (::pipe(ends) != 0) return {.signal = 0, .status = -1, .message = "no pipe"};
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    ::alarm(20);
    std::signal(SIGABRT, SIG_DFL);
    fn();
    ::_exit(0);
  }
  ::close(ends[1]);
  last_words words;
  char piece[512];
  for (ssize_t n; (n = ::read(ends[0], piece, sizeof piece)) > 0;)
    words.message.append(piece, static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) words.signal = WTERMSIG(status);
  if (WIFEXITED(status)) words.status = WEXITSTATUS(status);
  return words;
}

}  // namespace tests
