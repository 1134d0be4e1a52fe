// The public headers against the table: what they declare is in it, and what errors they name are reached.
// GCC 12 takes <regex> for wrong once sanitisers are in it.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <asyncfs/nop.hpp>
#include <asyncfs/poll.hpp>
#include <asyncfs/testing/ring_faults.hpp>

#include <sys/wait.h>

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "cells.hpp"

using asyncfs::testing::ring_faults;

namespace matrix {

namespace {

std::map<std::string, std::string> public_headers() {
  std::map<std::string, std::string> headers;
  for (const auto& entry : std::filesystem::directory_iterator(ASYNCFS_HEADERS)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path());
    headers[entry.path().filename()] = std::string(std::istreambuf_iterator<char>(in), {});
  }
  return headers;
}

std::string without_comments(const std::string& text) { return std::regex_replace(text, std::regex("//[^\n]*"), ""); }

// Where the scope that is opened at `open` is closed.
std::size_t end_of_scope(const std::string& text, std::size_t open) {
  std::size_t depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) return i;
  }
  return text.size();
}

std::string without_details(std::string text) {
  const std::string begin = "namespace detail {";
  for (std::size_t at = 0; (at = text.find(begin, at)) != std::string::npos;)
    text.erase(at, end_of_scope(text, at) + 1 - at);
  return text;
}

// The names of what can be awaited, as declared: functions that give an operation, a task, or something to await.
std::set<std::string> awaitables_in(const std::string& header) {
  const std::string text = without_details(without_comments(header));
  struct enclosing {
    std::string name;
    std::size_t end;
  };
  std::vector<enclosing> classes;
  std::set<std::string> names;
  const std::regex opening("(?:^|\n)[^\n(;]*\\b(?:class|struct) (?:\\[\\[[^\n]*\\]\\] )?([a-z_:]+)[^;{(]*\\{");
  const std::regex function(
      "(?:\\bauto|\\btask<[^;{}=()]*(?:\\([^()]*\\)[^;{}=()]*)*>|\\b[a-z_:]+_(?:operation|awaiter)|\\bwaiter)\\s+"
      "([a-z_]+)\\(");
  std::map<std::size_t, std::string> scopes, functions;
  for (std::sregex_iterator m(text.begin(), text.end(), opening), end; m != end; ++m)
    scopes[static_cast<std::size_t>(m->position() + m->length() - 1)] = (*m)[1];
  for (std::sregex_iterator m(text.begin(), text.end(), function), end; m != end; ++m)
    functions[static_cast<std::size_t>(m->position())] = (*m)[1];
  for (const auto& [position, name] : functions) {
    std::string within;
    for (const auto& [open, scope] : scopes)
      if (open < position && end_of_scope(text, open) > position) within += scope + ".";
    if (name != "operator") names.insert(within + name);
  }
  return names;
}

// Declared, and no rows of their own, with the reason.
const std::map<std::string, std::string>& no_rows() {
  static const std::map<std::string, std::string> names{
      {"as_result", "the same operation, awaited otherwise"},
      {"as_task", "the same awaitable as a task"},
      {"task.in", "the same task in another scope"},
      {"future.then", "futures that follow a future"},
      {"future.on_error", "futures that follow a future"},
      {"future.finally", "futures that follow a future"},
      {"all", "when_all of futures"},
      {"all_settled", "when_all_settled of futures"},
      {"any", "when_any of futures"},
      {"spawn", "begins what is awaited as a future"},
      {"for_each_concurrent", "runs the caller's tasks"},
      {"event_count.after", "not cancelled by its scope"},
      {"copy_observer.copied", "the caller's own, which copy_file awaits"},
      {"walk.drive", "run beside walk.next"},
      {"walk.list", "private"},
      {"walk.list_roots", "private"},
      {"walk.ask_types", "private"},
      {"walk.identify", "private"},
  };
  return names;
}

std::set<std::string> names_in_table() {
  std::set<std::string> names;
  for (const row& one : all_rows()) names.emplace(one.name);
  return names;
}

// ---- errors that the headers name ----------------------------------------------------------------------------------

struct errno_name {
  const char* name;
  int value;
};
constexpr std::array<errno_name, 4> conditions = {
    {{"operation_canceled", ECANCELED}, {"timed_out", ETIMEDOUT}, {"broken_pipe", EPIPE}, {"no_such_process", ESRCH}}};

