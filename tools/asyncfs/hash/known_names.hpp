// The names that a list holds, to be asked for later: 12 bytes each, however long they are.
//
// Kept as 96 bits of their XXH3 digests under a secret that is drawn anew each time, so that nobody can choose a name
// that passes for another. Names are told apart after normalising. Adding is for one thread at a time; asking, for any.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace tool {

// Without "." components and doubled slashes: "./a//b/" is "a/b". ".." stays: what it leads to is not for a name to say.
// The current directory is ".".
[[nodiscard]] std::string normalised(std::string_view path);

class known_names {
 public:
  known_names();

  void add(std::string_view normalised_name);
  // To be called between the last addition and the first question.
  void settle();
  [[nodiscard]] bool contains(std::string_view normalised_name) const;

 private:
  struct mark {
    std::array<std::uint32_t, 3> words;
    auto operator<=>(const mark&) const = default;
  };
  [[nodiscard]] mark mark_of(std::string_view name) const noexcept;

  std::array<std::byte, 192> secret_;
  struct release {
    void operator()(mark* marks) const noexcept { std::free(marks); }
  };
  // By realloc(3), which moves pages of a large array instead of copying them: it is never held twice, and what was not
  // used yet takes no memory.
  std::unique_ptr<mark[], release> marks_;
  std::size_t size_ = 0, capacity_ = 0;
};

}  // namespace tool
