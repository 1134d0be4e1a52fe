// Signals and child processes: the kernel's own.
#include "operations.hpp"

namespace matrix {

namespace {

using asyncfs::child_stream;

constexpr int used_signal = SIGUSR1;

// One that nobody waits for in the end does not kill the tests.
void ignore_escaped_signals() {
  std::signal(used_signal, [](int) {});
}

// The signal stays pending between two waits for it.
task<void> with_blocked_signal(subject& s) {
  ignore_escaped_signals();
  s.quiet.emplace(asyncfs::signal_set(used_signal));
  co_return;
}
task<void> with_watch(subject& s) {
  ignore_escaped_signals();
  s.watch.emplace(co_await asyncfs::watch_signals({used_signal}));
}
task<void> send_signal(subject&) {
  ::kill(::getpid(), used_signal);
  co_return;
}

// A child that ends when its input does.
task<void> with_child(subject& s) {
  asyncfs::process_options options("cat");
  options.input = child_stream::pipe();
  options.output = child_stream::null();
  s.child = co_await asyncfs::spawn_process(std::move(options));
}
task<void> end_its_input(subject& s) { co_await s.child.input.close(); }

task<outcome> spawn(subject&) {
  outcome how;
  asyncfs::process started;
  try {
    asyncfs::process_options options("true");
    options.output = child_stream::pipe();
    started = co_await asyncfs::spawn_process(std::move(options));
  } catch (const std::system_error& error) {
    how.error = error.code().value();
  }
  if (started) co_await started.kill();
  co_return how;
}
// It waits all the same for what was not really killed here.
int kills_what_runs(opcode code, int error) {
  return code == opcode::pidfd_send_signal && error == ESRCH ? own_rule : error;
}
int reads_again(opcode code, int error) { return code == opcode::read && error == EAGAIN ? own_rule : error; }
int child_need_not_read(opcode code, int error) { return code == opcode::write && error == EPIPE ? 0 : error; }

}  // namespace

std::vector<row> process_rows() {
  return {
      {.name = "watch_signals",
       .parts = {{opcode::signalfd}},
       .prepare = with_blocked_signal,
       .attempt = [](subject&) { return told(asyncfs::watch_signals({used_signal})); },
       .needs_kernel = true},
      {.name = "signal_watch.next",
       .parts = {{opcode::read}},
       .prepare = with_watch,
       .attempt = [](subject& s) { return told(s.watch->next()); },
       .end = ends::when_provided,
       .provide = send_signal,
       .needs_kernel = true,
       .becomes = reads_again},
      {.name = "wait_for_signal",
       .parts = {{opcode::signalfd}, {opcode::read}},
       .prepare = with_blocked_signal,
       .attempt = [](subject&) { return told(asyncfs::wait_for_signal({used_signal})); },
       .end = ends::when_provided,
       .provide = send_signal,
       .needs_kernel = true,
       .becomes = reads_again},
      {.name = "spawn_process",
       .parts = {{opcode::pipe}, {opcode::spawn}},
       .prepare = with_nothing,
       .attempt = spawn,
       .needs_kernel = true},
      {.name = "run_process",
       .parts = {{opcode::pipe},
                 {opcode::spawn},
                 {opcode::write, false},
                 {opcode::read, false},
                 {opcode::close, false},
                 {opcode::poll_add, false},
                 {opcode::waitid, false}},
       .prepare = with_nothing,
       .attempt = [](subject&) { return told(asyncfs::run_process({"cat"}, "text for the child")); },
       .needs_kernel = true,
       .becomes = child_need_not_read},
      {.name = "process.signal",
       .parts = {{opcode::pidfd_send_signal}},
       .prepare = with_child,
       .attempt = [](subject& s) { return told(s.child.signal(0)); },
       .needs_kernel = true},
      {.name = "process.wait",
       .parts = {{opcode::poll_add}, {opcode::waitid}},
       .prepare = with_child,
       .attempt = [](subject& s) { return told(s.child.wait()); },
       .happened = [](subject& s) -> task<bool> { co_return s.child.status().has_value(); },
       .end = ends::when_provided,
       .provide = end_its_input,
       .needs_kernel = true},
      {.name = "process.kill",
       .parts = {{opcode::pidfd_send_signal}, {opcode::poll_add, false}, {opcode::waitid, false}},
       .prepare = with_child,
       .attempt = [](subject& s) { return told(s.child.kill()); },
       .happened = [](subject& s) -> task<bool> { co_return s.child.status().has_value(); },
       .needs_kernel = true,
       .ends_despite_cancel = true,
       .becomes = kills_what_runs},
  };
}

}  // namespace matrix