// The errors that a header names, by their number in the system or their name in std::errc.
std::set<std::string> errors_in(const std::string& header) {
  std::set<std::string> names;
  const std::regex mention("\\b(E[A-Z0-9]{3,})\\b|\\berrc::([a-z_]+)");
  for (std::sregex_iterator m(header.begin(), header.end(), mention), end; m != end; ++m) {
    std::string name = (*m)[1].matched ? (*m)[1].str() : "errc::" + (*m)[2].str();
    for (const errno_name& one : conditions)
      if (name == std::string("errc::") + one.name) name = ::strerrorname_np(one.value);
    names.insert(name);
  }
  return names;
}

template <class Kind>
task<int> error_of(asyncfs::operation<Kind> op) {
  const outcome how = co_await told(std::move(op));
  co_return how.error;
}
template <asyncfs::awaitable A>
task<int> error_of(A what) {
  const outcome how = co_await told(std::move(what));
  co_return how.error;
}
// Cancelled while it waits.
template <asyncfs::awaitable A>
task<int> error_when_cancelled(place& at, A what) {
  const asyncfs::task_context here = co_await asyncfs::this_task;
  asyncfs::cancel_scope scope(&here.scope);
  asyncfs::task<int> waiting = error_of(std::move(what));
  const auto cancel_later = [](asyncfs::cancel_scope& of) -> task<void> {
    co_await asyncfs::nop();
    of.cancel();
  };
  asyncfs::future<void> cancelling = asyncfs::spawn(at.home, cancel_later(scope));
  const int error = co_await std::move(waiting).in(scope);
  co_await std::move(cancelling);
  co_return error;
}
template <asyncfs::awaitable A>
task<int> error_when_cancelled_before(A what) {
  const asyncfs::task_context here = co_await asyncfs::this_task;
  asyncfs::cancel_scope scope(&here.scope);
  scope.cancel();
  asyncfs::task<int> work = error_of(std::move(what));
  co_return co_await std::move(work).in(scope);
}

task<int> two_files_fail_to_clone(place& at, ring_faults& faults, int error) {
  const asyncfs::file from = co_await at.dir.create("from", O_RDWR, 0600);
  const asyncfs::file to = co_await at.dir.create("to", O_RDWR, 0600);
  faults.fail(1, opcode::ficlone, error);
  co_return co_await error_of(from.clone_to(to));
}
task<int> writes_to_no_reader(place& at) {
  const auto ends = at.make_pipe();
  {
    const asyncfs::pipe_reader gone(ends.first);
  }
  const asyncfs::pipe_writer writer(ends.second);
  co_return co_await error_of(writer.write(tests::bytes_of("x")));
}
task<int> reads_past_limit(place& at) {
  const auto ends = at.make_pipe();
  const asyncfs::pipe_reader reader(ends.first);
  asyncfs::pipe_writer writer(ends.second);
  co_await asyncfs::write_all(writer, tests::bytes_of("too much"));
  co_await writer.close();
  co_return co_await error_of(asyncfs::read_to_end(reader, 4));
}
task<asyncfs::process> start(const char* program) {
  asyncfs::process_options options(program);
  options.output = asyncfs::child_stream::null();
  co_return co_await asyncfs::spawn_process(std::move(options));
}
// Somebody else takes its status.
task<int> waits_for_a_reaped_child(place&) {
  asyncfs::process child = co_await start("true");
  ::waitpid(child.pid(), nullptr, 0);
  const int error = co_await error_of(child.wait());
  child.detach();
  co_return error;
}
task<int> signals_a_reaped_child(place&) {
  asyncfs::process child = co_await start("true");
  ::waitpid(child.pid(), nullptr, 0);
  const int error = co_await error_of(child.signal(SIGTERM));
  child.detach();
  co_return error;
}
template <class T>
int error_in(const asyncfs::result<T>& r) {
  return r ? 0 : r.error().value();
}

// What a walk that follows links says of one.
task<int> follows_a_link(place& at, const char* directory, const char* target) {
  co_await at.dir.make_directory(directory, 0700);
  const std::string root = at.path + "/" + directory, link = std::string(directory) + "/link";
  co_await at.dir.symlink(target, link.c_str());
  asyncfs::walk tree({asyncfs::walk_root{.path = root}}, {.follow = true});
  const auto take = [](asyncfs::walk& from) -> task<int> {
    const auto entry = co_await from.next();
    co_return entry ? entry->error.value() : 0;
  };
  const auto done = co_await asyncfs::when_all(tree.drive(), take(tree));
  co_return std::get<1>(done);
}

