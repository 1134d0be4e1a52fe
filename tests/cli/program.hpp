// Runs the built command line tool, and other programs beside it, as a user would.
#pragma once

#include <string>
#include <vector>

namespace cli {

struct outcome {
  int status = -1;  // exit status, or 128 + signal
  std::string out, err;
};

// What to do to the child before it becomes the program.
enum class hardship { none, no_io_uring /* a seccomp filter answers EPERM to io_uring_setup */, as_nobody };

// `words` are the tool's arguments, after its name.
outcome asyncfs(const std::vector<std::string>& words, hardship how = hardship::none,
                const std::string& directory = {});
outcome program(std::vector<std::string> words, hardship how = hardship::none, const std::string& directory = {});
// Through /bin/sh.
outcome shell(const std::string& command);
bool has_program(const std::string& name);

// A directory that is removed with all that is in it.
class scratch {
 public:
  scratch();
  ~scratch();
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  // Creates the file, and the directories above it.
  std::string file(const std::string& name, const std::string& content) const;
  std::string directory(const std::string& name) const;

 private:
  std::string path_;
};

inline const std::vector<std::string> engines = {"uring", "threads", "sync"};

}  // namespace cli
