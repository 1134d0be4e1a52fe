// What this machine cannot run is counted and reported with its reason, never silently passed over.
#pragma once

#include <cstddef>
#include <map>
#include <string>

namespace tests {

inline std::map<std::string, std::size_t>& left_out() {
  static std::map<std::string, std::size_t> counted;
  return counted;
}
inline void leave_out(const std::string& what_and_why) { ++left_out()[what_and_why]; }

}  // namespace tests