struct named_error {
  const char* header;
  const char* error;
  task<int> (*reach)(place&, ring_faults&);
  bool needs_kernel = false;
};

const std::vector<named_error>& named_errors() {
  static const std::vector<named_error> all{
      {"channel.hpp", "EPIPE",
       [](place&, ring_faults&) -> task<int> {
         asyncfs::channel<int> closed(1);
         closed.close();
         co_return co_await error_of(closed.send(1));
       }},
      {"channel.hpp", "ECANCELED",
       [](place& at, ring_faults&) -> task<int> {
         asyncfs::channel<int> empty(1);
         co_return co_await error_when_cancelled(at, empty.receive());
       }},
      {"directory.hpp", "EAGAIN",
       [](place& at, ring_faults& faults) -> task<int> {
         std::array<std::byte, 512> bytes;
         asyncfs::list_arguments list{.buffer = bytes.data(), .capacity = bytes.size()};
         faults.fail(1, opcode::list_directory, EAGAIN);  // not in the cache
         co_return co_await error_of(at.dir.list(".", list, {.only_if_cached = true}));
       }},
      {"directory.hpp", "EXDEV",
       [](place& at, ring_faults&) -> task<int> {
         co_return co_await error_of(at.dir.open_resolved("..", O_RDONLY | O_DIRECTORY, RESOLVE_BENEATH));
       }},
      {"event.hpp", "ECANCELED",
       [](place& at, ring_faults&) -> task<int> {
         asyncfs::event never;
         co_return co_await error_when_cancelled(at, never.wait());
       }},
      {"file.hpp", "EAGAIN",
       [](place& at, ring_faults& faults) -> task<int> {
         const asyncfs::file some = co_await at.dir.create("some", O_RDWR, 0600);
         std::array<std::byte, 512> bytes;
         faults.fail(1, opcode::read, EAGAIN);  // not in the cache
         co_return co_await error_of(some.read_cached_at(bytes, 0));
       }},
      {"file.hpp", "EINVAL", [](place& at, ring_faults& f) { return two_files_fail_to_clone(at, f, EINVAL); }},
      {"file.hpp", "EXDEV", [](place& at, ring_faults& f) { return two_files_fail_to_clone(at, f, EXDEV); }},
      {"file.hpp", "EOPNOTSUPP", [](place& at, ring_faults& f) { return two_files_fail_to_clone(at, f, EOPNOTSUPP); }},
      {"file.hpp", "ENXIO",
       [](place& at, ring_faults&) -> task<int> {
         const asyncfs::file empty = co_await at.dir.create("empty", O_RDWR, 0600);
         co_return co_await error_of(empty.next_data(0));
       }},
      {"files.hpp", "EFBIG",
       [](place& at, ring_faults&) -> task<int> {
         co_await asyncfs::write_file(at.dir, "large", "too much");
         co_return co_await error_of(asyncfs::read_file(at.dir, "large", 4));
       }},
      {"files.hpp", "ENOSPC",
       [](place& at, ring_faults& faults) -> task<int> {
         const asyncfs::file full = co_await at.dir.create("full", O_RDWR, 0600);
         faults.answer(1, opcode::write, 0);  // the device takes nothing
         co_return co_await error_of(asyncfs::write_all_at(full, tests::bytes_of("x"), 0));
       }},
      {"for_each.hpp", "ECANCELED",
       [](place& at, ring_faults&) -> task<int> {
         std::vector<int> items{1, 2};
         const auto visit = [](int) -> task<void> { co_await asyncfs::sleep_for(std::chrono::hours(1)); };
         co_return co_await error_when_cancelled(at, asyncfs::for_each_concurrent(items, 1, visit));
       }},
      {"future.hpp", "ECANCELED",
       [](place& at, ring_faults&) -> task<int> {
         asyncfs::future<void> sleeping = asyncfs::spawn(at.home, asyncfs::sleep_for(std::chrono::hours(1)));
         co_return co_await error_when_cancelled(at, std::move(sleeping));
       }},
      {"nop.hpp", "ECANCELED", [](place&, ring_faults&) { return error_when_cancelled_before(asyncfs::nop()); }},
      {"offload.hpp", "ECANCELED",
       [](place&, ring_faults&) { return error_when_cancelled_before(asyncfs::offload([] {})); }},
      {"pipe.hpp", "EFBIG", [](place& at, ring_faults&) { return reads_past_limit(at); }},
      {"pipe.hpp", "EPIPE", [](place& at, ring_faults&) { return writes_to_no_reader(at); }},
      {"pipe.hpp", "EMFILE",
       [](place&, ring_faults& faults) -> task<int> {
         faults.fail(1, opcode::pipe, EMFILE);
         co_return co_await error_of(asyncfs::open_pipe());
       }},
      {"pipe.hpp", "ENFILE",
       [](place&, ring_faults& faults) -> task<int> {
         faults.fail(1, opcode::pipe, ENFILE);
         co_return co_await error_of(asyncfs::open_pipe());
       }},
      {"poll.hpp", "EBADF",
       [](place& at, ring_faults&) { return error_of(asyncfs::poll(at.closed_number(), POLLIN)); }},
      {"poll.hpp", "EINVAL",
       [](place& at, ring_faults&) -> task<int> {
         const asyncfs::file regular = co_await at.dir.create("regular", O_RDWR, 0600);
         co_return co_await error_of(asyncfs::poll(regular.fd(), POLLPRI));
       }},
      {"process.hpp", "ECHILD", [](place& at, ring_faults&) { return waits_for_a_reaped_child(at); }, true},
      {"process.hpp", "ESRCH", [](place& at, ring_faults&) { return signals_a_reaped_child(at); }, true},
      {"process.hpp", "EINVAL",
       [](place&, ring_faults&) { return error_of(asyncfs::run_process({std::string("a\0b", 3)})); }},
      {"process.hpp", "EFBIG",
       [](place&, ring_faults&) { return error_of(asyncfs::run_process({"echo", "too much"}, "", 4)); }, true},
      {"scope.hpp", "ECANCELED",
       [](place& at, ring_faults&) -> task<int> {
         asyncfs::event never;
         const auto body = [&never](asyncfs::scope& inside) -> task<void> {
           inside.spawn(asyncfs::as_task(never.wait()));
           co_return;
         };
         co_return co_await error_when_cancelled(at, asyncfs::in_scope(body));
       }},
      {"semaphore.hpp", "ECANCELED",
       [](place& at, ring_faults&) -> task<int> {
         asyncfs::semaphore none(0);
         co_return co_await error_when_cancelled(at, none.acquire());
       }},
      {"signal.hpp", "EINVAL",
       [](place&, ring_faults&) -> task<int> {
         try {
           static_cast<void>(asyncfs::signal_set(SIGKILL));
         } catch (const std::system_error& error) {
           co_return error.code().value();
         }
         co_return 0;
       }},
      {"signal.hpp", "EMFILE",
       [](place&, ring_faults& faults) -> task<int> {
         faults.fail(1, opcode::signalfd, EMFILE);
         co_return co_await error_of(asyncfs::watch_signals({SIGUSR2}));
       }},
      {"signal.hpp", "ENFILE",
       [](place&, ring_faults& faults) -> task<int> {
         faults.fail(1, opcode::signalfd, ENFILE);
         co_return co_await error_of(asyncfs::watch_signals({SIGUSR2}));
       }},
      {"socket.hpp", "EINVAL",
       [](place&, ring_faults&) -> task<int> { co_return error_in(asyncfs::endpoint::ip("nowhere", 1)); }},
      {"socket.hpp", "ENAMETOOLONG",
       [](place&, ring_faults&) -> task<int> {
         co_return error_in(asyncfs::endpoint::unix_path(std::string(108, 'x')));
       }},
      {"timer.hpp", "ETIMEDOUT",
       [](place&, ring_faults&) -> task<int> {
         asyncfs::event never;
         co_return co_await error_of(asyncfs::with_timeout(never.wait(), std::chrono::microseconds(10)));
       }},
      {"timer.hpp", "ECANCELED",
       [](place& at, ring_faults&) { return error_when_cancelled(at, asyncfs::sleep_for(std::chrono::hours(1))); }},
      {"trace.hpp", "EEXIST",
       [](place&, ring_faults&) -> task<int> {
         const tests::temporary_directory own;
         const std::string taken = own.path() + "/taken";
         std::ofstream(taken) << "no trace";
         try {
           const asyncfs::trace_writer over_it(taken);
         } catch (const std::system_error& error) {
           co_return error.code().value();
         }
         co_return 0;
       }},
      {"walk.hpp", "ENOENT", [](place& at, ring_faults&) { return follows_a_link(at, "gone", "nowhere"); }},
      {"walk.hpp", "ELOOP", [](place& at, ring_faults&) { return follows_a_link(at, "back", "."); }},
      {"walk.hpp", "ECANCELED",
       [](place& at, ring_faults&) -> task<int> {
         asyncfs::walk nobody_drives({asyncfs::walk_root{.path = "."}}, {});
         co_return co_await error_when_cancelled(at, nobody_drives.next());
       }},
      {"when.hpp", "ECANCELED",
       [](place& at, ring_faults&) -> task<int> {
         asyncfs::event never;
         co_return co_await error_when_cancelled(at, asyncfs::when_any(never.wait(), never.wait()));
       }},
  };
  return all;
}

