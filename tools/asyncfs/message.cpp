#include "message.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace tool {

void messages::line(std::string_view text) {
  const std::string whole = fmt::format("{}: {}\n", command_, text);
  [[maybe_unused]] const auto written = ::write(fd_, whole.data(), whole.size());  // one call, so lines stay whole
}

void messages::failure(std::string_view what, const std::error_code& why) {
  failure(fmt::format("{}: {}", what, why.message()));
}

void messages::failure(std::string_view what) {
  failed_.test_and_set();
  line(what);
}

void messages::note(std::string_view what) { line(what); }

}  // namespace tool
