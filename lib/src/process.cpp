#include <asyncfs/process.hpp>

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <asyncfs/directory.hpp>
#include <asyncfs/future.hpp>
#include <asyncfs/poll.hpp>
#include <asyncfs/when.hpp>

namespace asyncfs {

namespace {

exit_status status_from(const siginfo_t& info) noexcept {
  if (info.si_code == CLD_EXITED) return exit_status::exited_with(info.si_status);
  return exit_status::killed_by(info.si_status, info.si_code == CLD_DUMPED);
}

// waitid(2) without waiting: how the child ended, or nothing while it runs.
struct reap_kind {
  using value_type = std::optional<exit_status>;
  static constexpr opcode code = opcode::waitid;
  int pidfd;
  mutable siginfo_t info{};

  void prepare(request& slot) const noexcept {
    slot.fd = pidfd;
    slot.length = P_PIDFD;
    slot.offset = request::pointer(&info);
    slot.file_index = WEXITED | WNOHANG;
  }
  result<value_type> complete(const completion& event) const {
    if (event.value < 0) return failure(-event.value);
    return info.si_pid != 0 ? value_type(status_from(info)) : value_type();
  }
};

struct spawn_kind {
  using value_type = int;
  static constexpr opcode code = opcode::spawn;
  spawn_arguments* arguments;

  void prepare(request& slot) const noexcept { slot.address = request::pointer(arguments); }
  result<int> complete(const completion& event) const {
    if (event.value < 0) return failure(-event.value);
    return event.value;
  }
};

// Where no loop can do it in the background.
void kill_and_reap_here(int pidfd) noexcept {
  ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
  siginfo_t ignored;
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &ignored, WEXITED) < 0 && errno == EINTR) {
  }
}

task<exit_status> kill_and_wait(process& child) {
  const auto sent = co_await as_result(child.signal(SIGKILL));
  if (!sent && sent.error().value() != ESRCH) detail::throw_failure(sent.error(), "pidfd_send_signal");
  co_return co_await child.wait();
}

task<void> kill_and_reap(process& child) {
  try {
    co_await child.kill();
  } catch (const std::system_error&) {  // somebody else has reaped it
    child.detach();
  }
}

task<void> kill_and_reap(int pidfd, pid_t pid) {
  process orphan(pidfd, pid);
  co_await kill_and_reap(orphan);
}

// True: the loop of this thread does it, and has taken over the descriptor.
bool reaps_in_background(int pidfd, pid_t pid) noexcept {
  loop* const home = loop::current();
  if (home == nullptr) return false;
  try {
    // The future that is dropped here cancels nothing: killing is not to be cancelled.
    static_cast<void>(spawn(*home, kill_and_reap(pidfd, pid)));
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

// The strings as execve(2) takes them.
std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& one : strings) pointers.push_back(one.data());
  pointers.push_back(nullptr);
  return pointers;
}

// An end for the child's side of one stream; this side goes to whom it is for.
struct child_end {
  descriptor owned;
  int fd = -1;
};

child_end keep(int fd) { return {descriptor(fd), fd}; }

// The child reads from what this gives.
task<child_end> connect(child_stream how, pipe_writer& ours) {
  child_end end;
  end.fd = how.fd();
  if (how.kind() == child_stream::source::null) {
    file null = co_await here().open("/dev/null", O_RDONLY);
    end = keep(null.release());
  } else if (how.kind() == child_stream::source::pipe) {
    pipe_ends made = co_await open_pipe();
    ours = std::move(made.writer);
    end = keep(made.reader.release());
  }
  co_return end;
}

// The child writes to what this gives.
task<child_end> connect(child_stream how, pipe_reader& ours) {
  child_end end;
  end.fd = how.fd();
  if (how.kind() == child_stream::source::null) {
    file null = co_await here().open("/dev/null", O_WRONLY);
    end = keep(null.release());
  } else if (how.kind() == child_stream::source::pipe) {
    pipe_ends made = co_await open_pipe();
    ours = std::move(made.reader);
    end = keep(made.writer.release());
  }
  co_return end;
}

task<void> feed(pipe_writer& to, const std::string& text) {
  try {
    co_await write_all(to, std::as_bytes(std::span(text)));
  } catch (const std::system_error& error) {
    if (error.code().value() != EPIPE) throw;
  }
  co_await to.close();
}

task<void> take_in(const pipe_reader& from, std::string& text, std::size_t limit) {
  if (from) text = co_await read_to_end(from, limit);
}

}  // namespace

