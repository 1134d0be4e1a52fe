// Shared by the floor programs.
//
// A floor program bounds what asyncfs can reach: the same system calls that the promises require, nothing else. So
// there is no library here, no fallback and no recovery: a surprise in the setup ends the program, a failing file is
// named on standard error and makes the exit status 1.
//
// How they fail, and what they can be told.
#pragma once
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace floors {

inline std::atomic<unsigned> failures{0};

[[noreturn]] inline void die(const char* what, int error) {
  std::fprintf(stderr, "%s: %s\n", what, std::strerror(error));
  std::exit(2);
}

// `--name value` and `--name=value`; everything else is positional.
class Flags {
 public:
  Flags(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
      std::string_view arg = argv[i];
      if (!arg.starts_with("--")) {
        positional.emplace_back(arg);
        continue;
      }
      arg.remove_prefix(2);
      if (auto equals = arg.find('='); equals != arg.npos)
        values_[std::string(arg.substr(0, equals))] = arg.substr(equals + 1);
      else if (i + 1 < argc)
        values_[std::string(arg)] = argv[++i];
    }
  }
  std::string text(const char* name, const char* otherwise) const {
    auto it = values_.find(name);
    return it == values_.end() ? otherwise : it->second;
  }
  unsigned number(const char* name, unsigned otherwise) const {
    auto it = values_.find(name);
    return it == values_.end() ? otherwise : static_cast<unsigned>(std::stoul(it->second));
  }
  std::vector<std::string> positional;

 private:
  std::map<std::string, std::string> values_;
};

struct Options {
  unsigned rings, depth, batch, walkers, buffer, wait, names, wq_workers;
  bool register_ring, fixed_buffers, defer, stats, async_open, touch;
  std::string sort;
  explicit Options(const Flags& f)
      : rings(f.number("rings", 2)),
        depth(f.number("depth", 64)),           // files in flight in one ring
        batch(f.number("batch", 16)),           // files started per enter
        walkers(f.number("walkers", 0)),        // 0: the ring threads walk
        buffer(f.number("buffer", 64 << 10)),   // bytes of one read
        wait(f.number("wait", 1)),              // completions to wait for, at most
        names(f.number("names", 64)),           // names in one queued batch
        wq_workers(f.number("wq-workers", 0)),  // bounded io-wq threads a ring; 0: the kernel's default
        register_ring(f.number("register-ring", 1)),
        fixed_buffers(f.number("fixed-buffers", 0)),
        defer(f.number("defer", 1)),
        stats(f.number("stats", 0)),
        async_open(f.number("async-open", 0)),  // opens go to io-wq at once
        touch(f.number("touch", 0)),            // the walker looks each file up first, so that opening it needs no disk
        sort(f.text("order", "")) {  // a directory's files: by "inodes", by "names", else as the directory has them
    if (!sort.empty() && sort != "inodes" && sort != "names") die("--order: inodes or names", EINVAL);
  }
};

}  // namespace floors
