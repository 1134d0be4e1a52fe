#include "pipeline/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <asyncfs/timer.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <string_view>

namespace tool {

namespace {

using namespace std::chrono_literals;
using seconds = std::chrono::duration<double>;

constexpr std::chrono::milliseconds before_first = 1s, between = 200ms;
constexpr double weight_of_latest = 0.2;  // in the running rate

std::size_t columns_of_terminal() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

std::string as_clock(double duration) {
  const auto whole = static_cast<std::uint64_t>(duration + 0.5);
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

struct rates {
  asyncfs::steady_time begun, last;
  std::uint64_t bytes_then = 0;
  double now = 0;  // bytes a second, smoothed
};

std::string text_of(const job& of, const asyncfs::walk::extent& found, rates& rate, asyncfs::steady_time time) {
  const std::uint64_t files = of.files(), bytes = of.bytes();
  const double elapsed = seconds(time - rate.begun).count(), since = seconds(time - rate.last).count();
  if (since > 0) {
    // What is to be read again was taken back (job::moved_back).
    const double latest = static_cast<double>(bytes - std::min(bytes, rate.bytes_then)) / since;
    rate.now = rate.bytes_then == 0 ? latest : rate.now + weight_of_latest * (latest - rate.now);
    rate.bytes_then = bytes;
    rate.last = time;
  }
  std::string text = fmt::format("{} of {}{} files  {}  {}/s  (average {}/s)", grouped(files), grouped(found.entries),
                                 found.complete ? "" : "+", in_units(static_cast<double>(bytes)), in_units(rate.now),
                                 in_units(elapsed > 0 ? static_cast<double>(bytes) / elapsed : 0));
  if (found.complete && files > 0 && files < found.entries)
    text += fmt::format("  {} left",
                        as_clock(elapsed * static_cast<double>(found.entries - files) / static_cast<double>(files)));
  else
    text += fmt::format("  {}", as_clock(elapsed));
  return text;
}

}  // namespace

std::string in_units(double bytes) {
  constexpr std::array units = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return fmt::format("{:.0f} B", bytes);
  std::size_t unit = 0;
  for (bytes /= 1024; bytes >= 1000 && unit + 1 < units.size(); ++unit) bytes /= 1024;
  return bytes < 10 ? fmt::format("{:.1f} {}", bytes, units[unit]) : fmt::format("{:.0f} {}", bytes, units[unit]);
}

std::string grouped(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  std::string made;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) made += ',';
    made += digits[i];
  }
  return made;
}

bool shows_progress(when wanted, bool results_on_standard_output) {
  if (wanted != when::automatic) return wanted == when::always;
  return ::isatty(STDERR_FILENO) == 1 && !(results_on_standard_output && ::isatty(STDOUT_FILENO) == 1);
}

bool has_colours(when wanted) {
  if (wanted != when::automatic) return wanted == when::always;
  const char* const refused = std::getenv("NO_COLOR");
  const char* const terminal = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && (refused == nullptr || *refused == '\0') &&
         (terminal == nullptr || std::string_view(terminal) != "dumb");
}

asyncfs::task<void> show_progress(job& of, asyncfs::walk& tree, bool at_once) {
  asyncfs::loop& home = *asyncfs::loop::current();
  rates rate{home.now(), home.now()};
  try {
    if (!at_once) co_await asyncfs::sleep_for(before_first);
    for (;;) {
      const std::string text = text_of(of, tree.found(), rate, home.now());
      of.say.show_status(std::string_view(text).substr(0, columns_of_terminal() - 1));
      co_await asyncfs::sleep_for(between);
    }
  } catch (const std::system_error&) {  // cancelled: the job is over
  }
  of.say.show_status({});
}

}  // namespace tool
