#include "trees.hpp"

#include <sys/stat.h>
#include <unistd.h>

namespace cli {

void make_hostile_tree(const scratch& in, const std::string& name) {
  const std::string top = name + "/";
  in.file(top + "plain", "hello io_uring\n");
  in.file(top + "empty", "");
  in.file(top + "with\nnewline", "a static int\n");
  in.file(top + "in\xffvalid", "static  int x;\n");
  in.file(top + "back\\slash", "x\n");
  in.file(top + "-dash", "no end of line: io_uring");
  in.file(top + "perf/x", "static int y;\n");
  in.file(top + "perf-sec.rst", "between perf/ and perf0\n");
  in.file(top + "perf0", "after\n");
  in.file(top + std::string(255, 'n'), "longest name\n");
  in.file(top + ".hidden/deep/er/file", "io_uring io_uring\nio_uring\n");
  in.file(top + "large", std::string(3'000'000, 'z') + "\nio_uring\n" + std::string(70'000, 'q') + "static int\n");
  in.file(top + "exactly64k", std::string(65536, 'e'));
  in.file(top + "more64k", std::string(65537, 'm'));
  in.file(top + "binary", std::string("io_uring\0static int\n", 20));
  in.directory(top + "empty directory");
  const std::string root = in / name;
  for (int i = 0; i < 300; ++i)
    in.file(top + "many/f" + std::to_string(i), "file " + std::to_string(i) + "\nstatic int i;\n");
  [[maybe_unused]] int made = ::symlink("plain", (root + "/link").c_str());
  made = ::symlink("nowhere", (root + "/dangling").c_str());
  made = ::mkfifo((root + "/fifo").c_str(), 0640);
  shell("cd '" + root +
        "' && chmod 4755 plain && chmod 0 empty && chmod 2750 perf && touch -d '2001-02-03 04:05:06.123456789' plain "
        "perf/x perf && "
        "touch -h -d '1999-01-01 00:00:00.5' link && truncate -s 5000000 sparse && printf data | dd of=sparse bs=1 "
        "seek=2000000 conv=notrunc 2>/dev/null");
  // Older than the grain of the kernel's clock, as files mostly are.
  ::usleep(40'000);
}

std::string describe_tree(const std::string& root) {
  return shell("cd '" + root +
               "' && find . -printf '%p\\t%y\\t%m\\t%U:%G\\t%T@\\t%l\\0' | LC_ALL=C sort -z && "
               "find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum")
      .out;
}

}  // namespace cli
