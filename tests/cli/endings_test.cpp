// How copy, hash and grep are ended: by signals, and by pipes that nobody reads.

#include "../catch.hpp"
#include "program.hpp"

using cli::scratch;
using cli::shell;

namespace {

const std::string program_name = ASYNCFS_PROGRAM;

}  // namespace

TEST_CASE("a signal ends the work in order: it is said, and the process dies of it") {
  scratch at;
  shell("mkfifo '" + (at / "fifo") + "'");
  at.file("a", "1\n");
  // Twice, as timeout(1) and terminals may send it: the second one at whatever point of the ending.
  for (const std::string name : {"INT", "TERM", "HUP"})
    for (const std::string later : {"0", "0.001", "0.002", "0.003", "0.005"}) {
      INFO(name << ", " << later);
      // bash tells of the signal in the status; its children would ignore SIGINT if they were in the background.
      const auto done =
          shell("cd '" + at.path() +
                "' && python3 -c 'import subprocess, signal, time, sys\n"
                "p = subprocess.Popen([\"" +
                program_name +
                "\", \"hash\", \"a\", \"fifo\"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)\n"
                "while \"SigBlk:\\t0000000000000000\" in open(\"/proc/%d/status\" % p.pid).read(): time.sleep(0.01)\n"
                "p.send_signal(signal.SIG" +
                name + "); time.sleep(" + later + "); p.send_signal(signal.SIG" + name +
                ")\n"
                "out, err = p.communicate(timeout=20)\n"
                "print(p.returncode == -signal.SIG" +
                name + ", err.decode())'");
      CHECK(done.out == "True asyncfs hash: interrupted; what was printed is right; the rest is missing\n\n");
    }
  const auto ignored = shell("cd '" + at.path() + "' && nohup sh -c '" + program_name +
                             " hash fifo & child=$!; sleep 0.3; kill -HUP $child; sleep 0.2; echo late > fifo; wait "
                             "$child; echo $?' 2>/dev/null");
  CHECK(ignored.out.ends_with("  fifo\n0\n"));
}

TEST_CASE("an interrupted copy removes what it has not finished") {
  scratch at;
  at.file("big", std::string(20'000'000, 'x'));
  at.directory("into");
  const auto done = shell("cd '" + at.path() +
                          "' && python3 -c 'import subprocess, signal, time, os\n"
                          "p = subprocess.Popen([\"" +
                          program_name +
                          "\", \"copy\", \"--limit-rate=5M\", \"big\", \"into\"], stderr=subprocess.PIPE)\n"
                          "time.sleep(0.7)\n"
                          "before = os.listdir(\"into\")\n"
                          "p.send_signal(signal.SIGINT)\n"
                          "err = p.communicate(timeout=20)[1]\n"
                          "print(p.returncode, len(before), os.listdir(\"into\"), err.decode().count(\"interrupted\"), "
                          "err.decode().count(\"\\n\"))'");
  CHECK(done.out == "-2 1 [] 1 1\n");
}

TEST_CASE("a pipe that nobody reads any more ends hash and grep quietly by SIGPIPE") {
  scratch at;
  std::string list;
  for (int i = 0; i < 20000; ++i) list += "a\n";
  at.file("a", "x\n");
  at.file("list", list);
  for (const std::string command : {"hash", "grep -uuu x"}) {
    const auto done = shell("cd '" + at.path() + "' && bash -c '" + program_name + " " + command +
                            " --files-from=list | head -n 1 > /dev/null; echo ${PIPESTATUS[0]}'");
    CHECK(done.out == "141\n");
    CHECK(done.err == "");
  }
}

TEST_CASE("a pipe that nobody reads any more ends quietly what the tool says of itself") {
  for (const std::string word : {"--help", "--version", "--completions=zsh", "probe"}) {
    INFO(word);
    const auto done = shell(
        "python3 -c 'import os, subprocess\n"
        "reader, writer = os.pipe()\n"
        "os.close(reader)\n"
        "print(subprocess.run([\"" +
        program_name + "\", \"" + word + "\"], stdout=writer).returncode)'");
    CHECK(done.out == "-13\n");
    CHECK(done.err == "");
  }
}
