// Child processes.
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "../support/engines.hpp"

using asyncfs::child_stream;
using asyncfs::exit_status;
using asyncfs::process;
using asyncfs::process_options;
using asyncfs::process_outcome;
using asyncfs::task;
using tests::bytes_of;
using tests::fails;
using tests::gives;
using tests::on_every_kernel_engine;
using tests::on_every_real_engine;  // where children take their real time
using tests::place;
using tests::works;
using namespace std::chrono_literals;

namespace {

// Every child was reaped.
bool no_children() { return ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

process_options shell(std::string_view script) { return {"sh", "-c", script}; }

struct failed {
  int error = 0;
  std::string message;
};
template <class T>
task<failed> failure_of(task<T> work) {
  failed seen;
  try {
    co_await std::move(work);
  } catch (const std::system_error& error) {
    seen = {error.code().value(), error.what()};
  }
  co_return seen;
}

template <class T>
task<void> note_failure(task<T> work, int& error) {
  const failed seen = co_await failure_of(std::move(work));
  error = seen.error;
}

task<void> until_noted(const int& error) {
  for (int i = 0; i < 5000 && error == -1; ++i) co_await asyncfs::sleep_for(1ms);
}

// A child that runs until it is killed, and says so first.
task<process> endless_child() {
  process_options options = shell("echo ready; exec cat");
  options.input = child_stream::pipe();
  options.output = child_stream::pipe();
  process child = co_await asyncfs::spawn_process(std::move(options));
  std::array<std::byte, 16> word;
  co_await gives(child.output.read(word), 6u);
  co_return child;
}

}  // namespace

TEST_CASE("a program runs, and its exit status, output and errors are told") {
  on_every_kernel_engine([](place&) -> task<void> {
    const process_outcome outcome = co_await asyncfs::run_process({"sh", "-c", "echo out; echo err >&2; exit 3"});
    CHECK(outcome.status.exited());
    CHECK_FALSE(outcome.status.success());
    CHECK(outcome.status.code() == 3);
    CHECK(outcome.status.to_string() == "exit status 3");
    CHECK(outcome.output == "out\n");
    CHECK(outcome.error == "err\n");
    const process_outcome good = co_await asyncfs::run_process({"true"});
    CHECK(good.status.success());
    CHECK(good.output.empty());
  });
  CHECK(no_children());
}

TEST_CASE("a child that was killed by a signal tells which") {
  on_every_kernel_engine([](place&) -> task<void> {
    process child = co_await endless_child();
    co_await works(child.signal(0));
    co_await works(child.signal(SIGTERM));
    const exit_status status = co_await child.wait();
    CHECK(status.signalled());
    CHECK_FALSE(status.exited());
    CHECK_FALSE(status.success());
    CHECK(status.signal() == SIGTERM);
    CHECK(status.to_string() == "killed by signal 15 (Terminated)");
    CHECK(child.status() == status);
    const exit_status again = co_await child.wait();
    CHECK(again == status);
    co_await fails(child.signal(SIGTERM), ESRCH);
    const exit_status dead = co_await child.kill();
    CHECK(dead == status);
  });
  CHECK(no_children());
}

TEST_CASE("what is written to a child's input comes back from its output, and it sees the end") {
  on_every_kernel_engine([](place&) -> task<void> {
    process_options options{"cat"};
    options.input = child_stream::pipe();
    options.output = child_stream::pipe();
    process child = co_await asyncfs::spawn_process(std::move(options));
    CHECK(child);
    CHECK(child.pid() > 0);
    CHECK((::fcntl(child.pidfd(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK_FALSE(child.error);
    std::array<std::byte, 16> buffer;
    co_await gives(child.input.write(bytes_of("ping")), 4u);
    co_await gives(child.output.read(buffer), 4u);
    co_await works(child.input.close());
    co_await gives(child.output.read(buffer), 0u);
    const exit_status status = co_await child.wait();
    CHECK(status.success());
  });
  CHECK(no_children());
}

TEST_CASE("much more than pipes hold goes in and comes out on both streams at once") {
  on_every_kernel_engine([](place&) -> task<void> {
    std::string input(3u << 20, '\0');
    for (std::size_t i = 0; i < input.size(); ++i) input[i] = static_cast<char>(i * 7 + i / 4096);
    const std::string expected = input;
    const process_outcome outcome = co_await asyncfs::run_process(shell("tee /dev/stderr"), std::move(input));
    CHECK(outcome.status.success());
    CHECK(outcome.output == expected);
    CHECK(outcome.error == expected);
  });
  CHECK(no_children());
}

TEST_CASE("a child that does not read its input is no error") {
  on_every_kernel_engine([](place&) -> task<void> {
    const process_outcome outcome = co_await asyncfs::run_process(shell("exit 4"), std::string(1u << 20, 'x'));
    CHECK(outcome.status == exit_status::exited_with(4));
  });
  CHECK(no_children());
}

TEST_CASE("a child that writes more than the limit is killed") {
  on_every_kernel_engine([](place&) -> task<void> {
    const failed too_much = co_await failure_of(asyncfs::run_process({"yes"}, {}, 1000));
    CHECK(too_much.error == EFBIG);
    CHECK(no_children());
  });
}

TEST_CASE("a program that cannot be executed is an error that names it, and there is no child") {
  on_every_kernel_engine([](place& at) -> task<void> {
    const failed missing = co_await failure_of(asyncfs::spawn_process({"no-such-program-anywhere"}));
    CHECK(missing.error == ENOENT);
    CHECK(missing.message.find("'no-such-program-anywhere'") != std::string::npos);
    const std::string plain = at.path + "/plain";
    std::ofstream(plain) << "not a program";
    const failed refused = co_await failure_of(asyncfs::spawn_process({plain}));
    CHECK(refused.error == EACCES);
    CHECK(refused.message.find(plain) != std::string::npos);
    ::chmod(plain.c_str(), 0700);
    const failed senseless = co_await failure_of(asyncfs::spawn_process({plain}));
    CHECK(senseless.error == ENOEXEC);
    process_options nowhere = shell("true");
    nowhere.directory = at.path + "/missing";
    const failed lost = co_await failure_of(asyncfs::spawn_process(std::move(nowhere)));
    CHECK(lost.error == ENOENT);
    CHECK(lost.message.find(at.path + "/missing") != std::string::npos);
    const failed nothing = co_await failure_of(asyncfs::spawn_process(process_options(std::vector<std::string>())));
    CHECK(nothing.error == EINVAL);
    CHECK(no_children());
  });
}

TEST_CASE("a child starts where it is told, with the environment it is given and nothing else") {
  on_every_kernel_engine([](place& at) -> task<void> {
    process_options options = shell("pwd; echo $WORD; echo ${HOME-none}");
    options.directory = at.path;
    options.environment = {"WORD=hello there", "PATH=/usr/bin:/bin"};
    const process_outcome outcome = co_await asyncfs::run_process(std::move(options));
    CHECK(outcome.output == std::filesystem::canonical(at.path).string() + "\nhello there\nnone\n");
    ::setenv("ASYNCFS_TEST_WORD", "inherited", 1);
    const process_outcome heir = co_await asyncfs::run_process(shell("echo $ASYNCFS_TEST_WORD"));
    ::unsetenv("ASYNCFS_TEST_WORD");
    CHECK(heir.output == "inherited\n");
  });
}

TEST_CASE("a child's streams can be files of the caller's, the null device, or each other's") {
  on_every_kernel_engine([](place& at) -> task<void> {
    const std::string path = at.path + "/log";
    {
      const asyncfs::file log(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
      process_options options = shell("cat; echo out; echo err >&2");
      options.input = child_stream::null();
      options.output = child_stream::from(log.fd());
      options.error = child_stream::from(log.fd());
      process child = co_await asyncfs::spawn_process(std::move(options));
      const exit_status status = co_await child.wait();
      CHECK(status.success());
    }
    const std::string logged = co_await asyncfs::read_file(path.c_str());
    CHECK(logged == "out\nerr\n");
    // Standard output and error changed places: neither is overwritten before it was used.
    const asyncfs::descriptor out_before(::dup(1)), err_before(::dup(2));
    asyncfs::pipe_ends ones = co_await asyncfs::open_pipe();
    asyncfs::pipe_ends twos = co_await asyncfs::open_pipe();
    process_options swapped = shell("echo to-one; echo to-two >&2");
    swapped.output = child_stream::from(2);
    swapped.error = child_stream::from(1);
    ::dup2(ones.writer.fd(), 1);
    ::dup2(twos.writer.fd(), 2);
    process child = co_await asyncfs::spawn_process(std::move(swapped));
    ::dup2(out_before.fd(), 1);
    ::dup2(err_before.fd(), 2);
    co_await child.wait();
    co_await works(ones.writer.close());
    co_await works(twos.writer.close());
    const std::string on_one = co_await asyncfs::read_to_end(ones.reader);
    const std::string on_two = co_await asyncfs::read_to_end(twos.reader);
    CHECK(on_one == "to-two\n");
    CHECK(on_two == "to-one\n");
  });
}

TEST_CASE("a child has no descriptors but its own, no blocked signals, and dies of SIGPIPE like any program") {
  on_every_kernel_engine([](place&) -> task<void> {
    const asyncfs::descriptor leaky(::open("/dev/null", O_RDONLY));  // not close-on-exec
    const asyncfs::signal_block block({SIGUSR1, SIGTERM});
    const process_outcome listed = co_await asyncfs::run_process({"ls", "/proc/self/fd"});
    CHECK(listed.output == "0\n1\n2\n3\n");  // 3 is the directory that it lists
    process_options kept{"ls", "/proc/self/fd"};
    kept.keep_descriptors = true;
    const process_outcome more = co_await asyncfs::run_process(std::move(kept));
    CHECK(more.output.find("\n" + std::to_string(leaky.fd()) + "\n") != std::string::npos);
    const process_outcome masks = co_await asyncfs::run_process({"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"});
    CHECK(masks.output.find("SigBlk:\t0000000000000000") != std::string::npos);
    const process_outcome piped = co_await asyncfs::run_process(shell("(yes; echo $? >&2) | true; kill -PIPE $$"));
    CHECK(piped.status.signal() == SIGPIPE);
  });
}

TEST_CASE("a child can lead a process group or a session of its own") {
  on_every_kernel_engine([](place&) -> task<void> {
    using group = process_options::group;
    for (const group wanted : {group::same, group::own, group::own_session}) {
      process_options options{"cat"};
      options.input = child_stream::pipe();
      options.process_group = wanted;
      process child = co_await asyncfs::spawn_process(std::move(options));
      CHECK((::getpgid(child.pid()) == child.pid()) == (wanted != group::same));
      CHECK((::getsid(child.pid()) == child.pid()) == (wanted == group::own_session));
      co_await child.kill();
    }
  });
  CHECK(no_children());
}

TEST_CASE("a wait that is cancelled leaves the child running, to be waited for again") {
  on_every_kernel_engine([](place& at) -> task<void> {
    process child = co_await endless_child();
    int error = -1, early = -1;
    {
      const asyncfs::future<void> dropped = asyncfs::spawn(at.home, note_failure(child.wait(), error));
      co_await asyncfs::sleep_for(2ms);
      CHECK(error == -1);
    }
    co_await until_noted(error);
    CHECK(error == ECANCELED);
    {
      const asyncfs::future<void> dropped = asyncfs::spawn(at.home, note_failure(child.wait(), early));
    }
    co_await until_noted(early);
    CHECK(early == ECANCELED);
    CHECK_FALSE(child.status());
    co_await works(child.input.close());
    const exit_status status = co_await child.wait();
    CHECK(status.success());
  });
  CHECK(no_children());
}

TEST_CASE("a run that is cancelled kills and reaps its child before it ends") {
  on_every_real_engine([](place& at) -> task<void> {
    for (const auto delay : {0ms, 1ms, 20ms}) {
      int error = -1;
      {
        const asyncfs::future<void> dropped =
            asyncfs::spawn(at.home, note_failure(asyncfs::run_process({"sleep", "1000"}), error));
        co_await asyncfs::sleep_for(delay);
      }
      co_await until_noted(error);
      CHECK(error == ECANCELED);
      CHECK(no_children());
    }
  });
}

TEST_CASE("a child whose process object goes is killed and reaped; one that was let go runs on") {
  on_every_real_engine([](place&) -> task<void> {
    std::vector<pid_t> dropped;
    pid_t let_go = 0;
    {
      const process one = co_await endless_child();
      process two = co_await endless_child();
      dropped = {one.pid(), two.pid()};
      two = co_await endless_child();
      dropped.push_back(two.pid());
      process three = co_await asyncfs::spawn_process({"sleep", "1000"});
      let_go = three.detach();
      CHECK_FALSE(three);
    }
    for (const pid_t pid : dropped) {
      for (int i = 0; i < 5000 && ::kill(pid, 0) == 0; ++i) co_await asyncfs::sleep_for(1ms);
      CHECK(::kill(pid, 0) == -1);  // ESRCH: not even a zombie is left
    }
    CHECK(::kill(let_go, SIGKILL) == 0);
    int status = 0;
    CHECK(::waitpid(let_go, &status, 0) == let_go);
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
  });
  CHECK(no_children());
}

TEST_CASE("a loop does not end before the children that were dropped on it") {
  on_every_kernel_engine([](place& at) -> task<void> {
    process child = co_await endless_child();
    at.home.post([late = std::move(child)]() mutable { late = process(); });
  });
  CHECK(no_children());
}

TEST_CASE("a start that is given up at any moment leaves no child and no descriptor") {
  on_every_kernel_engine([](place& at) -> task<void> {
    auto start = []() -> task<void> {
      process_options options{"sleep", "1000"};
      options.input = child_stream::pipe();
      options.output = child_stream::null();
      const process child = co_await asyncfs::spawn_process(std::move(options));
      CHECK(child);
    };
    for (int turns = 0; turns < 30; ++turns) {
      const asyncfs::future<void> dropped = asyncfs::spawn(at.home, start());
      for (int i = 0; i < turns; ++i) co_await asyncfs::yield();
    }
  });
  CHECK(no_children());
}

TEST_CASE("a child that outlives its loop is killed and reaped by its process object all the same") {
  process child = asyncfs::run(endless_child());
  const pid_t pid = child.pid();
  CHECK(::kill(pid, 0) == 0);
  child = process();
  CHECK(no_children());
}

TEST_CASE("many children at once are all told apart, and all end") {
  on_every_kernel_engine([](place&) -> task<void> {
    constexpr int many = 40;
    auto one = [](int code) -> task<int> {
      const std::string script = "echo " + std::to_string(code) + "; exit " + std::to_string(code);
      const process_outcome outcome = co_await asyncfs::run_process(shell(script));
      CHECK(outcome.output == std::to_string(code) + "\n");
      co_return outcome.status.code();
    };
    std::vector<task<int>> all;
    for (int i = 0; i < many; ++i) all.push_back(one(i));
    const std::vector<int> codes = co_await asyncfs::when_all(std::move(all));
    for (int i = 0; i < many; ++i) CHECK(codes[static_cast<std::size_t>(i)] == i);
  });
  CHECK(no_children());
}

TEST_CASE("starting a child with too few descriptors left is an error at every step, and there is no child") {
  on_every_real_engine([](place&) -> task<void> {
    const std::size_t open = tests::open_descriptors();
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const rlimit few{.rlim_cur = 64, .rlim_max = before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
    // The null device, two ends of a pipe, and the pidfd.
    for (std::size_t room = 0; room <= 4; ++room) {
      std::vector<asyncfs::descriptor> all;
      for (int fd; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) all.emplace_back(fd);
      all.resize(all.size() - room);
      process_options options{"true"};
      options.input = child_stream::null();
      options.output = child_stream::pipe();
      const failed seen = co_await failure_of(asyncfs::spawn_process(std::move(options)));
      CHECK(seen.error == (room < 4 ? EMFILE : 0));
      for (int i = 0; i < 5000 && !no_children(); ++i) co_await asyncfs::sleep_for(1ms);
      CHECK(no_children());
    }
    ::setrlimit(RLIMIT_NOFILE, &before);
    for (int i = 0; i < 5000 && tests::open_descriptors() != open; ++i) co_await asyncfs::sleep_for(1ms);
    CHECK(tests::open_descriptors() == open);
  });
}
