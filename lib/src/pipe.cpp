#include <asyncfs/pipe.hpp>

#include <algorithm>
#include <cerrno>

namespace asyncfs {

namespace {
constexpr std::size_t first_piece = 4096;
constexpr std::size_t largest_piece = std::size_t{64} << 10;  // what a pipe holds, unless told otherwise
}  // namespace

task<void> write_all(const pipe_writer& to, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t written = co_await to.write(bytes);
    bytes = bytes.subspan(written);
  }
}

task<std::string> read_to_end(const pipe_reader& from, std::size_t limit) {
  std::string content;
  const std::size_t most = std::min(limit, content.max_size() - 1) + 1;  // one byte past the limit tells
  std::size_t used = 0;
  for (;;) {
    if (used > limit) detail::throw_failure(failure(EFBIG).error(), "read");
    if (used == content.size()) content.resize(std::min(used + std::clamp(used, first_piece, largest_piece), most));
    const std::span<std::byte> rest(reinterpret_cast<std::byte*>(content.data()) + used, content.size() - used);
    const std::size_t got = co_await from.read(rest);
    if (got == 0) break;
    used += got;
  }
  content.resize(used);
  co_return content;
}

}  // namespace asyncfs
