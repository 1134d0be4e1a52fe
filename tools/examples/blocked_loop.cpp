// What it looks like when code keeps a loop from its turn: it hashes a big buffer on the loop's own thread, and the stall
// reporter names the line on standard error.
//
// usage: blocked_loop
#include <asyncfs/asyncfs.hpp>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <span>
#include <vector>

namespace {

using namespace std::chrono_literals;

// FNV-1a, one byte after the other.
std::uint64_t hash_of(std::span<const std::uint8_t> bytes, std::uint64_t hash) {
  for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3;
  return hash;
}

asyncfs::task<std::uint64_t> hash_on_the_loop() {
  const std::vector<std::uint8_t> bytes(1 << 20, 'x');
  std::uint64_t hash = 0xcbf29ce484222325;
  co_await asyncfs::sleep_for(1ms);  // blamed: what goes on from here does not await anything for far too long
  const auto begun = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begun < 200ms) hash = hash_of(bytes, hash);
  // Done right, the loop is free meanwhile: co_await asyncfs::offload([&] { return hash_of(bytes, hash); })
  co_return hash;
}

}  // namespace

int main() {
  try {
    asyncfs::loop loop;
    const asyncfs::stall_reporter watch(loop, 50ms);
    std::printf("%016" PRIx64 "\n", asyncfs::run(loop, hash_on_the_loop()));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
