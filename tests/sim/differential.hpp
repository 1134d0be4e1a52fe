// One side of a comparison between files in memory and the kernel's: it makes choices, carries them out below one
// directory, and writes down as lines of text what each operation gave.
#pragma once

#include <asyncfs/asyncfs.hpp>

#include <string>
#include <vector>

namespace differential {

using asyncfs::as_result;
using asyncfs::directory;
using asyncfs::file;
using asyncfs::result;
using asyncfs::task;

// splitmix64: the same choices in both worlds.
class chooser {
 public:
  explicit chooser(std::uint64_t seed) : state_(seed) {}
  std::uint64_t below(std::uint64_t bound) {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (z ^ (z >> 31)) % bound;
  }
  template <class T, std::size_t N>
  T of(const T (&all)[N]) {
    return all[below(N)];
  }

 private:
  std::uint64_t state_;
};

// ---- what an operation gave, as text -------------------------------------------------------------------------------

inline std::string told(const std::error_code& error) { return "error " + std::to_string(error.value()); }
inline std::string told(std::size_t number) { return std::to_string(number); }
inline std::string told(const std::string& text) { return "'" + text + "'"; }
inline std::string told(const asyncfs::file_status& is) {
  std::string all =
      "mode " + std::to_string(is.mode) + " owner " + std::to_string(is.user) + ":" + std::to_string(is.group);
  // How large a directory is, and how many links it has, is each file system's own.
  if (!is.is_directory()) all += " links " + std::to_string(is.links) + " size " + std::to_string(is.size);
  return all;
}
template <class T>
std::string told(const result<T>& got) {
  if (!got) return told(got.error());
  if constexpr (std::is_void_v<T>)
    return "done";
  else
    return told(*got);
}

inline std::string digest(std::string_view bytes) {
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return std::to_string(bytes.size()) + " bytes " + std::to_string(hash);
}

// ---- a sequence ----------------------------------------------------------------------------------------------------

struct player {
  const directory& dir;
  chooser random;
  bool has_attributes;  // extended ones, of users
  std::vector<std::string> lines{};
  std::vector<file> open{};

  void tell(const std::string& what, const std::string& gave) { lines.push_back(what + " -> " + gave); }
};

inline constexpr const char* names[] = {"a",  "b",   "c",    "d", "a/x", "a/y", "b/x", "c/x/y",
                                        "d/", "a/.", "a/..", ".", "l",   "l/x", ""};
inline const char* some_name(player& at) { return at.random.of(names); }
// Mostly one that means something.
inline const char* likely_name(player& at) {
  return names[at.random.below(at.random.below(3) == 0 ? std::size(names) : 6)];
}

// Modes that leave the owner every right: root needs none.
inline constexpr std::uint32_t modes[] = {0700, 0744, 0755};

// One operation each, of those chosen.
task<void> open_one(player& at);
task<void> create_one(player& at);
task<void> use_open(player& at);
task<void> use_names(player& at);

}  // namespace differential
