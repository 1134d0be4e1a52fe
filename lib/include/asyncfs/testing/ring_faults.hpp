// Faults on demand, on every engine: for testing how a program takes it when the system refuses.
//
//   asyncfs::testing::ring_faults faults;
//   faults.fail(3, EIO);                              // the third operation from now on
//   faults.fail(1, asyncfs::opcode::write, ENOSPC);   // and the first write
//   asyncfs::loop home(faults.on(options));
//
// A failed operation is not carried out, but takes the way of a real one: on the ring the kernel itself completes it
// with the error (Linux 6.10; before that the engine does). A close that fails has closed, as close(2) does.
//
// For one engine at a time; on that engine's thread but for construction. Must outlive the engine. The loop's timers
// and its wake-ups are no operations.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include <asyncfs/engine.hpp>
#include <asyncfs/loop.hpp>

namespace [[gnu::visibility("default")]] asyncfs {
namespace testing {

class ring_faults {
 public:
  ring_faults() {
    faults_.inject = [this](const request& work) { return verdict(work); };
  }
  ring_faults(const ring_faults&) = delete;
  ring_faults& operator=(const ring_faults&) = delete;

  // Options for an engine, or a loop, that these faults will strike.
  [[nodiscard]] engine_options on(engine_options options = {}) const noexcept {
    options.faults = &faults_;
    return options;
  }
  [[nodiscard]] loop_options on(loop_options options) const noexcept {
    options.engine = on(options.engine);
    return options;
  }

  // The n-th operation from now on, counted from 1, fails with this errno value; those after it do not.
  ring_faults& fail(std::size_t nth, int error) { return add({.at = submitted_ + nth, .value = -error}); }
  // The n-th of this opcode does.
  ring_faults& fail(std::size_t nth, opcode code, int error) {
    return add({.code = code, .only_this_code = true, .at = submitted(code) + nth, .value = -error});
  }
  // The n-th of this opcode ends with a value that the system call might have returned: a short transfer, say.
  ring_faults& answer(std::size_t nth, opcode code, std::int32_t value) {
    return add({.code = code, .only_this_code = true, .at = submitted(code) + nth, .value = value});
  }
  // All of this opcode fail.
  ring_faults& fail_every(opcode code, int error) {
    return add({.code = code, .only_this_code = true, .at = 0, .value = -error});
  }
  // Forgets what was to fail; what was counted stays.
  void clear() noexcept { plans_.clear(); }

  // Before the engine is made: the uring engine's kernel refuses the opcode with EACCES ...
  ring_faults& deny(opcode code) {
    faults_.denied.push_back(code);
    return *this;
  }
  // ... or seems too old to have it, so that the engine falls back. Without an essential one it cannot be made.
  ring_faults& lack(opcode code) {
    faults_.missing.push_back(code);
    return *this;
  }
  // Before the engine is made: nothing is counted or failed, so that operations take their ordinary way.
  ring_faults& only_denials() {
    faults_.inject = nullptr;
    return *this;
  }

  // How many operations were submitted, and how many of them were failed or answered here.
  [[nodiscard]] std::size_t submitted() const noexcept { return submitted_; }
  [[nodiscard]] std::size_t submitted(opcode code) const noexcept { return by_code_[index(code)]; }
  [[nodiscard]] std::size_t struck() const noexcept { return struck_; }

 private:
  struct plan {
    opcode code = opcode::nop;
    bool only_this_code = false;
    std::size_t at = 0;  // this one; 0: every one
    std::int32_t value = 0;
  };
  static std::size_t index(opcode code) noexcept { return static_cast<std::uint8_t>(code); }

  ring_faults& add(const plan& one) {
    plans_.push_back(one);
    return *this;
  }
  std::optional<std::int32_t> verdict(const request& work) noexcept {
    ++submitted_;
    ++by_code_[index(work.code)];
    for (const plan& one : plans_) {
      if (one.only_this_code && one.code != work.code) continue;
      if (one.at != 0 && one.at != (one.only_this_code ? submitted(one.code) : submitted_)) continue;
      ++struck_;
      return one.value;
    }
    return std::nullopt;
  }

  engine_faults faults_;
  std::vector<plan> plans_;
  std::array<std::size_t, 256> by_code_{};
  std::size_t submitted_ = 0, struck_ = 0;
};

}  // namespace testing
}  // namespace asyncfs
