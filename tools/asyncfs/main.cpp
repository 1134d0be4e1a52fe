// The process: what it is given to work with, which command it runs, and how it ends.

#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>
#include <asyncfs/trace.hpp>

#include <cstdio>

#include "cli/completion.hpp"
#include "cli/help.hpp"
#include "cli/parser.hpp"
#include "command/registry.hpp"
#include "ending.hpp"
#include "message.hpp"
#include "pipeline/tree.hpp"
#include "quoting.hpp"

namespace tool {

namespace {

constexpr int status_of_misuse = 2;

// As many descriptors as may be had: files in flight and open directories need them.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// A descriptor that was closed by the caller must not become a file or a ring of ours, to which results are then written.
// Reading and writing these fails as on a closed one.
void occupy_standard_descriptors() {
  for (int fd = ::open("/dev/null", O_PATH | O_CLOEXEC); fd >= 0; fd = ::open("/dev/null", O_PATH | O_CLOEXEC)) {
    if (fd <= STDERR_FILENO) continue;
    ::close(fd);
    return;
  }
}

// Directory listings come and go by the thousand, made on one thread and freed on another: the heap must not give their
// memory back to the kernel each time, only to fault it in again.
void keep_freed_memory() {
  ::mallopt(M_TRIM_THRESHOLD, 64 << 20);
  ::mallopt(M_TOP_PAD, 1 << 20);
  ::mallopt(M_MMAP_THRESHOLD, 4 << 20);
}

int answer(const std::string& text) {
  messages say("asyncfs");
  return print(text, say) ? 0 : 1;
}

int answer(const misused& line) {
  const std::string name = line.command.empty() ? "asyncfs" : fmt::format("asyncfs {}", line.command);
  std::fputs(fmt::format("{}: {}\nTry '{} --help' for more information.\n", name, line.reason, name).c_str(), stderr);
  return status_of_misuse;
}

// Runs the command; where it is to be traced, its loops are.
int run_traced(const command_line& command, messages& say) {
  if (command.common == nullptr || command.common->trace.empty()) return command.run(say);
  asyncfs::trace_writer trace(command.common->trace);
  command.common->loop.observer = trace.observer();
  const int status = command.run(say);
  trace.finish();
  return status;
}

int run(const command_line& command) {
  occupy_standard_descriptors();
  raise_descriptor_limit();
  keep_freed_memory();
  ::signal(SIGPIPE, SIG_IGN);
  messages say(fmt::format("asyncfs {}", command.name));
  try {
    return run_traced(command, say);
  } catch (const interrupted& early) {
    die_of(early.signal);
  } catch (const wrong_usage& error) {
    return answer({command.name, error.what()});
  } catch (const std::exception& error) {
    say.failure(printable(error.what()));
    return command.status_of_failure;
  }
}

int run_command_line(int argc, char** argv) {
  const std::vector<command_line> commands = all_commands();
  const request asked = parse(argc, argv, commands);
  struct answers {
    const std::vector<command_line>& commands;
    int operator()(const command_line* command) const { return run(*command); }
    int operator()(const asks_for_help& help) const {
      return answer(help.of != nullptr ? help_of(*help.of, help.all) : help_of_tool(commands));
    }
    int operator()(const asks_for_version&) const { return answer("asyncfs " ASYNCFS_VERSION "\n"); }
    int operator()(const asks_for_completions& wanted) const { return answer(completions_for(wanted.shell, commands)); }
    int operator()(const misused& line) const { return answer(line); }
  };
  return std::visit(answers{commands}, asked);
}

}  // namespace

}  // namespace tool

int main(int argc, char** argv) {
  try {
    return tool::run_command_line(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "asyncfs: %s\n", error.what());
    return tool::status_of_misuse;
  }
}
