#include "hash/lanes.hpp"

#include <algorithm>
#include <utility>

namespace tool {

namespace {

std::size_t lanes_in(sha_family family, const lane_functions& by) noexcept {
  return by.register_bytes / (family == sha_family::sha512 ? sizeof(std::uint64_t) : sizeof(std::uint32_t));
}

// With fewer lanes busy, OpenSSL is quicker one message after the other: it has instructions for SHA-1 and SHA-256 on
// most CPUs, and none for SHA-512.
std::size_t fewest_worthwhile(sha_family family) noexcept {
  return family == sha_family::sha512 ? 3 : lane_functions::cpu_has_sha_instructions() ? 6 : 4;
}

}  // namespace

std::unique_ptr<digest_lanes> digest_lanes::make(algorithm which, done_handler done) {
  const auto here = lane_functions::here();
  if (!sha_digest::computes(which) || here.empty()) return nullptr;
  const sha_family family = sha_digest(which).family();
  // Eight lanes of 32 bits are no quicker than these instructions.
  const bool wide = here.front().register_bytes == lane_functions::widest_register;
  if (!wide && (family == sha_family::sha512 || lane_functions::cpu_has_sha_instructions())) return nullptr;
  return std::make_unique<digest_lanes>(family, here.front(), std::move(done));
}

digest_lanes::digest_lanes(sha_family family, const lane_functions& by, done_handler done)
    : family_(family), run_(by.of(family)), worthwhile_from_(fewest_worthwhile(family)), done_(std::move(done)) {
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
  enter(free_.back(), next);
  busy_.push_back(free_.back());
  free_.pop_back();
  if (free_.empty()) run();
}

void digest_lanes::flush() {
  while (worthwhile()) run();
  while (!busy_.empty()) {
    const std::size_t lane = busy_.back();
    piece& one = *lanes_[lane];
    leave(lane);
    busy_.pop_back();
    free_.push_back(lane);
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

void digest_lanes::enter(std::size_t lane, piece& one) {
  lanes_[lane] = &one;
  const std::size_t lanes = busy_.size() + free_.size();
  family_ == sha_family::sha512 ? put<std::uint64_t>(state_, lane, lanes, one.into->state())
                                : put<std::uint32_t>(state_, lane, lanes, one.into->state());
}

void digest_lanes::leave(std::size_t lane) noexcept {
  const std::size_t lanes = busy_.size() + free_.size();
  family_ == sha_family::sha512 ? get<std::uint64_t>(state_, lane, lanes, lanes_[lane]->into->state())
                                : get<std::uint32_t>(state_, lane, lanes, lanes_[lane]->into->state());
}

// Until the first of the pieces is done, and any that are done then. Idle lanes compute what nobody asks for.
void digest_lanes::run() {
  const std::size_t block = family_ == sha_family::sha512 ? 128 : 64;
  for (bool ended = false; !ended;) {
    std::array<const unsigned char*, most_lanes> in;
    in.fill(lanes_[busy_.front()]->next);
    std::size_t blocks = lanes_[busy_.front()]->blocks;
    for (const std::size_t lane : busy_) {
      in[lane] = lanes_[lane]->next;
      blocks = std::min(blocks, lanes_[lane]->blocks);
    }
    // An idle lane must not read past the piece that it copies: it is as long as the shortest at least.
    run_(state_.data(), in.data(), blocks);
    for (const std::size_t lane : busy_) {
      lanes_[lane]->next += blocks * block;
      lanes_[lane]->blocks -= blocks;
    }
    for (std::size_t i = busy_.size(); i-- > 0;) {
      const std::size_t lane = busy_[i];
      piece& one = *lanes_[lane];
      if (one.blocks != 0 || next_blocks(one)) continue;
      leave(lane);
      busy_[i] = busy_.back();
      busy_.pop_back();
      free_.push_back(lane);
      ended = true;
      done_(one);
    }
  }
}

}  // namespace tool
