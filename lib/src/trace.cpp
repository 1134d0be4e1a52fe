#include <asyncfs/trace.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <system_error>
#include <unordered_map>
#include <utility>

// The format is the JSON one of the Trace Event Format: "X" is a stretch on a track, "b" and "e" are the ends of
// something that overlaps others, "C" is a counter. Times are microseconds.

namespace asyncfs {

namespace {

using time_point = loop_observer::time_point;

constexpr std::size_t enough_to_write = std::size_t{256} << 10;

double microseconds(time_point::duration d) { return std::chrono::duration<double, std::micro>(d).count(); }

std::string_view base_name(const char* path) {
  const std::string_view whole(path);
  return whole.substr(whole.rfind('/') + 1);
}

void append_json(std::string& to, std::string_view text) {
  for (const char c : text) {
    if (c == '"' || c == '\\') to += '\\';
    to += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
}

}  // namespace

class trace_writer::file {
 public:
  explicit file(const std::string& path) : path_(path), out_(std::fopen(path.c_str(), "we")) {
    if (out_ == nullptr) throw std::system_error(errno, std::system_category(), "cannot create the trace " + path);
    write("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n");
  }
  file(const file&) = delete;
  file& operator=(const file&) = delete;
  ~file() {
    if (out_ != nullptr) std::fclose(out_);
  }
  // Any thread: whole events, each with ",\n" behind it.
  void write(std::string_view events) {
    const std::lock_guard lock(mutex_);
    if (error_ == 0 && std::fwrite(events.data(), 1, events.size(), out_) != events.size()) error_ = errno;
  }
  void finish() {
    if (out_ == nullptr) return;
    write("{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":1,\"args\":{\"name\":\"asyncfs\"}}\n]}\n");
    if (std::fclose(std::exchange(out_, nullptr)) != 0 && error_ == 0) error_ = errno;
    if (error_ != 0) throw std::system_error(error_, std::system_category(), "cannot write the trace " + path_);
  }
  int next_track() noexcept { return ++tracks_; }
  const time_point began = std::chrono::steady_clock::now();

 private:
  const std::string path_;
  std::FILE* out_;
  std::mutex mutex_;
  int error_ = 0;
  std::atomic<int> tracks_{0};
};

// What one loop does. Events gather here and go out in large pieces. Out of memory, events are left out.
class trace_writer::track final : public loop_observer {
 public:
  explicit track(file& into) : into_(into), number_(into.next_track()) {
    format(R"({"ph":"M","name":"thread_name","pid":1,"tid":%d,"args":{"name":"loop %d"}},)", number_, number_);
  }
  ~track() override {
    try {
      into_.write(events_);
    } catch (...) {  // a mutex that fails: the trace lacks its end
    }
  }

  void started(const operation& what, time_point at) noexcept override {
    guarded([&] {
      const std::uint64_t id = ++last_id_;
      open_[what.id] = {id, what.name};
      format(R"({"ph":"b","cat":"operation","name":"%s","id":"%d.%)" PRIu64
             R"(","pid":1,"tid":%d,"ts":%.3f,"args":{"fd":%d,"offset":%)" PRIu64 R"(,"length":%)" PRIu32 R"(,"at":")",
             what.name, number_, id, number_, since(at), what.fd, what.offset, what.length);
      append_site(what.site);
      events_ += "\"}},\n";
    });
  }
  void completed(const outcome& what, time_point at) noexcept override {
    guarded([&] {
      const auto found = open_.find(what.id);
      if (found == open_.end()) return;
      format(R"({"ph":"%c","cat":"operation","name":"%s","id":"%d.%)" PRIu64
             R"(","pid":1,"tid":%d,"ts":%.3f,"args":{"result":%d}},)",
             what.last ? 'e' : 'n', found->second.name, number_, found->second.id, number_, since(at), what.value);
      if (what.last) open_.erase(found);
    });
  }
  void ran(const std::source_location& site, time_point begin, time_point end) noexcept override {
    guarded([&] {
      events_ += R"({"ph":"X","cat":"code","name":")";
      append_site(site);
      format(R"(","pid":1,"tid":%d,"ts":%.3f,"dur":%.3f},)", number_, since(begin), microseconds(end - begin));
    });
  }
  void entered(std::size_t in_flight, time_point begin, time_point end) noexcept override {
    guarded([&] {
      format(R"({"ph":"X","cat":"kernel","name":"kernel","pid":1,"tid":%d,"ts":%.3f,"dur":%.3f},)", number_,
             since(begin), microseconds(end - begin));
      format(R"({"ph":"C","name":"in flight %d","pid":1,"tid":%d,"ts":%.3f,"args":{"operations":%zu}},)", number_,
             number_, since(begin), in_flight);
      if (events_.size() < enough_to_write) return;
      into_.write(events_);
      events_.clear();
    });
  }

 private:
  struct opened {
    std::uint64_t id;
    const char* name;
  };
  template <class F>
  static void guarded(F&& fn) noexcept {
    try {
      fn();
    } catch (...) {
    }
  }
  [[nodiscard]] double since(time_point at) const { return microseconds(at - into_.began); }
  void append_site(const std::source_location& site) {
    if (site.line() == 0) {
      events_ += "user code";
      return;
    }
    append_json(events_, base_name(site.file_name()));
    events_ += ':';
    events_ += std::to_string(site.line());
  }
  [[gnu::format(printf, 2, 3)]] void format(const char* how, ...) {
    char piece[512];
    va_list arguments;
    va_start(arguments, how);
    const int length = std::vsnprintf(piece, sizeof piece, how, arguments);
    va_end(arguments);
    events_.append(piece, static_cast<std::size_t>(std::min<int>(std::max(length, 0), sizeof piece - 1)));
    if (events_.back() == ',') events_ += '\n';
  }

  file& into_;
  const int number_;
  std::uint64_t last_id_ = 0;
  std::unordered_map<std::uint64_t, opened> open_;
  std::string events_;
};

trace_writer::trace_writer(const std::string& path) : file_(std::make_unique<file>(path)) {}

trace_writer::~trace_writer() {
  try {
    finish();
  } catch (...) {
  }
}

std::function<std::unique_ptr<loop_observer>()> trace_writer::observer() {
  return [into = file_.get()] { return std::make_unique<track>(*into); };
}

void trace_writer::finish() { file_->finish(); }

}  // namespace asyncfs
