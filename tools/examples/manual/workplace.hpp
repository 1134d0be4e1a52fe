// What the manual's samples share: a directory of their own to run in, and a main that reports what is thrown.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace manual {

// The current directory while it lives: new, with some files in it, and removed at the end.
class workplace {
 public:
  workplace() : before_(std::filesystem::current_path()) {
    std::string name =
        (std::filesystem::temp_directory_path() / "asyncfs-manual-XXXXXX")
            .string();
    if (::mkdtemp(name.data()) == nullptr)
      throw std::runtime_error("cannot make " + name);
    here_ = name;
    std::filesystem::current_path(here_);
    for (const char* file : {"one.txt", "two.txt", "three.txt"})
      std::ofstream(file) << "some text in " << file << '\n';
  }
  workplace(const workplace&) = delete;
  workplace& operator=(const workplace&) = delete;
  ~workplace() {
    std::error_code ignored;
    std::filesystem::current_path(before_, ignored);
    std::filesystem::remove_all(here_, ignored);
  }

 private:
  std::filesystem::path before_, here_;
};

// The samples' checks: they hold in release builds too.
inline void expect(bool holds, const char* what) {
  if (!holds)
    throw std::logic_error(std::string("not as the manual says: ") + what);
}

inline int run_samples(void (*samples)()) {
  try {
    const workplace here;
    samples();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

}  // namespace manual