std::string exit_status::to_string() const {
  if (exited()) return "exit status " + std::to_string(code_);
  const char* const description = ::sigdescr_np(signal_);
  std::string text = "killed by signal " + std::to_string(signal_);
  if (description != nullptr) text.append(" (").append(description).append(")");
  if (dumped_core_) text += ", core dumped";
  return text;
}

// ---- process -------------------------------------------------------------------------------------------------------

process& process::operator=(process&& other) noexcept {
  if (this == &other) return *this;
  drop();
  input = std::move(other.input);
  output = std::move(other.output);
  error = std::move(other.error);
  pidfd_ = std::move(other.pidfd_);
  pid_ = other.pid_;
  status_ = other.status_;
  return *this;
}

process::~process() { drop(); }

void process::drop() noexcept {
  if (!pidfd_ || status_) return;
  if (reaps_in_background(pidfd_.fd(), pid_))
    static_cast<void>(pidfd_.release());
  else
    kill_and_reap_here(pidfd_.fd());
}

pid_t process::detach() noexcept {
  input = {};
  output = {};
  error = {};
  pidfd_.reset();
  status_.reset();
  return std::exchange(pid_, 0);
}

task<exit_status> process::wait() {
  while (!status_) {
    co_await poll(pidfd_.fd(), POLLIN);
    const auto ended = co_await as_result(operation(reap_kind{.pidfd = pidfd_.fd()}));
    if (!ended) detail::throw_failure(ended.error(), "waitid");
    status_ = *ended;
  }
  co_return *status_;
}

task<exit_status> process::kill() {
  cancel_scope own;  // nobody cancels it
  task<exit_status> work = kill_and_wait(*this);
  co_return co_await std::move(work).in(own);
}

// ---- starting and running ------------------------------------------------------------------------------------------

task<process> spawn_process(process_options options) {
  if (options.command.empty()) detail::throw_failure(failure(EINVAL).error(), "spawn_process: no program");
  const auto cut_short = [](const std::string& text) { return text.find('\0') != std::string::npos; };
  if (std::ranges::any_of(options.command, cut_short) || cut_short(options.directory) ||
      (options.environment && std::ranges::any_of(*options.environment, cut_short)))
    detail::throw_failure(failure(EINVAL).error(),
                          "spawn_process: a NUL would cut an argument, a variable or the directory short");
  std::vector<char*> command = pointers_to(options.command);
  std::vector<char*> environment;
  if (options.environment) environment = pointers_to(*options.environment);

  process child;
  const child_end input = co_await connect(options.input, child.input);
  const child_end output = co_await connect(options.output, child.output);
  const child_end error = co_await connect(options.error, child.error);
  directory start;
  if (!options.directory.empty()) {
    auto opened = co_await as_result(here().open_directory(options.directory.c_str(), 0));
    if (!opened) detail::throw_failure(opened.error(), "cannot start in '" + options.directory + "'");
    start = *std::move(opened);
  }
  spawn_arguments arguments{
      .program = command.front(),
      .arguments = command.data(),
      .environment = options.environment ? environment.data() : nullptr,
      .directory = options.directory.empty() ? -1 : start.fd(),
      .standard = {input.fd, output.fd, error.fd},
      .keep_descriptors = options.keep_descriptors,
      .process_group = options.process_group,
  };
  const auto started = co_await as_result(operation(spawn_kind{.arguments = &arguments}));
  if (!started) detail::throw_failure(started.error(), "cannot run '" + options.command.front() + "'");
  process running(*started, arguments.pid);
  running.input = std::move(child.input);
  running.output = std::move(child.output);
  running.error = std::move(child.error);
  co_return running;
}

task<process_outcome> run_process(process_options options, std::string input, std::size_t limit) {
  if (!input.empty()) options.input = child_stream::pipe();
  for (child_stream* stream : {&options.output, &options.error})
    if (stream->kind() == child_stream::source::inherit) *stream = child_stream::pipe();
  const bool feeds = options.input.kind() == child_stream::source::pipe;

  process child = co_await spawn_process(std::move(options));
  std::string output, error;
  std::exception_ptr failed;
  try {
    std::vector<task<void>> flows;
    if (feeds) flows.push_back(feed(child.input, input));
    flows.push_back(take_in(child.output, output, limit));
    flows.push_back(take_in(child.error, error, limit));
    co_await when_all(std::move(flows));
    co_await child.wait();
  } catch (...) {
    failed = std::current_exception();
  }
  if (failed) {
    co_await kill_and_reap(child);
    std::rethrow_exception(failed);
  }
  process_outcome outcome{.status = *child.status(), .output = std::move(output), .error = std::move(error)};
  co_return outcome;
}

}  // namespace asyncfs
