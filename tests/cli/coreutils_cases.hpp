// What the cases of coreutils' tests have in common.
#pragma once

#include <string>
#include <vector>

#include "program.hpp"

namespace cli::coreutils {

inline const std::string md5_of_nothing = "d41d8cd98f00b204e9800998ecf8427e";
inline const std::string sha1_of_nothing = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

inline std::vector<std::string> hash_words(const std::string& algorithm, const std::vector<std::string>& more) {
  std::vector<std::string> words{"hash"};
  if (!algorithm.empty()) words.insert(words.end(), {"-a", algorithm});
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

inline outcome hash(const scratch& at, const std::string& algorithm, const std::vector<std::string>& more) {
  return asyncfs(hash_words(algorithm, more), hardship::none, at.path());
}

// With the program's name before each line.
inline std::string from_us(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += "asyncfs hash: " + line + "\n";
  return all;
}

inline std::string line(const std::string& digest, const std::string& name) { return digest + "  " + name + "\n"; }

}  // namespace cli::coreutils