// These describe the seam to engines and what is inside, not what an operation of a user ends with.
bool is_about_operations(const std::string& header) {
  return header != "engine.hpp" && header != "loop.hpp" && header != "request.hpp" && header != "result.hpp";
}

int value_of(std::string_view name) {
  for (int error = 1; error <= EHWPOISON; ++error) {
    const char* const known = ::strerrorname_np(error);
    if (known != nullptr && name == known) return error;
  }
  return name == "EOPNOTSUPP" ? EOPNOTSUPP : 0;
}

task<void> reaches_every_named_error(place& at, ring_faults& faults) {
  for (const named_error& one : named_errors()) {
    INFO(one.error << ", named in " << one.header);
    if (one.needs_kernel && at.left_out_in_memory("children")) continue;
    const int error = co_await one.reach(at, faults);
    faults.clear();
    CHECK(error == value_of(one.error));
  }
}

}  // namespace

TEST_CASE("every opcode that the public headers name is in the table, or says why not") {
  std::set<std::string> tried;
  for (const row& one : all_rows())
    for (const part& of : one.parts) tried.emplace(asyncfs::describe(of.code).name);
  const std::set<std::string> no_requests{
      "timeout",     // timers are the loop's own
      "futex_wait",  // and so are waits for other tasks
  };
  for (const auto& [header, text] : public_headers()) {
    if (header == "opcode.hpp" || header == "request.hpp" || header == "engine.hpp") continue;
    const std::regex mention("\\bopcode::([a-z_0-9]+)");
    for (std::sregex_iterator m(text.begin(), text.end(), mention), end; m != end; ++m) {
      const std::string name = (*m)[1];
      INFO(header << " names opcode::" << name << ", and no row of tests/matrix has it as a part");
      CHECK((tried.contains(name) || no_requests.contains(name)));
    }
  }
}

