#include <asyncfs/trace.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <concepts>
#include <cstdio>
#include <mutex>
#include <system_error>
#include <unordered_map>
#include <utility>

#include <asyncfs/descriptor.hpp>

// The format is the JSON one of the Trace Event Format: "X" is a stretch on a track, "b" and "e" are the ends of
// something that overlaps others, "C" is a counter. Times are microseconds.

namespace asyncfs {

namespace {

using time_point = loop_observer::time_point;

constexpr std::size_t enough_to_write = std::size_t{256} << 10;

std::string_view base_name(const char* path) {
  const std::string_view whole(path);
  return whole.substr(whole.rfind('/') + 1);
}

// What every trace begins with, and what tells ours from other files.
constexpr std::string_view header =
    "{\"otherData\":{\"writer\":\"asyncfs\"},\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";

// A piece of JSON, written without the locale: its decimal comma would be no JSON.
class json {
 public:
  explicit json(std::string& to) noexcept : to_(to) {}
  json& operator<<(std::string_view text) {
    to_ += text;
    return *this;
  }
  template <std::integral N>
  json& operator<<(N number) {
    return digits([number](char* begin, char* end) { return std::to_chars(begin, end, number); });
  }
  // Microseconds, to the nanosecond.
  json& operator<<(time_point::duration time) {
    const double value = std::chrono::duration<double, std::micro>(time).count();
    return digits(
        [value](char* begin, char* end) { return std::to_chars(begin, end, value, std::chars_format::fixed, 3); });
  }
  json& quoted(std::string_view text) {
    constexpr std::string_view hex = "0123456789abcdef";
    to_ += '"';
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        to_ += '\\';
        to_ += c;
      } else if (byte < 0x20) {
        to_ += "\\u00";
        to_ += hex[byte >> 4];
        to_ += hex[byte & 0xf];
      } else {
        to_ += c;
      }
    }
    to_ += '"';
    return *this;
  }

 private:
  template <class F>
  json& digits(F&& print) {
    std::array<char, 64> piece;
    to_.append(piece.data(), print(piece.data(), piece.data() + piece.size()).ptr);
    return *this;
  }
  std::string& to_;
};

// "file.cpp:31"
std::string text_of(const std::source_location& site) {
  if (site.line() == 0) return "user code";
  return std::string(base_name(site.file_name())) + ":" + std::to_string(site.line());
}

bool begins_like_a_trace(int fd) noexcept {
  std::array<char, header.size()> begin{};
  return ::pread(fd, begin.data(), begin.size(), 0) == static_cast<ssize_t>(begin.size()) &&
         std::string_view(begin.data(), begin.size()) == header;
}

// For writing, empty. Nothing but an older trace is overwritten: EEXIST.
descriptor open_for_trace(const char* path) {
  const auto failed = [path](const char* what, int error) {
    return std::system_error(error, std::system_category(), what + std::string(path));
  };
  descriptor out(::open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666));
  struct stat written{}, read{};
  if (!out || ::fstat(out.fd(), &written) != 0) throw failed("cannot create the trace ", errno);
  if (!S_ISREG(written.st_mode) || written.st_size == 0) return out;
  const descriptor before(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  const bool same =
      before && ::fstat(before.fd(), &read) == 0 && read.st_dev == written.st_dev && read.st_ino == written.st_ino;
  if (!same || !begins_like_a_trace(before.fd()))
    throw failed("will not overwrite what is no trace of asyncfs: ", EEXIST);
  if (::ftruncate(out.fd(), 0) != 0) throw failed("cannot empty the trace ", errno);
  return out;
}

}  // namespace

class trace_writer::file {
 public:
  explicit file(const std::string& path) : path_(path) {
    descriptor opened = open_for_trace(path.c_str());
    out_ = ::fdopen(opened.fd(), "w");
    if (out_ == nullptr) throw std::system_error(errno, std::system_category(), "cannot create the trace " + path);
    static_cast<void>(opened.release());
    write(header);
  }
  file(const file&) = delete;
  file& operator=(const file&) = delete;
  ~file() {
    if (out_ != nullptr) std::fclose(out_);
  }
  // Any thread: whole events, each with ",\n" behind it. What comes after `finish` is left out.
  void write(std::string_view events) {
    const std::lock_guard lock(mutex_);
    if (out_ != nullptr) put(events);
  }
  void finish() {
    const std::lock_guard lock(mutex_);
    if (out_ == nullptr) return;
    put("{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":1,\"args\":{\"name\":\"asyncfs\"}}\n]}\n");
    if (std::fclose(std::exchange(out_, nullptr)) != 0 && error_ == 0) error_ = errno;
    if (error_ != 0) throw std::system_error(error_, std::system_category(), "cannot write the trace " + path_);
  }
  int next_track() noexcept { return ++tracks_; }
  const time_point began = std::chrono::steady_clock::now();

