#include <asyncfs/asyncfs.hpp>
#include <asyncfs/nop.hpp>

#include <atomic>
#include <semaphore>
#include <stdexcept>
#include <thread>

#include "../catch.hpp"
#include "../support/engines.hpp"

using asyncfs::task;

TEST_CASE("offload gives the function's value, and runs it on another thread") {
  tests::on_every_real_engine([](tests::place&) -> task<void> {
    const std::thread::id here = std::this_thread::get_id();
    const std::thread::id there = co_await asyncfs::offload([] { return std::this_thread::get_id(); });
    CHECK(there != here);
    const std::thread::id blocking = co_await asyncfs::offload_blocking([] { return std::this_thread::get_id(); });
    CHECK(blocking != here);
    CHECK(blocking != there);
    bool called = false;
    co_await asyncfs::offload([&called] { called = true; });
    CHECK(called);
    const auto moved = co_await asyncfs::offload([] { return std::make_unique<int>(8); });
    CHECK(*moved == 8);
  });
}

TEST_CASE("what an offloaded function throws is thrown to the awaiting task") {
  tests::on_every_engine([](tests::place&) -> task<void> {
    std::string words;
    try {
      co_await asyncfs::offload([] { throw std::runtime_error("from a worker"); });
    } catch (const std::runtime_error& e) {
      words = e.what();
    }
    CHECK(words == "from a worker");
  });
}

TEST_CASE("an offload that is cancelled before it began never runs") {
  tests::on_every_real_engine([](tests::place& at) -> task<void> {
    // Every computing thread is held, so that one more has to wait.
    const unsigned threads = std::max(1u, std::thread::hardware_concurrency());
    std::counting_semaphore<> gate(0);
    std::atomic<unsigned> holding{0};
    const auto hold = [&] {
      ++holding;
      gate.acquire();
    };
    std::vector<asyncfs::future<void>> held;
    for (unsigned i = 0; i < threads; ++i) held.push_back(asyncfs::spawn(at.home, asyncfs::offload(hold)));
    while (holding < threads) co_await asyncfs::sleep_for(std::chrono::milliseconds(1));
    bool ran = false, cancelled = false;
    auto late = [](bool& r, bool& c) -> task<void> {
      try {
        co_await asyncfs::offload([&r] { r = true; });
      } catch (const std::system_error& e) {
        c = asyncfs::is_cancelled(e.code());
      }
    };
    {
      const asyncfs::future<void> dropped = asyncfs::spawn(at.home, late(ran, cancelled));
      co_await asyncfs::sleep_for(std::chrono::milliseconds(1));
    }
    while (!cancelled) co_await asyncfs::nop();
    gate.release(static_cast<std::ptrdiff_t>(threads));
    for (auto& one : held) co_await std::move(one);
    CHECK_FALSE(ran);
  });
}

TEST_CASE("an offload that runs already ends by itself, and its value wins against the cancel") {
  tests::on_every_real_engine([](tests::place& at) -> task<void> {
    std::atomic<bool> running{false}, go_on{false};
    int value = 0;
    auto work = [](std::atomic<bool>& r, std::atomic<bool>& g, int& v) -> task<void> {
      v = co_await asyncfs::offload([&] {
        r = true;
        while (!g) std::this_thread::yield();
        return 3;
      });
    };
    {
      const asyncfs::future<void> dropped = asyncfs::spawn(at.home, work(running, go_on, value));
      while (!running) co_await asyncfs::nop();
    }
    go_on = true;
    while (value == 0) co_await asyncfs::nop();
    CHECK(value == 3);
  });
}

TEST_CASE("many offloads at once all give their own value") {
  tests::on_every_engine([](tests::place&) -> task<void> {
    std::vector<task<int>> all;
    for (int i = 0; i < 500; ++i) all.push_back(asyncfs::offload([i] { return i; }));
    const std::vector<int> values = co_await asyncfs::when_all(std::move(all));
    bool right = true;
    for (int i = 0; i < 500; ++i) right &= values[static_cast<std::size_t>(i)] == i;
    CHECK(right);
  });
}
