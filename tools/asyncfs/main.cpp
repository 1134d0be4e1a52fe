// The command line: parses, and hands over to a command.

#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <asyncfs/trace.hpp>

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <system_error>

#include "command/commands.hpp"
#include "hash/digest.hpp"
#include "quoting.hpp"

namespace tool {

namespace {

constexpr int wrong_usage = 2;

const std::map<std::string, asyncfs::engine_kind> engines = {{"auto", asyncfs::engine_kind::automatic},
                                                             {"uring", asyncfs::engine_kind::uring},
                                                             {"threads", asyncfs::engine_kind::threads},
                                                             {"sync", asyncfs::engine_kind::sync}};

// CLI11's own check for these says what it would accept, but shows numbers for names.
template <class T>
auto one_of(const std::map<std::string, T>& names, T& into) {
  return [&names, &into](const std::string& word) {
    const auto found = names.find(word);
    if (found != names.end()) {
      into = found->second;
      return;
    }
    std::string known;
    for (const auto& [name, value] : names) known += (known.empty() ? "" : ", ") + name;
    throw CLI::ValidationError(fmt::format("{} is unknown; choose one of {}", shell_quoted(word), known));
  };
}

void add_tree_options(CLI::App& app, tree_options& tree) {
  app.add_option_function<std::string>("--engine", one_of(engines, tree.loop.engine.kind),
                                       "How to do I/O: auto, uring, threads or sync")
      ->type_name("ENGINE")
      ->group("Speed");
  app.add_option("-j,--jobs", tree.jobs, "Loops, each on its own thread (default: one a CPU)")
      ->check(CLI::Range(1u, 1024u))
      ->type_name("N")
      ->group("Speed");
  app.add_option("--depth", tree.depth, "Files in flight a loop (default: as the device asks)")
      ->check(CLI::Range(1u, 4096u))
      ->type_name("N")
      ->group("Speed");
}

// Repeatable, and a comma may stand between several.
void add_algorithm(std::vector<algorithm>& to, const std::string& words) {
  std::string known;
  for (std::size_t begin = 0; begin <= words.size();) {
    const std::size_t end = std::min(words.find(',', begin), words.size());
    const std::string word = words.substr(begin, end - begin);
    begin = end + 1;
    const auto found = std::ranges::find(algorithm_table, word, &algorithm_info::name);
    if (found == algorithm_table.end()) {
      for (const algorithm_info& row : algorithm_table) known += (known.empty() ? "" : ", ") + std::string(row.name);
      throw CLI::ValidationError(fmt::format("{} is unknown; choose one of {}", shell_quoted(word), known));
    }
    if (!available(found->which))
      throw CLI::ValidationError(fmt::format("{} is not to be had in this build, or forbidden by OpenSSL here", word));
    if (std::ranges::find(to, found->which) == to.end()) to.push_back(found->which);
  }
}

void add_hash_options(CLI::App& app, hash_command& hash) {
  app.add_option("PATH", hash.paths, "Files and trees; none, or -: standard input. With -c: lists of digests");
  app.add_option_function<std::vector<std::string>>(
         "-a,--algorithm",
         [&hash](const std::vector<std::string>& all) {
           for (const std::string& one : all) add_algorithm(hash.which, one);
         },
         "Digest to compute, or to expect in lists; repeatable (default: sha256)")
      ->type_name("ALGORITHM")
      ->allow_extra_args(false)
      ->group("Digests");
  auto* tag = app.add_flag("--tag", hash.tagged, "Print lines that name the algorithm, as BSD does")->group("Digests");
  auto* untagged = app.add_flag("--untagged", hash.untagged, "Print lines without it, also for several algorithms")
                       ->excludes(tag)
                       ->group("Digests");
  auto* zero = app.add_flag("-z,--zero", hash.zero, "End lines with NUL, not newline, and escape nothing in names")
                   ->group("Digests");
  auto* check = app.add_flag("-c,--check", hash.check, "Read digests from lists, and compare files with them")
                    ->excludes(tag)
                    ->excludes(untagged)
                    ->excludes(zero)
                    ->group("Checking");
  const auto checking = [&](const char* names, std::function<void()> set, const char* help) {
    app.add_flag_callback(names, std::move(set), help)->trigger_on_parse()->needs(check)->group("Checking");
  };
  // How much is said: the last word counts.
  const auto say = [&hash](bool quiet, bool status, bool warn) {
    return [&hash, quiet, status, warn] {
      hash.quiet = quiet;
      hash.status = status;
      hash.warn = warn;
    };
  };
  checking(
      "--ignore-missing", [&hash] { hash.ignore_missing = true; }, "Say nothing of listed files that do not exist");
  checking("--quiet", say(true, false, false), "Print no OK for files that match");
  checking("--status", say(false, true, false), "Print nothing; the exit status says it");
  checking("--strict", [&hash] { hash.strict = true; }, "Fail when a line of a list is malformed");
  checking("-w,--warn", say(false, false, true), "Name each malformed line");
}

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

// Runs a command; with a path, its loops are traced into that file.
template <class Command>
int traced(const std::string& path, Command& command, messages& say) {
  if (path.empty()) return run(command, say);
  std::optional<asyncfs::trace_writer> trace;
  try {
    trace.emplace(path);
  } catch (const std::system_error& error) {
    say.failure(error.what());
    return wrong_usage;
  }
  command.tree.loop.observer = trace->observer();
  const int status = run(command, say);
  trace->finish();
  return status;
}

int run_command_line(int argc, char** argv) {
  CLI::App app{"Copies, hashes and searches trees of files, asynchronously.", "asyncfs"};
  app.set_version_flag("--version", "asyncfs " ASYNCFS_VERSION);
  app.require_subcommand(1);
  std::string trace_path;
  app.add_option("--trace", trace_path, "Write a timeline of all I/O for ui.perfetto.dev; before the command")
      ->type_name("FILE");

  copy_command copy;
  CLI::App& copying = *app.add_subcommand("copy", "Copy files and trees with their owners, modes, times and links");
  copying.add_option("PATH", copy.paths, "Sources, then the destination")->required()->expected(2, -1);
  add_tree_options(copying, copy.tree);

  hash_command hash;
  CLI::App& hashing = *app.add_subcommand("hash", "Print digests of files, one line each, in the order of their paths");
  add_hash_options(hashing, hash);
  add_tree_options(hashing, hash.tree);

  grep_command grep;
  CLI::App& grepping = *app.add_subcommand("grep", "Print lines that match a pattern (PCRE2)");
  grepping.add_option("PATTERN", grep.pattern, "A Perl-compatible regular expression")->required();
  grepping.add_option("PATH", grep.paths, "Files and trees (default: the current directory)");
  grepping.add_flag("-i,--ignore-case", grep.ignore_case, "Letters match in either case");
  grepping.add_flag("-F,--fixed-strings", grep.fixed, "The pattern is a string, not an expression");
  grepping.add_flag("-n,--line-number", grep.numbers, "Print line numbers");
  grepping.add_flag("-c,--count", grep.count, "Print only how many lines match, for files where any does");
  grepping.add_flag("-l,--files-with-matches", grep.names_only, "Print only the names of files with a match");
  grepping.add_flag("-u,--unrestricted", grep.unrestricted,
                    "Once: no ignore files; twice: hidden files too; three times: binary files too");
  grepping
      .add_option_function<std::string>(
          "--sort",
          [&grep](const std::string& key) {
            if (key != "path") throw CLI::ValidationError(fmt::format("{} is unknown; choose path", shell_quoted(key)));
            grep.sorted = true;
          },
          "Order of the output: path")
      ->type_name("KEY");
  add_tree_options(grepping, grep.tree);

  probe_command probe;
  CLI::App& probing = *app.add_subcommand("probe", "Show what this kernel offers, and where each operation runs");
  probing.add_option("--engine", probe.engine, "auto, uring, threads or sync")
      ->check(CLI::IsMember({"auto", "uring", "threads", "sync"}));

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::fputs(
        app.get_subcommands().empty() ? app.help().c_str() : app.get_subcommands().front()->help("asyncfs").c_str(),
        stdout);
    return 0;
  } catch (const CLI::CallForVersion& version) {
    std::puts(version.what());
    return 0;
  } catch (const CLI::ParseError& error) {
    const auto chosen = app.get_subcommands();
    const std::string name = chosen.empty() ? "asyncfs" : "asyncfs " + chosen.front()->get_name();
    std::fputs(fmt::format("{}: {}\nTry '{} --help' for more information.\n", name, error.what(), name).c_str(),
               stderr);
    return wrong_usage;
  }
  occupy_standard_descriptors();
  raise_descriptor_limit();
  keep_freed_memory();
  ::signal(SIGPIPE, SIG_IGN);
  messages say("asyncfs " + app.get_subcommands().front()->get_name());
  try {
    if (copying.parsed()) return traced(trace_path, copy, say);
    if (hashing.parsed()) return traced(trace_path, hash, say);
    if (grepping.parsed()) return traced(trace_path, grep, say);
    return run(probe);
  } catch (const std::exception& error) {
    say.failure(error.what());
    return grepping.parsed() ? 2 : 1;
  }
}

}  // namespace

}  // namespace tool

int main(int argc, char** argv) {
  try {
    return tool::run_command_line(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "asyncfs: %s\n", error.what());
    return tool::wrong_usage;
  }
}
