// Scopes: what is spawned ends before its owner goes on, whatever happens.
#include "../catch.hpp"
#include "../support/death.hpp"
#include "../support/still_clock.hpp"

using asyncfs::scope;
using asyncfs::task;
using namespace std::chrono_literals;

namespace {

task<void> count_after(asyncfs::steady_time::duration delay, int& count) {
  co_await asyncfs::sleep_for(delay);
  ++count;
}
task<void> throw_after(asyncfs::steady_time::duration delay, const char* words) {
  co_await asyncfs::sleep_for(delay);
  throw std::runtime_error(words);
}
task<void> wait_for_ever(int& cancelled) { static_cast<void>(co_await tests::sleep_until_cancelled(cancelled)); }

// What `work` throws, in words.
task<std::string> words_of(task<void> work) {
  try {
    co_await std::move(work);
  } catch (const std::exception& e) {
    co_return e.what();
  }
  co_return "nothing";
}

}  // namespace

TEST_CASE("join waits for all that was spawned, also by those that were spawned") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    scope all(co_await asyncfs::this_task);
    int ended = 0;
    const auto spawns_more = [](scope& s, int& count) -> task<void> {
      co_await asyncfs::sleep_for(2ms);
      s.spawn(count_after(5ms, count));
    };
    all.spawn(spawns_more(all, ended));
    all.spawn(count_after(1ms, ended));
    co_await all.join();
    CHECK(ended == 2);
    CHECK(all.running() == 0);
  }());
  CHECK(f.elapsed() == 7ms);
}

TEST_CASE("the first error of a scope cancels the others, and is thrown when all have ended") {
  tests::still_clock f;
  int cancelled = 0;
  f.run([](int& c) -> task<void> {
    scope all(co_await asyncfs::this_task);
    all.spawn(wait_for_ever(c));
    all.spawn(throw_after(2ms, "second"));
    all.spawn(throw_after(1ms, "first"));
    const auto join = [](scope& s) -> task<void> { co_await s.join(); };
    const std::string words = co_await words_of(join(all));
    CHECK(words == "first");
    CHECK(c == 1);
  }(cancelled));
  CHECK(f.elapsed() == 1ms);
}

TEST_CASE("a scope that was told to cancel joins without an error") {
  tests::still_clock f;
  int cancelled = 0;
  f.run([](int& c) -> task<void> {
    scope all(co_await asyncfs::this_task);
    all.spawn(wait_for_ever(c));
    co_await asyncfs::sleep_for(1ms);
    all.cancel();
    co_await all.join();
    CHECK(c == 1);
  }(cancelled));
}

TEST_CASE("a scope whose owner is cancelled throws that it was") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    const asyncfs::task_context at = co_await asyncfs::this_task;
    std::error_code error;
    int cancelled = 0;
    const auto owner = [](std::error_code& e, int& c) -> task<void> {
      const auto body = [&c](scope& s) -> task<void> {
        s.spawn(wait_for_ever(c));
        co_await asyncfs::sleep_for(1h);
      };
      e = co_await tests::code_of(asyncfs::in_scope(body));
    };
    auto running = asyncfs::spawn(at.home, owner(error, cancelled));
    co_await asyncfs::sleep_for(1ms);
    running = {};
    co_await asyncfs::sleep_for(1ms);
    CHECK(asyncfs::is_cancelled(error));
    CHECK(cancelled == 1);
  }());
}

TEST_CASE("in_scope joins what its body spawned, and gives the body's value") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    int ended = 0;
    const auto body = [&ended](scope& s) -> task<int> {
      s.spawn(count_after(5ms, ended));
      co_return 3;
    };
    const int value = co_await asyncfs::in_scope(body);
    CHECK(value == 3);
    CHECK(ended == 1);
  }());
}

TEST_CASE("an exception of in_scope's body cancels what it spawned, and is thrown after they have ended") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    int cancelled = 0;
    const auto body = [&cancelled](scope& s) -> task<void> {
      s.spawn(wait_for_ever(cancelled));
      co_await asyncfs::sleep_for(1ms);
      throw std::runtime_error("body");
    };
    const std::string words = co_await words_of(asyncfs::in_scope(body));
    CHECK(words == "body");
    CHECK(cancelled == 1);
  }());
}

TEST_CASE("an error of what in_scope's body spawned cancels the body") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    int cancelled = 0;
    const auto body = [&cancelled](scope& s) -> task<void> {
      s.spawn(throw_after(1ms, "child"));
      co_await wait_for_ever(cancelled);
    };
    const std::string words = co_await words_of(asyncfs::in_scope(body));
    CHECK(words == "child");
    CHECK(cancelled == 1);
  }());
}

TEST_CASE("a body that cancels its own scope ends quietly, unless a value is owed") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    const auto without_value = [](scope& s) -> task<void> {
      s.cancel();
      co_await asyncfs::sleep_for(1h);
    };
    const std::string none = co_await words_of(asyncfs::in_scope(without_value));
    CHECK(none == "nothing");
    const auto with_value = [](scope& s) -> task<int> {
      s.cancel();
      co_await asyncfs::sleep_for(1h);
      co_return 1;
    };
    const std::error_code error = co_await tests::code_of(asyncfs::in_scope(with_value));
    CHECK(asyncfs::is_cancelled(error));
  }());
  CHECK(f.elapsed() == 0ms);
}

TEST_CASE("with a handler errors go to one place, and the others go on") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    int ended = 0;
    std::vector<std::string> errors;
    const auto body = [&ended](scope& s) -> task<void> {
      s.spawn(throw_after(1ms, "one"));
      s.spawn(count_after(2ms, ended));
      s.spawn(throw_after(3ms, "two"));
      co_return;
    };
    const auto handler = [&errors](const std::exception_ptr& error) {
      try {
        std::rethrow_exception(error);
      } catch (const std::exception& e) {
        errors.emplace_back(e.what());
      }
    };
    co_await asyncfs::in_scope(body, handler);
    CHECK(ended == 1);
    CHECK(errors == std::vector<std::string>{"one", "two"});
  }());
}

TEST_CASE("what a handler throws is the scope's error") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    int cancelled = 0;
    const auto body = [&cancelled](scope& s) -> task<void> {
      s.spawn(throw_after(1ms, "one"));
      s.spawn(wait_for_ever(cancelled));
      co_return;
    };
    const auto handler = [](const std::exception_ptr&) { throw std::runtime_error("give up"); };
    const std::string words = co_await words_of(asyncfs::in_scope(body, handler));
    CHECK(words == "give up");
    CHECK(cancelled == 1);
  }());
}

TEST_CASE("join waits for what was spawned after the last task had ended and before the joiner went on") {
  tests::still_clock f;
  f.run([]() -> task<void> {
    const asyncfs::task_context at = co_await asyncfs::this_task;
    asyncfs::event last_ended;
    int ended = 0;
    bool joined = false;
    {
      scope all(at);
      const auto last = [](asyncfs::event& e) -> task<void> {
        e.set();
        co_return;
      };
      const auto spawns_late = [](scope& s, asyncfs::event& e, int& count) -> task<void> {
        co_await e.wait();
        s.spawn(count_after(5ms, count));
      };
      auto late = asyncfs::spawn(at.home, spawns_late(all, last_ended, ended));
      co_await asyncfs::yield();
      all.spawn(last(last_ended));
      co_await all.join();
      joined = true;
      CHECK(ended == 1);
      CHECK(all.running() == 0);
      co_await std::move(late);
      if (all.running() != 0) co_await all.join();
    }
    CHECK(joined);
  }());
  CHECK(f.elapsed() == 5ms);
}
