#include "hash/large_file.hpp"

#include <asyncfs/event.hpp>
#include <asyncfs/offload.hpp>
#include <asyncfs/scope.hpp>
#include <asyncfs/when.hpp>
#include <asyncfs/yield.hpp>

#include <array>
#include <deque>

#include "hash/blake3.hpp"

namespace tool {

namespace {

constexpr std::size_t piece_bytes = large_files::piece_bytes;
constexpr std::size_t piece_read_here = std::size_t{256} << 10;  // stays in the second-level cache

// Reads until the buffer is full or the file ends. How many bytes came.
asyncfs::task<asyncfs::result<std::size_t>> fill(job& whole, const asyncfs::file& source, std::span<std::byte> buffer,
                                                 std::uint64_t offset) {
  std::size_t filled = 0;
  while (filled < buffer.size()) {
    const auto got = co_await whole.read_at(source, buffer.subspan(filled), offset + filled);
    if (!got) co_return std::unexpected(got.error());
    if (*got == 0) break;
    filled += *got;
  }
  co_return filled;
}

}  // namespace

namespace {

asyncfs::task<void> add_there(const piece_taker& add, std::span<const std::byte> piece) {
  co_await asyncfs::offload([&add, piece] { add(piece); });
}

asyncfs::task<void> add_here(const piece_taker& add, std::span<const std::byte> piece) {
  co_await asyncfs::yield();  // so that the read beside it has begun
  add(piece);
}

// Adds one piece while the next is read.
asyncfs::task<large_reading> read_ahead(job& whole, large_files& all, const asyncfs::file& source, std::uint64_t offset,
                                        const piece_taker& add,
                                        asyncfs::task<void> (*add_piece)(const piece_taker&,
                                                                         std::span<const std::byte>)) {
  const large_files::buffer one(all), other(all);
  const std::array buffers{one.bytes(), other.bytes()};
  std::size_t turn = 0;
  auto filled = co_await fill(whole, source, buffers[0], offset);
  while (filled && *filled > 0) {
    const std::span<const std::byte> piece = buffers[turn].first(*filled);
    offset += piece.size();
    turn = 1 - turn;
    auto both = co_await asyncfs::when_all(fill(whole, source, buffers[turn], offset), add_piece(add, piece));
    filled = std::get<0>(both);
  }
  if (!filled) co_return large_reading{filled.error(), offset};
  co_return large_reading{{}, offset};
}

}  // namespace

asyncfs::task<large_reading> read_beside(job& whole, large_files& all, const asyncfs::file& source,
                                         std::uint64_t offset, piece_taker add) {
  co_return co_await read_ahead(whole, all, source, offset, add, add_there);
}

asyncfs::task<large_reading> read_here(job& whole, large_files& all, const asyncfs::file& source, std::uint64_t offset,
                                       piece_taker add) {
  // To ask what is cached would make the kernel read ahead, into the cache.
  if (whole.options.direct) co_return co_await read_ahead(whole, all, source, offset, add, add_here);
  const large_files::buffer memory(all);
  const std::span<std::byte> buffer = memory.bytes().first(piece_read_here);
  for (;;) {
    auto got = co_await asyncfs::as_result(source.read_cached_at(buffer, offset));
    if (!got && got.error() == std::errc::operation_not_supported)
      co_return co_await read_ahead(whole, all, source, offset, add, add_here);
    if (!got)
      got = co_await whole.read_at(source, buffer, offset);
    else if (whole.moved(*got))
      co_await whole.pace(*got);
    if (!got) co_return large_reading{got.error(), offset};
    if (*got == 0) co_return large_reading{{}, offset};
    add(buffer.first(*got));
    offset += *got;
  }
}

namespace {

// A buffer on its way round: filled, digested, joined, filled again. The next in the ring holds what comes next in the
// file, so joining in the order of the ring is joining in the file's.
struct slot {
  explicit slot(large_files& all) : buffer(all) {}
  large_files::buffer buffer;
  blake3_subtree subtree{};
  asyncfs::event digested;
  bool in_use = false;
};

asyncfs::task<void> digest_slot(slot& one, std::uint64_t offset) {
  one.subtree = co_await asyncfs::offload([&one, offset] { return blake3_digest_subtree(one.buffer.bytes(), offset); });
  one.digested.set();
}

asyncfs::task<void> join_slot(slot& one, blake3_joiner& into) {
  if (!one.in_use) co_return;
  co_await one.digested.wait();
  one.digested.reset();
  one.in_use = false;
  into.add(one.subtree, piece_bytes);
}

asyncfs::task<large_reading> spread(asyncfs::scope& digesting, job& whole, large_files& all,
                                    const asyncfs::file& source, digest_value& into) {
  const large_files::pieces in_hand(all);
  std::deque<slot> ring;
  while (ring.size() < in_hand.count()) ring.emplace_back(all);
  blake3_joiner joiner;
  std::uint64_t offset = 0;
  for (std::size_t turn = 0;; turn = (turn + 1) % ring.size()) {
    slot& next = ring[turn];
    co_await join_slot(next, joiner);
    const auto filled = co_await fill(whole, source, next.buffer.bytes(), offset);
    if (filled && *filled == piece_bytes) {
      next.in_use = true;
      digesting.spawn(digest_slot(next, offset));
      offset += piece_bytes;
      continue;
    }
    for (std::size_t i = 1; i < ring.size(); ++i) co_await join_slot(ring[(turn + i) % ring.size()], joiner);
    // The slots must outlive what was spawned, also where the reading failed.
    co_await digesting.join();
    if (!filled) co_return large_reading{filled.error(), offset};
    joiner.add_rest(next.buffer.bytes().first(*filled));
    into = joiner.end();
    co_return large_reading{{}, offset + *filled};
  }
}

}  // namespace

asyncfs::task<large_reading> digest_blake3_spread(job& whole, large_files& all, const asyncfs::file& source,
                                                  digest_value& into) {
  return asyncfs::in_scope([&whole, &all, &source, &into](asyncfs::scope& digesting) {
    return spread(digesting, whole, all, source, into);
  });
}

}  // namespace tool
