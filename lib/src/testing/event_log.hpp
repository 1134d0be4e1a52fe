// What happened in a simulation, event by event: a fingerprint of all of it, and the text of what came last.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <asyncfs/engine.hpp>
#include <asyncfs/testing/fault.hpp>

namespace asyncfs::testing::detail {

class event_log {
 public:
  enum class event : std::uint8_t { submitted, effect, waits, completed, cancel, fault_met, slept };

  // `exact`: descriptors and names are the same in each run, so that they are part of the fingerprint.
  event_log(bool exact, std::size_t most_kept) : exact_(exact), most_kept_(most_kept) {}

  void submitted(steady_time at, std::uint64_t operation, const request& work);
  void note(event what, steady_time at, std::uint64_t operation, opcode code, std::int64_t value) {
    forget_old();
    kept_.push_back({.what = what, .code = code, .operation = operation, .value = value, .at = at});
    mix(static_cast<std::uint64_t>(what) << 8 | static_cast<std::uint64_t>(code));
    mix(operation);
    const bool descriptor = !exact_ && value > 0 && gives_descriptor(code);
    mix(static_cast<std::uint64_t>(descriptor ? 0 : value));
    mix(static_cast<std::uint64_t>(at.time_since_epoch().count()));
  }
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }
  // The last events, one a line.
  [[nodiscard]] std::string text(std::size_t most) const;

 private:
  struct entry {
    event what;
    opcode code;
    std::uint64_t operation;
    std::int64_t value;
    steady_time at;
    std::int32_t fd = -1;
    std::uint64_t offset = 0;
    std::array<char, 40> name{};  // the end of the path, when the request has one
  };
  static bool gives_descriptor(opcode code) noexcept {
    return code == opcode::openat || code == opcode::openat2 || code == opcode::create || code == opcode::socket ||
           code == opcode::accept;
  }
  void mix(std::uint64_t with) noexcept { hash_ = (hash_ ^ with) * 0x100000001b3; }
  void forget_old() {
    if (kept_.size() < most_kept_ * 2) return;
    kept_.erase(kept_.begin(), kept_.end() - static_cast<std::ptrdiff_t>(most_kept_));
  }
  static std::string line(const entry& one);

  const bool exact_;
  const std::size_t most_kept_;
  std::vector<entry> kept_;
  std::uint64_t hash_ = 0xcbf29ce484222325;
};

}  // namespace asyncfs::testing::detail
