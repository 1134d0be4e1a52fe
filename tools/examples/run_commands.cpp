// Runs several commands at once, and prints what each has written, and how it ended, when it ends. Ctrl-C ends them all.
//
// usage: run_commands [--engine=auto|uring|threads|sync] COMMAND...      (each is given to sh -c)
#include <asyncfs/asyncfs.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace {

using command_list = std::vector<std::string>;

void print(const std::string& command, const asyncfs::process_outcome& outcome) {
  std::printf("%s: %s\n%s%s", command.c_str(), outcome.status.to_string().c_str(), outcome.output.c_str(),
              outcome.error.c_str());
  std::fflush(stdout);
}

asyncfs::task<bool> run_one(const std::string& command) {
  asyncfs::process_options options{"sh", "-c", command};
  options.input = asyncfs::child_stream::null();
  const asyncfs::process_outcome outcome = co_await asyncfs::run_process(std::move(options));
  print(command, outcome);
  co_return outcome.status.success();
}

// True when all succeeded.
asyncfs::task<bool> run_all(const command_list& commands) {
  std::vector<asyncfs::task<bool>> running;
  for (const std::string& command : commands) running.push_back(run_one(command));
  const std::vector<bool> succeeded = co_await asyncfs::when_all(std::move(running));
  for (const bool good : succeeded)
    if (!good) co_return false;
  co_return true;
}

asyncfs::task<int> run_until_interrupted(const command_list& commands) {
  const auto first = co_await asyncfs::race(run_all(commands), asyncfs::wait_for_signal({SIGINT, SIGTERM}));
  if (const bool* succeeded = std::get_if<bool>(&first)) co_return *succeeded ? 0 : 1;
  co_return 128 + std::get<asyncfs::received_signal>(first).number;
}

}  // namespace

int main(int argc, char** argv) {
  asyncfs::loop_options options;
  command_list commands;
  constexpr std::string_view engine = "--engine=";
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (!word.starts_with(engine) || !commands.empty()) {
      commands.emplace_back(word);
    } else if (const auto kind = asyncfs::parse_engine_kind(word.substr(engine.size()))) {
      options.engine.kind = *kind;
    } else {
      commands.clear();
      break;
    }
  }
  if (commands.empty()) {
    std::fprintf(stderr, "usage: run_commands [--engine=auto|uring|threads|sync] COMMAND...\n");
    return 2;
  }
  try {
    return asyncfs::run(run_until_interrupted(commands), options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "run_commands: %s\n", error.what());
    return 1;
  }
}
