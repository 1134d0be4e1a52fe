#include <asyncfs/asyncfs.hpp>
#include <asyncfs/nop.hpp>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "../catch.hpp"
#include "../support/death.hpp"
#include "../support/engines.hpp"

using asyncfs::task;
using namespace std::chrono_literals;

namespace {

// Has nothing to do but to sleep, and takes long to ring its bell.
template <class Tally>
class slow_bell_engine final : public asyncfs::engine {
 public:
  explicit slow_bell_engine(Tally& seen) : seen_(seen) {}
  ~slow_bell_engine() override { seen_.destroyed_while_ringing = seen_.ringing.load(); }
  [[nodiscard]] std::string_view name() const noexcept override { return "slow bell"; }
  [[nodiscard]] asyncfs::runs where(asyncfs::opcode) const noexcept override { return asyncfs::runs::in_ring; }
  [[nodiscard]] bool submit(const asyncfs::request&) override { return false; }
  void cancel(std::uint64_t) noexcept override {}
  [[nodiscard]] std::size_t reap(std::span<asyncfs::completion>) noexcept override { return 0; }
  [[nodiscard]] bool has_finished_work() const noexcept override { return false; }
  void enter(const wait& how) noexcept override {
    if (!how.until_completion || !fall_asleep()) return;
    seen_.asleep = true;
    while (!seen_.ringing && !seen_.rung) std::this_thread::yield();
    awake();
  }

 protected:
  [[nodiscard]] bool refill() noexcept override { return false; }
  void ring_bell() noexcept override {
    Tally& seen = seen_;
    seen.ringing = true;
    for (int i = 0; i < 200 && !seen.destroyed_while_ringing; ++i) std::this_thread::sleep_for(1ms);
    seen.ringing = false;
    seen.rung = true;
  }

 private:
  Tally& seen_;
};

}  // namespace

TEST_CASE("posts of other threads run on the loop's thread, each thread's in order, none lost") {
  tests::on_every_real_engine([](tests::place& at) -> task<void> {
    constexpr int senders = 4, posts = 2000;
    struct tally {
      std::array<int, senders> next{};
      int taken = 0;
      bool in_order = true, on_thread = true;
    } seen;
    const std::thread::id here = std::this_thread::get_id();
    std::vector<std::jthread> threads;
    for (int s = 0; s < senders; ++s)
      threads.emplace_back([&, s] {
        for (int i = 0; i < posts; ++i)
          at.home.post([&seen, s, i, here] {
            seen.in_order &= seen.next[static_cast<std::size_t>(s)]++ == i;
            seen.on_thread &= std::this_thread::get_id() == here;
            ++seen.taken;
          });
      });
    while (seen.taken < senders * posts) co_await asyncfs::sleep_for(100us);
    CHECK(seen.in_order);
    CHECK(seen.on_thread);
  });
}

TEST_CASE("a post wakes a loop that sleeps") {
  tests::on_every_real_engine([](tests::place& at) -> task<void> {
    // Nothing but the post can end this: the loop has no operation, and its only timer is an hour away.
    for (int i = 0; i < 50; ++i) {
      std::jthread waker([&home = at.home, i] {
        if (i % 2 == 0) std::this_thread::sleep_for(1ms);
        home.post([&home] { home.root().cancel(); });
      });
      asyncfs::future<void> sleeping =
          asyncfs::spawn(at.home, []() -> task<void> { co_await asyncfs::sleep_for(1h); }());
      bool cancelled = false;
      try {
        co_await std::move(sleeping);
      } catch (const std::system_error& e) {
        cancelled = asyncfs::is_cancelled(e.code());
      }
      CHECK(cancelled);
      break;  // the root scope stays cancelled from here on
    }
  });
}

TEST_CASE("a loop that a post ended is not destroyed while the sender is still ringing its bell") {
  struct tally {
    std::atomic<bool> asleep{false}, ringing{false}, rung{false}, destroyed_while_ringing{false};
  } seen;
  {
    asyncfs::loop home(std::make_unique<slow_bell_engine<tally>>(seen));
    bool told = false;
    std::thread([&] {
      while (!seen.asleep) std::this_thread::yield();
      home.post([&told] { told = true; });
    }).detach();
    home.run_until([&told] { return told; });
  }
  CHECK_FALSE(seen.destroyed_while_ringing);
  while (!seen.rung) std::this_thread::yield();
}

TEST_CASE("what a loop's thread posts to its own loop comes after what others had posted before, and rings no bell") {
  tests::on_every_real_engine([](tests::place& at) -> task<void> {
    std::vector<int> order;
    const auto note = [&order](int i) { return [&order, i] { order.push_back(i); }; };
    at.home.post(note(1));
    std::jthread([&] { at.home.post(note(2)); }).join();
    at.home.post(note(3));
    std::jthread([&] {
      at.home.post(note(4));
      at.home.post(note(5));
    }).join();
    at.home.post(note(6));
    co_await asyncfs::sleep_for(1us);
    while (order.size() < 6) co_await asyncfs::sleep_for(1us);
    CHECK(order == std::vector{1, 2, 3, 4, 5, 6});
  });
}

TEST_CASE("a loop is woken every time, however post and sleep race") {
  tests::on_every_real_engine([](tests::place& at) -> task<void> {
    constexpr int rounds = 2000;
    std::atomic<int> reached{0};
    int posted_back = 0;
    std::jthread pusher([&] {
      for (int i = 0; i < rounds; ++i) {
        at.home.post([&] { reached.store(++posted_back); });
        while (reached.load() <= i) std::this_thread::yield();  // the next only after this one has run
      }
    });
    while (posted_back < rounds) co_await asyncfs::sleep_for(20ms);
    CHECK(posted_back == rounds);
  });
}

