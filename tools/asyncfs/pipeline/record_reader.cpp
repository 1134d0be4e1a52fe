#include "pipeline/record_reader.hpp"

#include <span>
#include <utility>

namespace tool {

namespace {

constexpr std::size_t read_piece = std::size_t{64} << 10;

}  // namespace

std::optional<record_reader::record> record_reader::take() {
  const std::string_view rest = std::string_view(unread_).substr(taken_);
  const std::size_t end = rest.find(end_);
  if (end == std::string_view::npos && (!at_end_ || (rest.empty() && !too_long_))) return std::nullopt;
  const std::string_view text = rest.substr(0, end);
  taken_ += text.size() + (end == std::string_view::npos ? 0 : 1);
  return record{text, std::exchange(too_long_, false) || text.size() > longest_};
}

asyncfs::task<asyncfs::result<bool>> record_reader::fill() {
  if (at_end_) co_return false;
  unread_.erase(0, taken_);
  taken_ = 0;
  if (unread_.size() > longest_) {
    too_long_ = true;
    unread_.clear();
  }
  const std::size_t before = unread_.size();
  unread_.resize(before + read_piece);
  const auto got = co_await asyncfs::as_result(from_.read(std::as_writable_bytes(std::span(unread_).subspan(before))));
  unread_.resize(before + got.value_or(0));
  at_end_ = !got || *got == 0;
  if (got) co_return !at_end_ || !unread_.empty() || too_long_;
  unread_.clear();
  too_long_ = false;
  co_return std::unexpected(got.error());
}

}  // namespace tool
