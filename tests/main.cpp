// The main function of every test program. After the tests it says, once for each reason, what could not run here.
#define CATCH_CONFIG_RUNNER
#include "catch.hpp"

#include <csignal>
#include <cstdio>

#include "support/left_out.hpp"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // writing to a pipe that nobody reads is an error that tests look at
  const int status = Catch::Session().run(argc, argv);
  for (const auto& [what, times] : tests::left_out()) std::printf("left out %zu times: %s\n", times, what.c_str());
  return status;
}