TEST_CASE("an exception that escapes a callback leaves run, after everything has ended") {
  for (const auto& one : tests::real_engines()) {
    DYNAMIC_SECTION(one.name) {
      if (const auto reason = tests::refusal(one); !reason.empty()) {
        tests::leave_out("the engine '" + one.name + "': " + reason);
        continue;
      }
      bool cancelled = false;
      asyncfs::loop home(one.options);
      CHECK_THROWS_WITH(asyncfs::run(home,
                                     [](asyncfs::loop& l, bool& c) -> task<void> {
                                       asyncfs::start(l, asyncfs::nop(),
                                                      [](auto) { throw std::runtime_error("from the callback"); });
                                       try {
                                         co_await asyncfs::sleep_for(1h);
                                       } catch (const std::system_error& e) {
                                         c = asyncfs::is_cancelled(e.code());
                                       }
                                     }(home, cancelled)),
                        "from the callback");
      CHECK(cancelled);
      CHECK(home.in_flight() == 0);
      // The loop is as good as new.
      CHECK(asyncfs::run(home, []() -> task<int> {
              co_await asyncfs::nop();
              co_return 4;
            }()) == 4);
    }
  }
}

TEST_CASE("an exception that escapes a post leaves run_until") {
  asyncfs::loop_options options;
  options.engine.kind = asyncfs::engine_kind::threads;
  asyncfs::loop home(options);
  home.post([] { throw std::runtime_error("from the post"); });
  bool later = false;
  home.post([&] { later = true; });
  CHECK_THROWS_WITH(home.run_until([] { return false; }), "from the post");
  home.run_until([&] { return later; });
  CHECK(later);
}

TEST_CASE("posts that nobody took are freed with the loop") {
  auto held = std::make_shared<int>(1);
  {
    asyncfs::loop_options options;
    options.engine.kind = asyncfs::engine_kind::threads;
    asyncfs::loop home(options);
    home.post([held] {});
    CHECK(held.use_count() == 2);
  }
  CHECK(held.use_count() == 1);
}

TEST_CASE("run drains what the task left behind") {
  tests::on_every_real_engine([](tests::place& at) -> task<void> {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    struct left {
      asyncfs::descriptor in, out;
      std::array<std::byte, 8> buffer;
    };
    auto kept =
        std::make_shared<left>(asyncfs::descriptor(ends[0]), asyncfs::descriptor(ends[1]), std::array<std::byte, 8>{});
    asyncfs::file in(ends[0]);
    asyncfs::start(at.home, in.read(kept->buffer),
                   [kept](asyncfs::result<std::size_t> r) { CHECK(asyncfs::is_cancelled(r.error())); });
    CHECK(in.release() == ends[0]);
    co_await asyncfs::nop();
  });
}

TEST_CASE("one loop may be made here, run there, and destroyed here, beside another") {
  for (const auto& one : tests::real_engines()) {
    DYNAMIC_SECTION(one.name) {
      if (const auto reason = tests::refusal(one); !reason.empty()) {
        tests::leave_out("the engine '" + one.name + "': " + reason);
        continue;
      }
      const auto some = []() -> task<int> {
        for (int i = 0; i < 10; ++i) co_await asyncfs::nop();
        co_return 1;
      };
      asyncfs::loop mine(one.options);
      CHECK(asyncfs::run(mine, some()) == 1);
      {
        asyncfs::loop other(one.options);
        std::jthread([&] { asyncfs::run(other, some()); }).join();
      }
      ::alarm(20);
      std::signal(SIGALRM, tests::hung);
      CHECK(asyncfs::run(mine, some()) == 1);
      ::alarm(0);
    }
  }
}

TEST_CASE("a loop that is run on a second thread ends the program, which says so, on every engine") {
  for (const auto kind : {asyncfs::engine_kind::automatic, asyncfs::engine_kind::threads}) {
    const auto words = tests::in_a_child([kind] {
      asyncfs::loop_options options;
      options.engine.kind = kind;
      asyncfs::loop home(options);
      const auto once = []() -> task<void> { co_await asyncfs::nop(); };
      asyncfs::run(home, once());
      std::jthread([&] { asyncfs::run(home, once()); }).join();
    });
    CHECK(words.signal == SIGABRT);
    CHECK(words.message.find("runs on another thread") != std::string::npos);
  }
}

TEST_CASE("limits of 0 are taken as 1, and any number of entries as one that the ring can have") {
  for (const unsigned entries : {0u, 1u, 7u, 1u << 29, ~0u}) {
    asyncfs::loop_options options;
    options.engine.entries = entries;
    options.in_flight_limit = options.completions_a_turn = options.posts_a_turn = 0;
    asyncfs::loop home(options);
    CHECK(home.engine_reason() == asyncfs::loop().engine_reason());
    bool posted = false;
    home.post([&posted] { posted = true; });
    asyncfs::run(home, []() -> task<void> {
      co_await asyncfs::when_all(asyncfs::nop(), asyncfs::nop(), asyncfs::sleep_for(1ms));
    }());
    CHECK(posted);
  }
}

TEST_CASE("more operations at once than the ring has entries all complete") {
  tests::on_every_engine([](tests::place& at) -> task<void> {
    int ended = 0;
    for (int i = 0; i < 5000; ++i) asyncfs::start(at.home, asyncfs::nop(), [&](auto r) { ended += r.has_value(); });
    while (ended < 5000) co_await asyncfs::nop();
    CHECK(ended == 5000);
  });
}
