// How many files are worked on at once, by what the loop sees of the device.
#include <pipeline/working_depth.hpp>

#include "../catch.hpp"

using asyncfs::loop;
using tool::working_depth;

namespace {

// What a loop counts while `share` of the operations in flight have ended at each turn.
class flow {
 public:
  explicit flow(working_depth& depth) : depth_(depth) {}
  void go_on(double share, unsigned completions) {
    for (unsigned i = 0; i < completions; ++i) {
      ++total_.completed;
      in_flight_ += 1 / share;
      total_.in_flight = static_cast<std::uint64_t>(in_flight_);
      depth_.look(total_);
    }
  }

 private:
  working_depth& depth_;
  loop::flow_counters total_{};
  double in_flight_ = 0;
};

constexpr double cached = 1, waiting = 0.2;

}  // namespace

TEST_CASE("files that are cached are worked on few at a time") {
  working_depth depth(false, 256, {});
  flow turns(depth);
  turns.go_on(cached, 100'000);
  CHECK(depth.now() == working_depth::when_cached);
}

TEST_CASE("a device that sets the pace soon gets as many as allowed") {
  for (const unsigned most : {256u, 100u}) {
    working_depth depth(false, most, {});
    flow turns(depth);
    turns.go_on(waiting, 200);
    CHECK(depth.now() == most);
  }
}

TEST_CASE("what a device brings in large pieces looks cached, and does not make the queue shallow") {
  working_depth depth(false, 256, {});
  flow turns(depth);
  turns.go_on(waiting, 1000);
  for (int i = 0; i < 20; ++i) {
    turns.go_on(cached, 1500);
    CHECK(depth.now() == 256);
    turns.go_on(waiting, 200);
  }
}

TEST_CASE("when the rest is cached, few are worked on at a time again") {
  working_depth depth(false, 256, {});
  flow turns(depth);
  turns.go_on(waiting, 1000);
  turns.go_on(cached, 10'000);
  CHECK(depth.now() == working_depth::when_cached);
}

TEST_CASE("as many as the user has asked for are worked on, whatever the device does") {
  working_depth depth(true, 7, {});
  flow turns(depth);
  turns.go_on(waiting, 10'000);
  turns.go_on(cached, 10'000);
  CHECK(depth.now() == 7);
}

TEST_CASE("where fewer are allowed than cached files ask for, there are no more") {
  working_depth depth(false, 3, {});
  flow turns(depth);
  turns.go_on(cached, 10'000);
  CHECK(depth.now() == 3);
}