 private:
  void put(std::string_view events) {
    if (error_ == 0 && std::fwrite(events.data(), 1, events.size(), out_) != events.size()) error_ = errno;
  }
  const std::string path_;
  std::FILE* out_ = nullptr;
  std::mutex mutex_;
  int error_ = 0;
  std::atomic<int> tracks_{0};
};

// What one loop does. Events gather here and go out in large pieces. Out of memory, events are left out.
class trace_writer::track final : public loop_observer {
 public:
  explicit track(std::shared_ptr<file> into) : into_(std::move(into)), number_(into_->next_track()) {
    json(events_) << R"({"ph":"M","name":"thread_name","pid":1,"tid":)" << number_ << R"(,"args":{"name":"loop )"
                  << number_ << "\"}},\n";
  }
  ~track() override {
    try {
      into_->write(events_);
    } catch (...) {  // a mutex that fails: the trace lacks its end
    }
  }

  void started(const operation& what, time_point at) noexcept override {
    guarded([&](json out) {
      const std::uint64_t id = ++last_id_;
      open_[what.id] = {id, what.name};
      operation_event(out, "b", what.name, id, at);
      out << R"(,"args":{"fd":)" << what.fd << R"(,"offset":)" << what.offset << R"(,"length":)" << what.length
          << R"(,"at":)";
      out.quoted(text_of(what.site)) << "}},\n";
    });
  }
  void completed(const outcome& what, time_point at) noexcept override {
    guarded([&](json out) {
      const auto found = open_.find(what.id);
      if (found == open_.end()) return;
      operation_event(out, what.last ? "e" : "n", found->second.name, found->second.id, at);
      out << R"(,"args":{"result":)" << what.value << "}},\n";
      if (what.last) open_.erase(found);
    });
  }
  void ran(const std::source_location& site, time_point begin, time_point end) noexcept override {
    guarded([&](json out) {
      out << R"({"ph":"X","cat":"code","name":)";
      out.quoted(text_of(site));
      stretch(out, begin, end);
    });
  }
  void entered(std::size_t in_flight, time_point begin, time_point end) noexcept override {
    guarded([&](json out) {
      out << R"({"ph":"X","cat":"kernel","name":"kernel")";
      stretch(out, begin, end);
      out << R"({"ph":"C","name":"in flight )" << number_ << R"(","pid":1,"tid":)" << number_ << R"(,"ts":)"
          << since(begin) << R"(,"args":{"operations":)" << in_flight << "}},\n";
      if (events_.size() < enough_to_write) return;
      into_->write(events_);
      events_.clear();
    });
  }

 private:
  struct opened {
    std::uint64_t id;
    const char* name;
  };
  // An event is there as a whole or not at all.
  template <class F>
  void guarded(F&& fn) noexcept {
    const std::size_t before = events_.size();
    try {
      fn(json(events_));
    } catch (...) {
      if (events_.size() > before) events_.resize(before);
    }
  }
  [[nodiscard]] time_point::duration since(time_point at) const { return at - into_->began; }
  void operation_event(json& out, std::string_view phase, const char* name, std::uint64_t id, time_point at) const {
    out << R"({"ph":")" << phase << R"(","cat":"operation","name":)";
    out.quoted(name) << R"(,"id":")" << number_ << "." << id << R"(","pid":1,"tid":)" << number_ << R"(,"ts":)"
                     << since(at);
  }
  void stretch(json& out, time_point begin, time_point end) const {
    out << R"(,"pid":1,"tid":)" << number_ << R"(,"ts":)" << since(begin) << R"(,"dur":)" << end - begin << "},\n";
  }

  const std::shared_ptr<file> into_;
  const int number_;
  std::uint64_t last_id_ = 0;
  std::unordered_map<std::uint64_t, opened> open_;
  std::string events_;
};

trace_writer::trace_writer(const std::string& path) : file_(std::make_shared<file>(path)) {}

trace_writer::~trace_writer() {
  try {
    finish();
  } catch (...) {
  }
}

std::function<std::unique_ptr<loop_observer>()> trace_writer::observer() {
  return [into = file_] { return std::make_unique<track>(into); };
}

void trace_writer::finish() { file_->finish(); }

}  // namespace asyncfs
