#include <asyncfs/scope.hpp>

#include <cstdio>
#include <cstdlib>

namespace asyncfs {

void scope::destroyed_while_running() noexcept {
  std::fprintf(stderr, "asyncfs: a scope was destroyed while its tasks run; co_await join() first\n");
  std::abort();
}

}  // namespace asyncfs
