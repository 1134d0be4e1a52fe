// What README.md and libasyncfs(3) begin with.
#include <asyncfs/asyncfs.hpp>  // c++ -std=c++23 main.cpp $(pkg-config --cflags --libs asyncfs)

#include "workplace.hpp"

namespace {

using piece = std::array<std::byte, 4096>;

asyncfs::task<void> read_twice(const asyncfs::file& file, piece& buffer) {
  {
    std::size_t n = co_await file.read_at(buffer, 0);
    manual::expect(n > 0, "the value");
  }
  {
    auto r = co_await asyncfs::as_result(file.read_at(buffer, 0));
    manual::expect(r.value_or(0) > 0, "the result");
  }
}

void show_result(asyncfs::result<std::size_t> r) {
  std::printf("%zu bytes\n", r.value_or(0));
}

asyncfs::task<void> in_every_style(asyncfs::loop& loop) {
  const asyncfs::file file = co_await asyncfs::open("one.txt");
  piece buffer;
  co_await read_twice(file, buffer);
  asyncfs::start(file.read_at(buffer, 0), show_result);
  co_await asyncfs::sleep_for(std::chrono::milliseconds(1));
  auto f = asyncfs::spawn(loop, file.read_at(buffer, 0));
  manual::expect(co_await std::move(f) > 0, "the future's value");
}

void samples() {
  asyncfs::loop loop;
  asyncfs::run(loop, in_every_style(loop));
}

}  // namespace

int main() { return manual::run_samples(samples); }
