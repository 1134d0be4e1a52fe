// SHA-1 and SHA-2 of many messages at once: one in each lane of the CPU's vector registers.
//
// On x86-64 with AVX-512, sixteen messages cost what five cost one after the other; with instructions for SHA-256 alone,
// four cost what two and a half do. Messages that are taken in wait until all lanes are busy; then they run until one has
// done its own. One object a thread.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "hash/lane_functions.hpp"
#include "hash/sha.hpp"

namespace tool {

class digest_lanes {
 public:
  // A piece of a message. It goes the same way as `into->add(bytes)`, and with `last` what `into->end()` computes, too.
  struct piece {
    sha_digest* into = nullptr;  // between blocks
    std::span<const std::byte> bytes;
    bool last = false;

   private:
    friend class digest_lanes;
    const unsigned char* next = nullptr;
    std::size_t blocks = 0;   // left, from `next`
    bool rest_taken = false;  // they are the end of the message, if any
  };

  // Called for every piece that is done. It must not submit.
  using done_handler = std::function<void(piece&)>;

  // Null when this CPU gains nothing by it for this algorithm.
  static std::unique_ptr<digest_lanes> make(algorithm which, done_handler done);
  digest_lanes(sha_family family, const lane_unit& by, done_handler done);
  digest_lanes(const digest_lanes&) = delete;
  digest_lanes& operator=(const digest_lanes&) = delete;

  // The piece and its bytes must stay until it is done; that may be before this returns.
  void submit(piece& next);
  // Does all that were submitted: in the lanes while enough of them are busy for that to be quicker, the rest in fewer
  // lanes, or one after the other.
  void flush();
  [[nodiscard]] std::size_t busy() const noexcept { return busy_.size(); }
  [[nodiscard]] bool worthwhile() const noexcept { return busy() >= worthwhile_from_; }
  // One that is not done; null when there is none.
  [[nodiscard]] piece* any() const noexcept { return busy_.empty() ? nullptr : lanes_[busy_.front()]; }

 private:
  static constexpr std::size_t most_lanes = lane_unit::widest_register / sizeof(std::uint32_t);

  // Whether there are blocks to be added, be it those at the end of the message.
  static bool next_blocks(piece& one);
  void enter(piece& one);
  piece& leave(std::size_t place);  // in busy_
  // As many blocks to each piece as the shortest has left; null: an idle lane.
  static void add_shortest(std::span<piece* const> pieces, lane_function by, void* state);
  void run();
  void run_some();

  const sha_family family_;
  const lane_function run_;
  const lane_function run_some_;  // fewer lanes, for the rest; null where there is nothing of the kind
  const std::size_t worthwhile_from_;
  const done_handler done_;
  alignas(lane_unit::widest_register) std::array<std::byte, 8 * lane_unit::widest_register> state_{};
  std::array<piece*, most_lanes> lanes_{};  // null: idle
  std::vector<std::size_t> free_, busy_;    // lanes
};

}  // namespace tool
