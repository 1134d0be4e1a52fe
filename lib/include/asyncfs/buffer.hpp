// A buffer that the engine chose for a completion (completion::carries_buffer), on loan to the user.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace [[gnu::visibility("default")]] asyncfs {

// Whoever owns the buffers that an engine picks from. Loop thread only; must outlive its leases.
class buffer_source {
 public:
  virtual std::span<std::byte> buffer(std::uint16_t id) noexcept = 0;
  virtual void give_back(std::uint16_t id) noexcept = 0;

 protected:
  ~buffer_source() = default;
};

// Gives its buffer back when destroyed. Move-only; the bytes are valid while it lives.
class buffer_lease {
 public:
  buffer_lease() noexcept = default;
  buffer_lease(buffer_source& source, std::uint16_t id, std::size_t bytes) noexcept
      : source_(&source), bytes_(source.buffer(id).first(bytes)), id_(id) {}
  buffer_lease(buffer_lease&& other) noexcept
      : source_(std::exchange(other.source_, nullptr)), bytes_(std::exchange(other.bytes_, {})), id_(other.id_) {}
  buffer_lease& operator=(buffer_lease&& other) noexcept {
    if (this != &other) {
      reset();
      source_ = std::exchange(other.source_, nullptr);
      bytes_ = std::exchange(other.bytes_, {});
      id_ = other.id_;
    }
    return *this;
  }
  ~buffer_lease() { reset(); }

  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }
  void reset() noexcept {
    if (source_ != nullptr) std::exchange(source_, nullptr)->give_back(id_);
    bytes_ = {};
  }

 private:
  buffer_source* source_ = nullptr;
  std::span<std::byte> bytes_;
  std::uint16_t id_ = 0;
};

}  // namespace asyncfs
