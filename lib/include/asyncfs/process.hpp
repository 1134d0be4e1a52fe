// Child processes: start one, talk to it through pipes, signal it, wait for its end.
//
//   auto listing = co_await asyncfs::run_process({"git", "status", "--short"});
//   if (listing.status.success()) print(listing.output);
//
//   asyncfs::process_options options{"sort", "-u"};
//   options.input = options.output = asyncfs::child_stream::pipe();
//   asyncfs::process sort = co_await asyncfs::spawn_process(std::move(options));
//
// Loop thread only. A child is held by a pidfd (pidfd_open(2), Linux 5.3; waiting for it 5.4), so a signal never reaches
// another process that was given the same number. It starts with no signal blocked, SIGPIPE at its default, and no
// descriptors but its standard ones.
//
// A process object owns its child: destroyed before `wait` gave its status, it kills the child with SIGKILL and reaps it
// (as other owners in this library cancel what they drop); the loop it is destroyed on sees to that in the background,
// and ends after it. `detach` lets the child go on alone.
//
// A program that ignores SIGCHLD, or waits for any child (wait(2)), takes the status away: ECHILD. Only the child itself
// is killed and waited for, not processes that it has started.
#pragma once

#include <sys/types.h>

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <asyncfs/pipe.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

// What a child's standard input, output or error is.
class child_stream {
 public:
  enum class source : std::uint8_t { inherit, null, pipe, given };

  // This process's own.
  [[nodiscard]] static child_stream inherit() noexcept { return {source::inherit, -1}; }
  // /dev/null.
  [[nodiscard]] static child_stream null() noexcept { return {source::null, -1}; }
  // A new pipe, whose other end the process object has.
  [[nodiscard]] static child_stream pipe() noexcept { return {source::pipe, -1}; }
  // A descriptor of the caller's, which stays the caller's and must be open until the child has started.
  [[nodiscard]] static child_stream from(int fd) noexcept { return {source::given, fd}; }

  child_stream() noexcept = default;
  [[nodiscard]] source kind() const noexcept { return kind_; }
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  child_stream(source what, int given) noexcept : kind_(what), fd_(given) {}
  source kind_ = source::inherit;
  int fd_ = -1;
};

struct process_options {
  using group = spawn_arguments::group;

  // The program, looked for in this process's PATH unless it has a slash, and its arguments.
  template <std::convertible_to<std::string_view>... Words>
    requires(sizeof...(Words) > 0)
  process_options(const Words&... words) : command{std::string(std::string_view(words))...} {}
  explicit process_options(std::vector<std::string> words) : command(std::move(words)) {}

  std::vector<std::string> command;
  std::optional<std::vector<std::string>> environment{};  // "NAME=value" each; nothing: this process's
  // A NUL in any string, which would cut it short, is refused with EINVAL.
  std::string directory{};  // where it starts, and a relative program is found; empty: here
  child_stream input, output, error;
  // `own`: a process group that it leads, out of reach of the terminal's Ctrl-C. `own_session`: without a terminal too.
  group process_group = group::same;
  bool keep_descriptors = false;  // those that are not close-on-exec stay open in the child
};

// How a child ended.
class exit_status {
 public:
  [[nodiscard]] static exit_status exited_with(int value) noexcept { return {value, 0, false}; }
  [[nodiscard]] static exit_status killed_by(int number, bool dumped) noexcept { return {0, number, dumped}; }

  [[nodiscard]] bool success() const noexcept { return exited() && code_ == 0; }
  [[nodiscard]] bool exited() const noexcept { return signal_ == 0; }
  [[nodiscard]] int code() const noexcept { return code_; }  // 0 to 255; of one that exited
  [[nodiscard]] bool signalled() const noexcept { return signal_ != 0; }
  [[nodiscard]] int signal() const noexcept { return signal_; }  // that killed it, or 0
  [[nodiscard]] bool dumped_core() const noexcept { return dumped_core_; }
  bool operator==(const exit_status&) const noexcept = default;
  // "exit status 3", "killed by signal 9 (Killed)".
  [[nodiscard]] std::string to_string() const;

 private:
  exit_status(int value, int number, bool dumped) noexcept : code_(value), signal_(number), dumped_core_(dumped) {}
  int code_, signal_;
  bool dumped_core_;
};

class process {
 public:
  process() noexcept = default;
  // Takes over a child of this process: a pidfd, and its number.
  process(int child, pid_t number) noexcept : pidfd_(child), pid_(number) {}
  process(process&& other) noexcept = default;
  process& operator=(process&& other) noexcept;
  ~process();

  // Whether it has a child, running or ended.
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(pidfd_); }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] int pidfd() const noexcept { return pidfd_.fd(); }
  // Once `wait` or `kill` has given it.
  [[nodiscard]] const std::optional<exit_status>& status() const noexcept { return status_; }

  // This side of those streams that are pipes; close `input` to let the child see its end.
  pipe_writer input;
  pipe_reader output, error;

  // pidfd_send_signal(2). ESRCH: it was reaped already.
  auto signal(int number) const noexcept {
    return detail::plain<opcode::pidfd_send_signal, void>(
        {.fd = pidfd_.fd(), .length = static_cast<std::uint32_t>(number)});
  }
  // Waits for its end and reaps it; again, gives the same. Cancelling leaves the child as it is, to be waited for again.
  // One task at a time; the object must stay where it is meanwhile. Waiting does not read its pipes: a child that fills
  // one waits for that too.
  [[nodiscard]] task<exit_status> wait();
  // SIGKILL, unless it has ended by itself, and waits for its end. Not to be cancelled: it does not take long.
  [[nodiscard]] task<exit_status> kill();
  // Gives the child up: it runs on, and is for the program to reap by its number, or becomes init's with the program's
  // end. Closes this side of its pipes.
  pid_t detach() noexcept;

 private:
  void drop() noexcept;
  descriptor pidfd_;
  pid_t pid_ = 0;
  std::optional<exit_status> status_;
};

// Starts a program. Throws std::system_error that names it (or the directory) when it cannot be executed; then there is
// no child. Cancelled before it began, it starts nothing; a child that started all the same is delivered.
[[nodiscard]] task<process> spawn_process(process_options options);

struct process_outcome {
  exit_status status;
  std::string output, error;
};

// Runs a program to its end: writes `input` to it if there is any, and takes in what it writes to its standard output and
// error, all at once. Streams that the options inherit are pipes here. Throws EFBIG when one of them exceeds `limit`;
// then, and when cancelled, the child is killed and reaped before this ends. A child that does not read all of its input
// is no error. Processes which it leaves behind with its streams open are waited for until they close them.
[[nodiscard]] task<process_outcome> run_process(process_options options, std::string input = {},
                                                std::size_t limit = std::size_t{1} << 30);

}  // namespace asyncfs
