// What fuzz targets share: each is a function of bytes that ends the program when something does not hold.
//
// Built by default with a `main` of its own that runs it on the files of a kept corpus and on mutations of them. With
// clang, -Dfuzzing=true makes them libFuzzer's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace fuzz {

inline void require(bool holds, const char* otherwise) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: %s\n", otherwise);
  std::abort();
}

}  // namespace fuzz
