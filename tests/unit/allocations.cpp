// In the steady state an operation allocates nothing, proved by counting calls of the global operator new.
#include <asyncfs/asyncfs.hpp>
#include <asyncfs/nop.hpp>

#include <atomic>
#include <cstdlib>
#include <new>

#include "../catch.hpp"
#include "../support/engines.hpp"

namespace {
std::atomic<std::size_t> allocations{0};

void* counted(std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes); }
void* operator new[](std::size_t bytes) { return counted(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(bytes == 0 ? 1 : bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t& tag) noexcept { return operator new(bytes, tag); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

using asyncfs::task;

namespace {

task<std::size_t> read_once(const asyncfs::file& f, std::span<std::byte> buffer) {
  co_return co_await f.read_at(buffer, 0);
}

constexpr int warm_up = 2000, measured = 10000;

// Where a worker does the work, another thread may begin while none idles: not an allocation for each operation.
std::size_t allowed(const tests::place& at) { return at.engine.ends_with("on workers") ? 16 : 0; }

// Runs the step again and again and tells how many allocations the last 10,000 made.
template <class Step>
task<std::size_t> count_over(Step step) {
  for (int i = 0; i < warm_up; ++i) co_await step();
  const std::size_t before = allocations.load();
  for (int i = 0; i < measured; ++i) co_await step();
  co_return allocations.load() - before;
}

}  // namespace

TEST_CASE("the counter counts") {
  const std::size_t before = allocations.load();
  const auto made = std::make_unique<int>(1);
  CHECK(allocations.load() == before + 1);
}

TEST_CASE("10,000 awaited operations allocate nothing") {
  tests::on_every_real_engine([](tests::place& at) -> task<void> {
    auto step = []() -> task<void> { co_await asyncfs::nop(); };
    const std::size_t made = co_await count_over(step);
    CHECK(made <= allowed(at));
  });
}

TEST_CASE("10,000 awaited reads through a task allocate nothing") {
  tests::on_every_real_engine([](tests::place& at) -> task<void> {
    co_await asyncfs::write_file(at.dir, "file", "some bytes");
    const asyncfs::file f = co_await at.dir.open("file");
    std::array<std::byte, 64> buffer;
    auto step = [&f, &buffer]() { return read_once(f, buffer); };
    const std::size_t made = co_await count_over(step);
    CHECK(made <= allowed(at));
  });
}

TEST_CASE("10,000 operations on worker threads allocate nothing") {
  tests::on_every_real_engine([](tests::place& at) -> task<void> {
    co_await asyncfs::write_file(at.dir, "file", "some bytes");
    const asyncfs::file f = co_await at.dir.open("file");
    auto step = [&f]() { return [](const asyncfs::file& file) -> task<void> { co_await file.set_mode(0600); }(f); };
    const std::size_t made = co_await count_over(step);
    CHECK(made <= 16);  // as above
  });
}

TEST_CASE("10,000 callbacks allocate nothing") {
  tests::on_every_real_engine([](tests::place& at) -> task<void> {
    struct chain {
      asyncfs::loop& home;
      int left;
      void next() {
        asyncfs::start(home, asyncfs::nop(), [this](auto) {
          if (--left > 0) next();
        });
      }
    };
    chain warming{at.home, warm_up};
    warming.next();
    while (warming.left > 0) co_await asyncfs::nop();
    chain counting{at.home, measured};
    const std::size_t before = allocations.load();
    counting.next();
    while (counting.left > 0) co_await asyncfs::nop();
    const std::size_t made = allocations.load() - before;
    CHECK(made <= allowed(at));
  });
}

TEST_CASE("10,000 round trips over a socket allocate nothing") {
  tests::on_every_real_engine([](tests::place& at) -> task<void> {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    const asyncfs::socket a(ends[0]), b(ends[1]);
    std::array<std::byte, 8> buffer{};
    auto step = [&]() {
      return [](const asyncfs::socket& from, const asyncfs::socket& to, std::span<std::byte> bytes) -> task<void> {
        co_await from.send(bytes);
        co_await to.receive(bytes);
      }(a, b, buffer);
    };
    const std::size_t made = co_await count_over(step);
    CHECK(made <= allowed(at));
  });
}
