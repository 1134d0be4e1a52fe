#include <asyncfs/asyncfs.hpp>
#include <asyncfs/nop.hpp>

#include "../catch.hpp"
#include "../support/fake_engine.hpp"

using asyncfs::cancel_scope;
using asyncfs::opcode;
using asyncfs::task;

namespace {

auto receive_some() { return asyncfs::detail::plain<opcode::recv, std::size_t>({.fd = 5, .length = 10}); }

struct fixture {
  fixture() {
    // Answers every cancel it is asked for.
    engine->idle = [this] {
      for (const std::uint64_t one : std::exchange(engine->cancels, {})) engine->complete(one, -ECANCELED);
    };
  }
  tests::fake_engine* engine = new tests::fake_engine;
  asyncfs::loop home{std::unique_ptr<asyncfs::engine>(engine)};
};

// An operation in a scope of the test's own, that counts its end.
struct started {
  asyncfs::task<void> work;
  bool ended = false, cancelled = false;
  void begin(asyncfs::loop& home, cancel_scope& scope) {
    work = [](started& s) -> task<void> {
      const auto r = co_await asyncfs::as_result(receive_some());
      s.ended = true;
      s.cancelled = !r && asyncfs::is_cancelled(r.error());
    }(*this);
    work.begin(home, scope, tests::unheard);
  }
};

}  // namespace

TEST_CASE("cancelling a scope cancels what is in it and below, and nothing beside it") {
  fixture f;
  cancel_scope above(&f.home.root()), below(&above), beside(&f.home.root());
  started a, b, c;
  a.begin(f.home, above);
  b.begin(f.home, below);
  c.begin(f.home, beside);
  above.cancel();
  CHECK(below.cancelled());
  CHECK_FALSE(beside.cancelled());
  f.home.run_until([&] { return a.ended && b.ended; });
  CHECK(a.cancelled);
  CHECK(b.cancelled);
  CHECK_FALSE(c.ended);
  beside.cancel();
  f.home.run_until([&] { return c.ended; });
}

TEST_CASE("cancelling twice asks the engine once") {
  fixture f;
  started a;
  a.begin(f.home, f.home.root());
  f.home.root().cancel();
  f.home.root().cancel();
  CHECK(f.engine->cancels.size() == 1);
  f.home.run_until([&] { return a.ended; });
}

TEST_CASE("a scope that joins a cancelled one is cancelled") {
  fixture f;
  cancel_scope parent, child;
  parent.cancel();
  parent.adopt(child);
  CHECK(child.cancelled());
  child.leave();
  cancel_scope later(&parent);
  CHECK(later.cancelled());
}

TEST_CASE("a scope that left is no longer cancelled with the others") {
  fixture f;
  cancel_scope parent, child(&parent);
  child.leave();
  child.leave();
  parent.cancel();
  CHECK_FALSE(child.cancelled());
}

TEST_CASE("what outlives a scope becomes its parent's, and is cancelled with that") {
  fixture f;
  started a, b;
  cancel_scope outer(&f.home.root());
  auto inner = std::make_unique<cancel_scope>(&outer);
  auto innermost = std::make_unique<cancel_scope>(inner.get());
  a.begin(f.home, *inner);
  b.begin(f.home, *innermost);
  inner.reset();
  outer.cancel();
  CHECK(innermost->cancelled());
  f.home.run_until([&] { return a.ended && b.ended; });
  CHECK(a.cancelled);
  CHECK(b.cancelled);
}

TEST_CASE("an operation that moves to a cancelled scope is cancelled") {
  fixture f;
  cancel_scope dead(&f.home.root());
  dead.cancel();
  struct slot final : asyncfs::detail::pending {
    explicit slot() : pending(opcode::recv, false) {}
    bool ended = false;
    std::int32_t value = 0;
    void prepare(asyncfs::request&) override {}
    void run() override {
      finish();
      ended = true;
      value = outcome().value;
    }
  } op;
  f.home.start_slowly(op, f.home.root());
  f.home.move_to(dead, op);
  f.home.run_until([&] { return op.ended; });
  CHECK(op.value == -ECANCELED);
}

TEST_CASE("draining cancels all that waits, and the loop serves again afterwards") {
  fixture f;
  int ended = 0;
  for (int i = 0; i < 10; ++i) asyncfs::start(f.home, receive_some(), [&](auto r) { ended += !r.has_value(); });
  f.home.drain();
  CHECK(ended == 10);
  CHECK(f.home.in_flight() == 0);
  CHECK_FALSE(f.home.root().cancelled());
  started a;
  a.begin(f.home, f.home.root());
  CHECK_FALSE(a.ended);
  f.home.drain();
  CHECK(a.cancelled);
}

TEST_CASE("scopes may be nested to any depth, and all are cancelled with the outermost") {
  constexpr std::size_t deep = 1'000'000;
  std::vector<std::unique_ptr<asyncfs::cancel_scope>> scopes;
  scopes.reserve(deep);
  asyncfs::cancel_scope outermost;
  asyncfs::cancel_scope* within = &outermost;
  for (std::size_t i = 0; i < deep; ++i) within = scopes.emplace_back(new asyncfs::cancel_scope(within)).get();
  // Branches, of which one was cancelled already.
  asyncfs::cancel_scope beside(&outermost), below(&beside), cancelled(&outermost), last(&outermost);
  cancelled.cancel();
  CHECK_FALSE(outermost.cancelled());
  outermost.cancel();
  CHECK(std::ranges::all_of(scopes, [](const auto& one) { return one->cancelled(); }));
  CHECK(beside.cancelled());
  CHECK(below.cancelled());
  CHECK(last.cancelled());
  while (!scopes.empty()) scopes.pop_back();
}

TEST_CASE("cancelling one branch of nested scopes leaves the others alone") {
  asyncfs::cancel_scope root, left(&root), middle(&root), right(&root), in_middle(&middle), in_right(&right);
  middle.cancel();
  CHECK(in_middle.cancelled());
  CHECK_FALSE(root.cancelled());
  CHECK_FALSE(left.cancelled());
  CHECK_FALSE(right.cancelled());
  CHECK_FALSE(in_right.cancelled());
}
