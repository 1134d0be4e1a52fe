#include "hash/file_digester.hpp"

#include <asyncfs/directory.hpp>
#include <asyncfs/offload.hpp>

#include <algorithm>
#include <cerrno>

#include "hash/blake3.hpp"
#include "hash/large_file.hpp"

namespace tool {

namespace {

constexpr std::uint64_t sparse_from = std::uint64_t{1} << 20;  // below, looking for holes costs more than reading them
constexpr std::uint64_t large_from = std::uint64_t{4} << 20;   // below, handing pieces to other threads gains nothing
constexpr unsigned bytes_a_block = 512;                        // of st_blocks
constexpr std::uint64_t zeros_at_once = std::uint64_t{16} << 20;  // between two cancels; some 10 ms of SHA-256
constexpr std::uint64_t few_zeros = std::uint64_t{256} << 10;     // cost less than handing them to another thread

bool has_holes(const asyncfs::file_status& status) noexcept {
  return status.is_regular() && status.size >= sparse_from && status.blocks * bytes_a_block < status.size;
}

bool is_large(const asyncfs::file_status& status) noexcept {
  return status.is_regular() && status.size >= large_from && !has_holes(status);
}

bool all_quick(std::span<const algorithm> which) noexcept {
  return std::ranges::all_of(which, [](algorithm one) { return describe(one).quick; });
}

}  // namespace

lane_queue* loop_share::lanes_of(algorithm which) {
  maybe& one = lanes_[static_cast<std::size_t>(which)];
  if (!one.asked) {
    one.asked = true;
    one.queue = lane_queue::make(which);
  }
  return one.queue.get();
}

file_digester::file_digester(std::shared_ptr<loop_share> share) : share_(std::move(share)) {}

asyncfs::task<file_digester::outcome> file_digester::digest(const asyncfs::file& source, stability begun,
                                                            std::span<const algorithm> which) {
  using kind = outcome::kind;
  const read_buffers::lease lease(share_->buffers);
  buffer_ = lease.bytes();
  std::optional<asyncfs::file_status> before;
  for (;;) {
    const reading read = co_await read_all(source, which);
    if (read.error) co_return outcome{kind::unreadable, read.error};
    // Files that have no size to compare with (pipes, and those in /proc) are what was read.
    const bool measurable = read.status.is_regular() && read.status.size != 0;
    const bool still = !measurable || (read.status.size == read.size && begun.proves_unchanged(read.status)) ||
                       // Changed a moment ago, or of a size that lies (as in /sys): a second reading between two equal
                       // statuses is proof.
                       (before && before->changed == read.status.changed && before->size == read.status.size);
    if (still) co_return outcome{kind::done, {}, read.size, values_, read.status};
    if (before) co_return outcome{kind::changed};
    share_->whole.moved_back(read.size);
    before = read.status;
  }
}

asyncfs::task<file_digester::outcome> file_digester::digest_stream(const asyncfs::file& source,
                                                                   std::span<const algorithm> which) {
  const read_buffers::lease lease(share_->buffers);
  buffer_ = lease.bytes();
  values_.assign(which.size(), {});
  begin(which);
  const reading read = co_await read_on(source, which, asyncfs::stream_position);
  end(which);
  if (read.error) co_return outcome{outcome::kind::unreadable, read.error};
  co_return outcome{outcome::kind::done, {}, read.size, values_};
}

void file_digester::begin(std::span<const algorithm> which) {
  for (const algorithm one : which) {
    auto& digest = digests_[static_cast<std::size_t>(one)];
    if (!digest) digest = digest::make(one);
    digest->begin();
  }
}

void file_digester::end(std::span<const algorithm> which) {
  for (std::size_t i = 0; i < which.size(); ++i) values_[i] = digests_[static_cast<std::size_t>(which[i])]->end();
}

void file_digester::add_here(std::span<const std::byte> bytes, std::span<const algorithm> which) {
  for (const algorithm one : which) digests_[static_cast<std::size_t>(one)]->add(bytes);
}

// As `add_here`, but in the lanes where there are any.
asyncfs::task<void> file_digester::add(std::span<const std::byte> bytes, std::span<const algorithm> which, bool last) {
  for (const algorithm one : which) {
    class digest& digest = *digests_[static_cast<std::size_t>(one)];
    if (lane_queue* const lanes = share_->lanes_of(one))
      co_await lanes->add(static_cast<sha_digest&>(digest), bytes, last);
    else
      digest.add(bytes);
  }
}

// A hole may take hours: they are added on a computing thread, so that the loop goes on meanwhile.
asyncfs::task<void> file_digester::add_zeros(std::uint64_t count, std::span<const algorithm> which) {
  while (count > 0) {
    const std::uint64_t some = std::min(count, zeros_at_once);
    const auto add = [this, some, which] {
      for (const algorithm one : which) digests_[static_cast<std::size_t>(one)]->add_zeros(some);
    };
    if (some > few_zeros)
      co_await asyncfs::offload(add);
    else
      add();
    count -= some;
  }
}

// Whether a large file should be digested on a computing thread: not where lanes are busy, and it can join them.
bool file_digester::better_beside(std::span<const algorithm> which) {
  lane_queue* const lanes = which.size() == 1 ? share_->lanes_of(which.front()) : nullptr;
  return lanes == nullptr || !lanes->worthwhile();
}

// From the beginning to the end.
asyncfs::task<file_digester::reading> file_digester::read_all(const asyncfs::file& source,
                                                              std::span<const algorithm> which) {
  values_.assign(which.size(), {});
  begin(which);
  const auto first = co_await share_->whole.read_at(source, buffer_, 0);
  if (!first && first.error().value() != ESPIPE) co_return reading{.error = first.error()};
  if (first) {
    const std::span<const std::byte> bytes = buffer_.first(*first);
    const auto status = co_await asyncfs::as_result(source.status());
    if (!status) co_return reading{.error = status.error()};
    const bool whole = *first == 0 || (*first < buffer_.size() && status->is_regular() && status->size == *first);
    if (has_blake3_tree && is_large(*status) && which.size() == 1 && which.front() == algorithm::blake3) {
      share_->whole.moved_back(*first);
      co_return co_await read_large(source, which, 0);
    }
    co_await add(bytes, which, whole);
    if (whole) {
      end(which);
      co_return reading{.size = *first, .status = *status};
    }
  }
  const reading all = co_await read_on(source, which, first ? *first : asyncfs::stream_position);
  end(which);
  co_return all;
}

// The rest of the file from `offset`, while this thread does other things; of BLAKE3, which is done then, all of it.
asyncfs::task<file_digester::reading> file_digester::read_large(const asyncfs::file& source,
                                                                std::span<const algorithm> which,
                                                                std::uint64_t offset) {
  large_files& all = *share_->large;
  const auto permit = co_await all.at_once.acquire();
  large_reading read;
  if (offset == 0)
    read = co_await digest_blake3_spread(share_->whole, all, source, values_.front());
  else
    read = co_await (all_quick(which) ? read_here : read_beside)(
        share_->whole, all, source, offset,
        [this, which](std::span<const std::byte> piece) { add_here(piece, which); });
  if (read.error) co_return reading{.error = read.error};
  const auto status = co_await asyncfs::as_result(source.status());
  if (!status) co_return reading{.error = status.error()};
  co_return reading{.size = read.size, .status = *status};
}

// Where the data after `from` begins and ends; at the end of the file twice when there is none, and both at `from` when
// the file system cannot tell, or the file has shrunk.
asyncfs::task<file_digester::extent> file_digester::next_extent(const asyncfs::file& source, std::uint64_t from) {
  const auto data = co_await asyncfs::as_result(source.next_data(from));
  if (data) {
    const auto hole = co_await asyncfs::as_result(source.next_hole(*data));
    if (hole && *data >= from && *hole > *data) co_return extent{*data, *hole};
  } else if (data.error().value() == ENXIO) {
    const auto status = co_await asyncfs::as_result(source.status());
    if (status && status->size >= from) co_return extent{status->size, status->size};
  }
  co_return extent{from, from};
}

// The rest of a file from `offset`, or of a stream from where it is. Holes are not read.
asyncfs::task<file_digester::reading> file_digester::read_on(const asyncfs::file& source,
                                                             std::span<const algorithm> which, std::uint64_t offset) {
  const bool stream = offset == asyncfs::stream_position;
  std::uint64_t size = stream ? 0 : offset;
  std::uint64_t data_until = 0;  // beyond, a hole may begin
  bool may_have_holes = false;
  std::uint64_t beside_until = 0;  // before, what is left is long enough to hand over
  if (!stream) {
    const auto status = co_await asyncfs::as_result(source.status());
    if (!status) co_return reading{.error = status.error()};
    may_have_holes = has_holes(*status);
    if (is_large(*status)) beside_until = status->size - large_from + buffer_.size() + 1;
  }
  for (;;) {
    if (size < beside_until && better_beside(which)) co_return co_await read_large(source, which, size);
    if (may_have_holes && size >= data_until) {
      const extent next = co_await next_extent(source, size);
      co_await add_zeros(next.begin - size, which);
      size = next.begin;
      data_until = next.end;
      may_have_holes = next.end > next.begin;
    }
    const auto got = co_await share_->whole.read_at(source, buffer_, stream ? asyncfs::stream_position : size);
    if (!got) co_return reading{.error = got.error()};
    co_await add(buffer_.first(*got), which, false);
    size += *got;
    if (*got == buffer_.size()) continue;
    // Short: the end, if nothing came or the size says so too.
    const auto status = co_await asyncfs::as_result(source.status());
    if (!status) co_return reading{.error = status.error()};
    if (*got == 0 || (status->is_regular() && status->size == size)) co_return reading{.size = size, .status = *status};
  }
}

}  // namespace tool
