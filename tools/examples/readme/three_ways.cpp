// One read, waited for in three ways.
//
// usage: readme_three_ways FILE
#include <array>
#include <asyncfs/asyncfs.hpp>
#include <cstdio>
#include <exception>
#include <memory>

namespace {

using piece = std::array<std::byte, 4096>;

asyncfs::task<std::size_t> as_coroutine(const asyncfs::file& file) {
  piece bytes;
  const std::size_t n = co_await file.read_at(bytes, 0);  // the value, or std::system_error("read") is thrown
  co_return n;
}

asyncfs::task<std::size_t> as_coroutine_without_exceptions(const asyncfs::file& file) {
  piece bytes;
  const auto n = co_await asyncfs::as_result(file.read_at(bytes, 0));  // std::expected<std::size_t, std::error_code>
  co_return n.value_or(0);
}

void as_callback(const asyncfs::file& file, bool& done) {
  auto bytes = std::make_unique<piece>();
  auto reading = file.read_at(*bytes, 0);
  asyncfs::start(std::move(reading), [bytes = std::move(bytes), &done](asyncfs::result<std::size_t> n) {
    std::printf("callback: %zu bytes\n", n.value_or(0));
    done = true;
  });
}

asyncfs::future<std::size_t> as_future(asyncfs::loop& loop, const asyncfs::file& file, piece& bytes) {
  return asyncfs::spawn(loop, file.read_at(bytes, 0))
      .then([](std::size_t n) { return n * 2; })
      .on_error([](const std::exception_ptr&) { return std::size_t{0}; });
}

asyncfs::task<asyncfs::file> opened(const char* path) { co_return co_await asyncfs::open(path); }

asyncfs::task<void> show(asyncfs::loop& loop, const asyncfs::file& file) {
  const std::size_t first = co_await as_coroutine(file);
  const std::size_t second = co_await as_coroutine_without_exceptions(file);
  piece bytes;
  const std::size_t third = co_await as_future(loop, file, bytes);
  std::printf("coroutine: %zu and %zu bytes; future: twice %zu\n", first, second, third / 2);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    asyncfs::loop loop;
    const asyncfs::file file = asyncfs::run(loop, opened(argv[1]));
    asyncfs::run(loop, show(loop, file));
    bool done = false;
    loop.post([&] { as_callback(file, done); });
    loop.run_until([&] { return done; });
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[1], error.what());
    return 1;
  }
}
