// --direct: what is read and written leaves the page cache as it was.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "../catch.hpp"
#include "program.hpp"

using cli::asyncfs;
using cli::hardship;
using cli::scratch;

namespace {

class descriptor {
 public:
  explicit descriptor(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) { REQUIRE(fd_ >= 0); }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() { ::close(fd_); }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

// Pages of the file that are in the page cache, once all of it is on the device.
std::size_t cached_pages(const std::string& path) {
  const descriptor file(path);
  REQUIRE(::fsync(file.get()) == 0);
  struct stat status{};
  REQUIRE(::fstat(file.get(), &status) == 0);
  const auto bytes = static_cast<std::size_t>(status.st_size);
  void* const at = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.get(), 0);
  REQUIRE(at != MAP_FAILED);
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> there((bytes + page - 1) / page);
  REQUIRE(::mincore(at, bytes, there.data()) == 0);
  ::munmap(at, bytes);
  return static_cast<std::size_t>(std::ranges::count_if(there, [](unsigned char one) { return (one & 1) != 0; }));
}

void drop(const std::string& path) {
  const descriptor file(path);
  REQUIRE(::fsync(file.get()) == 0);
  REQUIRE(::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED) == 0);
}

bool can_leave_the_cache_alone(const std::string& path) {
  constexpr int dont_cache = 0x80;  // RWF_DONTCACHE
  const descriptor file(path);
  char byte = 0;
  const iovec one{&byte, 1};
  return ::preadv2(file.get(), &one, 1, 0, dont_cache) == 1;
}

}  // namespace

TEST_CASE("--direct leaves no trace in the page cache of what was not there") {
  const scratch at;
  const std::string large = at.file("t/large", std::string(3'000'000, 'l')),
                    small = at.file("t/small", std::string(9000, 's'));
  if (!can_leave_the_cache_alone(small)) {
    WARN("left out: no RWF_DONTCACHE here");
    return;
  }
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"hash", "t"}, {"grep", "nothing", "t"}, {"copy", "t", "copied"}}) {
    INFO(words.front());
    for (const std::string& path : {large, small}) drop(path);
    REQUIRE(cached_pages(large) + cached_pages(small) == 0);
    std::vector<std::string> direct = words;
    direct.insert(direct.begin() + 1, "--direct");
    CHECK(asyncfs(direct, hardship::none, at.path()).status != 2);
    CHECK(cached_pages(large) + cached_pages(small) == 0);
    if (words.front() == "copy") CHECK(cached_pages(at / "copied/large") + cached_pages(at / "copied/small") == 0);
    CHECK(asyncfs(words, hardship::none, at.path()).status != 2);
    CHECK(cached_pages(large) + cached_pages(small) > 700);
  }
}
