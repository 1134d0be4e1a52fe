#include "program.hpp"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace cli {

namespace {

constexpr unsigned nobody = 65534;

// As a container's default profile does.
bool forbid_io_uring() {
  sock_filter code[] = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_io_uring_setup},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
  };
  const sock_fprog filter{static_cast<unsigned short>(sizeof code / sizeof code[0]), code};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

void become(std::vector<std::string>& words, hardship how, const std::string& directory) {
  // Opened while it may be: the build need not lie where everybody can go.
  const int opened = ::open(words.front().c_str(), O_RDONLY | O_CLOEXEC);
  if (how == hardship::no_io_uring && !forbid_io_uring()) ::_exit(125);
  if (how == hardship::as_nobody && (::setgid(nobody) != 0 || ::setuid(nobody) != 0)) ::_exit(125);
  if (!directory.empty() && ::chdir(directory.c_str()) != 0) ::_exit(125);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  if (opened >= 0) ::fexecve(opened, arguments.data(), environ);
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

}  // namespace

outcome program(std::vector<std::string> words, hardship how, const std::string& directory) {
  int out[2], err[2];
  if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("fork");
  if (child == 0) {
    const int nothing = ::open("/dev/null", O_RDONLY);
    ::dup2(nothing, 0);
    ::dup2(out[1], 1);
    ::dup2(err[1], 2);
    become(words, how, directory);
  }
  ::close(out[1]);
  ::close(err[1]);
  outcome result;
  pollfd ends[2] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
  std::string* texts[2] = {&result.out, &result.err};
  for (int open = 2; open > 0;) {
    ::poll(ends, 2, -1);
    for (int i = 0; i < 2; ++i) {
      if (ends[i].fd < 0 || ends[i].revents == 0) continue;
      char piece[65536];
      const ssize_t got = ::read(ends[i].fd, piece, sizeof piece);
      if (got > 0) {
        texts[i]->append(piece, static_cast<std::size_t>(got));
      } else {
        ::close(ends[i].fd);
        ends[i].fd = -1;
        --open;
      }
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

outcome asyncfs(const std::vector<std::string>& words, hardship how, const std::string& directory) {
  std::vector<std::string> all{ASYNCFS_PROGRAM};
  all.insert(all.end(), words.begin(), words.end());
  return program(std::move(all), how, directory);
}

outcome shell(const std::string& command) { return program({"/bin/sh", "-c", command}); }

bool has_program(const std::string& name) { return shell("command -v " + name).status == 0; }

scratch::scratch() {
  std::string pattern = "/tmp/asyncfs-test-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
  path_ = pattern;
  ::chmod(path_.c_str(), 0755);
}

scratch::~scratch() { shell("rm -rf '" + path_ + "'"); }

std::string scratch::directory(const std::string& name) const {
  const std::string path = *this / name;
  std::filesystem::create_directories(path);
  return path;
}

std::string scratch::file(const std::string& name, const std::string& content) const {
  if (const auto slash = name.rfind('/'); slash != std::string::npos) directory(name.substr(0, slash));
  const std::string path = *this / name;
  std::FILE* made = std::fopen(path.c_str(), "wb");
  if (made == nullptr) throw std::runtime_error("cannot create " + path);
  std::fwrite(content.data(), 1, content.size(), made);
  std::fclose(made);
  return path;
}

}  // namespace cli
