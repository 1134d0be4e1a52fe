// Every operation of every scenario fails once, on every engine: the scenario ends, says so or does without, and leaves
// nothing behind.
#include <asyncfs/testing/ring_faults.hpp>

#include "../support/scenarios.hpp"

using asyncfs::testing::ring_faults;
using tests::place;

namespace {

constexpr std::size_t most_operations = 2000;  // of one scenario: more means that it does not end

struct outcome {
  bool succeeded = false;
  bool wrong = false;  // it neither did its work nor said that it had not
  int error = 0;       // of a std::system_error
  std::string words;
};

outcome run_once(const tests::scenario& what, const tests::engine_under_test& engine, ring_faults& faults) {
  const tests::temporary_directory temporary;
  if (what.prepare != nullptr) what.prepare(temporary.path());
  const asyncfs::directory dir(::open(temporary.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  asyncfs::loop home(faults.on(engine.options));
  place at{home, dir, temporary.path(), engine.name};
  outcome how;
  try {
    asyncfs::run(home, what.run(at));
    how.succeeded = true;
  } catch (const std::system_error& e) {
    how.error = e.code().value();
    how.words = e.what();
  } catch (const tests::wrong_outcome& e) {
    how.wrong = true;
    how.words = e.what();
  } catch (const std::exception& e) {
    how.words = e.what();
  }
  CHECK(home.in_flight() == 0);
  return how;
}

// Where two talk to each other, the one whose operation failed may be heard of by the other first.
bool follows_from_another(int error) { return error == ECONNABORTED || error == ECONNRESET || error == EPIPE; }

void fail_every_operation(const tests::scenario& what, const tests::engine_under_test& engine, int error) {
  std::size_t reported = 0;
  for (std::size_t n = 1;; ++n) {
    INFO(what.name << " on " << engine.name << ", operation " << n << " fails: " << std::strerror(error));
    REQUIRE(n < most_operations);
    const std::size_t before = tests::open_descriptors();
    ring_faults faults;
    faults.fail(n, error);
    const outcome how = run_once(what, engine, faults);
    CHECK(tests::open_descriptors() == before);
    INFO(how.words);
    if (faults.struck() == 0) {
      CHECK(how.succeeded);
      break;
    }
    CHECK_FALSE(how.wrong);
    reported += !how.succeeded;
    if (how.error != 0) CHECK((how.error == error || how.error == EISDIR || follows_from_another(how.error)));
  }
  INFO(what.name << " on " << engine.name);
  const bool recovers = what.name == "a future recovers from an error";
  CHECK((reported > 0 || recovers));
}

}  // namespace

TEST_CASE("whichever operation fails, a scenario ends, reports it or does without, and leaves nothing behind") {
  for (const tests::engine_under_test& engine : tests::real_engines()) {
    DYNAMIC_SECTION(engine.name) {
      if (const std::string reason = tests::refusal(engine); !reason.empty()) {
        tests::leave_out("the engine '" + engine.name + "': " + reason);
        continue;
      }
      for (const tests::scenario& what : tests::scenarios()) {
        std::signal(SIGALRM, tests::hung);
        ::alarm(30);
        for (const int error : {EIO, ENOMEM}) fail_every_operation(what, engine, error);
        ::alarm(0);
      }
    }
  }
}
