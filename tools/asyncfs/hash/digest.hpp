// Digests of byte streams, from libraries that know the CPU.
//
// One object digests one stream after the other. Not thread-safe; one a worker.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tool {

enum class algorithm : unsigned char { sha256, xxh128 };

[[nodiscard]] std::optional<algorithm> parse_algorithm(std::string_view name);

class digest {
 public:
  static std::unique_ptr<digest> make(algorithm which);
  virtual ~digest() = default;

  virtual void begin() = 0;
  virtual void add(std::span<const std::byte> bytes) = 0;
  // Lower-case hexadecimal, in the order that sha256sum and xxhsum print.
  virtual std::string end() = 0;
};

}  // namespace tool