TEST_CASE("everything that the public headers give to be awaited is in the table, or says why not") {
  const std::set<std::string> known = names_in_table();
  std::set<std::string> declared;
  for (const auto& [header, text] : public_headers())
    for (const std::string& name : awaitables_in(text)) {
      INFO(header << " declares " << name << ", which has no row in tests/matrix");
      CHECK((known.contains(name) || no_rows().contains(name)));
      declared.insert(name);
    }
  // The other way round: what the reader of headers does not find any more, it would not miss either.
  for (const std::string& name : known) {
    INFO(name << " is a row, and was not found in the headers");
    CHECK((declared.contains(name) || name == "future"));
  }
}

TEST_CASE("every error that the public headers name is reached, on every engine") {
  ring_faults faults;
  for_every_engine([&](place& at) { return reaches_every_named_error(at, faults); }, {},
                   faults.on(asyncfs::engine_options()).faults);
}

TEST_CASE("an error that a public header comes to name has a test that reaches it") {
  std::set<std::pair<std::string, std::string>> reached;
  for (const named_error& one : named_errors()) reached.emplace(one.header, one.error);
  std::size_t found = 0;
  for (const auto& [header, text] : public_headers()) {
    if (!is_about_operations(header)) continue;
    for (const std::string& error : errors_in(text)) {
      INFO(header << " names " << error << ", which nothing in tests/matrix/headers.cpp reaches");
      CHECK(reached.contains({header, error}));
      ++found;
    }
  }
  CHECK(found == reached.size());
}

}  // namespace matrix
