#include "hash/lanes.hpp"

#include <algorithm>
#include <utility>

namespace tool {

namespace {

std::size_t lanes_in(sha_family family, const lane_unit& by) noexcept {
  return by.register_bytes / (family == sha_family::sha512 ? sizeof(std::uint64_t) : sizeof(std::uint32_t));
}

constexpr std::size_t some_lanes = lane_unit::instructions_register / sizeof(std::uint32_t);
constexpr std::size_t some_worthwhile_from = 3;  // in some_lanes; OpenSSL is as quick with two, one after the other

// With fewer lanes busy, one message after the other is quicker, or some_lanes: there are instructions for SHA-1 and
// SHA-256 on most CPUs, and none for SHA-512.
std::size_t fewest_worthwhile(sha_family family, const lane_unit& by) noexcept {
  if (by.register_bytes == lane_unit::instructions_register) return some_worthwhile_from;
  return family == sha_family::sha512 ? 3 : lane_unit::cpu_has_sha_instructions() ? 6 : 4;
}

lane_function instructions_for(sha_family family) {
  for (const lane_unit& one : lane_unit::here(family))
    if (one.register_bytes == lane_unit::instructions_register) return one.run;
  return nullptr;
}

}  // namespace

std::unique_ptr<digest_lanes> digest_lanes::make(algorithm which, done_handler done) {
  if (!sha_digest::computes(which)) return nullptr;
  const sha_family family = sha_digest(which).family();
  for (const lane_unit& one : lane_unit::here(family)) {
    // Eight lanes of 32 bits are no quicker than one message after the other by the instructions.
    const bool gains = one.register_bytes == lane_unit::widest_register ||
                       one.register_bytes == lane_unit::instructions_register ||
                       (family != sha_family::sha512 && !lane_unit::cpu_has_sha_instructions());
    if (gains) return std::make_unique<digest_lanes>(family, one, std::move(done));
  }
  return nullptr;
}

digest_lanes::digest_lanes(sha_family family, const lane_unit& by, done_handler done)
    : family_(family),
      run_(by.run),
      run_some_(instructions_for(family)),
      worthwhile_from_(fewest_worthwhile(family, by)),
      done_(std::move(done)) {
  free_.reserve(most_lanes);
  busy_.reserve(most_lanes);
  for (std::size_t lane = lanes_in(family, by); lane-- > 0;) free_.push_back(lane);
}

bool digest_lanes::next_blocks(piece& one) {
  if (one.next == nullptr) {
    one.next = reinterpret_cast<const unsigned char*>(one.bytes.data());
    one.blocks = one.bytes.size() / one.into->block_bytes();
    if (one.blocks != 0) return true;
  }
  if (one.rest_taken) return false;
  one.rest_taken = true;
  const std::size_t block = one.into->block_bytes(), rest = one.bytes.size() % block;
  one.into->count(one.bytes.size() - rest);
  one.into->add(one.bytes.last(rest));
  if (!one.last) return false;
  const auto end = one.into->pad();
  one.next = end.data();
  one.blocks = end.size() / block;
  return true;
}

void digest_lanes::submit(piece& next) {
  if (!next_blocks(next)) return done_(next);
  enter(next);
  if (free_.empty()) run();
}

void digest_lanes::flush() {
  while (worthwhile()) run();
  while (run_some_ != nullptr && busy() >= some_worthwhile_from) run_some();
  while (!busy_.empty()) {
    piece& one = leave(busy_.size() - 1);
    do {
      one.into->add_blocks(one.next, one.blocks * one.into->block_bytes());
    } while (next_blocks(one));
    done_(one);
  }
}

namespace {

template <class Word>
void put(std::span<std::byte> state, std::size_t lane, std::size_t lanes, const sha_digest::words& words) noexcept {
  auto* const to = reinterpret_cast<Word*>(state.data()) + lane;
  for (std::size_t i = 0; i < words.size(); ++i) to[i * lanes] = static_cast<Word>(words[i]);
}

template <class Word>
void get(std::span<const std::byte> state, std::size_t lane, std::size_t lanes, sha_digest::words& words) noexcept {
  const auto* const from = reinterpret_cast<const Word*>(state.data()) + lane;
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = from[i * lanes];
}

}  // namespace

void digest_lanes::enter(piece& one) {
  const std::size_t lanes = busy_.size() + free_.size(), lane = free_.back();
  busy_.push_back(lane);
  free_.pop_back();
  lanes_[lane] = &one;
  family_ == sha_family::sha512 ? put<std::uint64_t>(state_, lane, lanes, one.into->state())
                                : put<std::uint32_t>(state_, lane, lanes, one.into->state());
}

digest_lanes::piece& digest_lanes::leave(std::size_t place) {
  const std::size_t lanes = busy_.size() + free_.size(), lane = busy_[place];
  busy_[place] = busy_.back();
  busy_.pop_back();
  free_.push_back(lane);
  piece& one = *std::exchange(lanes_[lane], nullptr);
  family_ == sha_family::sha512 ? get<std::uint64_t>(state_, lane, lanes, one.into->state())
                                : get<std::uint32_t>(state_, lane, lanes, one.into->state());
  return one;
}

void digest_lanes::add_shortest(std::span<piece* const> pieces, lane_function by, void* state) {
  const piece* shortest = nullptr;
  for (const piece* const one : pieces)
    if (one != nullptr && (shortest == nullptr || one->blocks < shortest->blocks)) shortest = one;
  const std::size_t blocks = shortest->blocks;
  // Idle lanes compute what nobody asks for. They must not read past the piece that they copy.
  std::array<const unsigned char*, most_lanes> in;
  for (std::size_t i = 0; i < pieces.size(); ++i) in[i] = (pieces[i] != nullptr ? pieces[i] : shortest)->next;
  by(state, in.data(), blocks);
  for (piece* const one : pieces) {
    if (one == nullptr) continue;
    one->next += blocks * one->into->block_bytes();
    one->blocks -= blocks;
  }
}

// Until the first of the pieces is done, and any that are done then.
void digest_lanes::run() {
  const std::size_t lanes = busy_.size() + free_.size();
  for (bool ended = false; !ended;) {
    add_shortest(std::span(lanes_).first(lanes), run_, state_.data());
    for (std::size_t i = busy_.size(); i-- > 0;) {
      piece& one = *lanes_[busy_[i]];
      if (one.blocks != 0 || next_blocks(one)) continue;
      leave(i);
      ended = true;
      done_(one);
    }
  }
}

// The same of the last few, in lanes of their own.
void digest_lanes::run_some() {
  alignas(lane_unit::instructions_register) std::array<std::byte, 8 * lane_unit::instructions_register> state{};
  std::array<piece*, some_lanes> some{};
  const std::size_t count = std::min(busy(), some_lanes);
  for (std::size_t i = 0; i < count; ++i) {
    some[i] = &leave(busy_.size() - 1);
    put<std::uint32_t>(state, i, some_lanes, some[i]->into->state());
  }
  add_shortest(some, run_some_, state.data());
  for (std::size_t i = 0; i < count; ++i) {
    piece& one = *some[i];
    get<std::uint32_t>(state, i, some_lanes, one.into->state());
    if (one.blocks != 0 || next_blocks(one))
      enter(one);
    else
      done_(one);
  }
}

}  // namespace tool
