// Writes a timeline of loops as a file that https://ui.perfetto.dev and chrome://tracing open: every operation from
// start to completion, every stretch of user code, every stay in the kernel.
//
//   asyncfs::trace_writer trace("run.json");
//   asyncfs::run(work(), {.observer = trace.observer()});
//   trace.finish();
//
// Thread-safe: loops on different threads may write into one trace, each a track of its own. An event costs a fraction
// of a microsecond and some hundred bytes. Written with plain buffered output on the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <asyncfs/observer.hpp>

namespace [[gnu::visibility("default")]] asyncfs {

class trace_writer {
 public:
  // Creates the file, or empties it when it is an older trace: what holds anything else is left alone, with EEXIST.
  // Throws std::system_error that names it.
  explicit trace_writer(const std::string& path);
  trace_writer(const trace_writer&) = delete;
  trace_writer& operator=(const trace_writer&) = delete;
  // Finishes, ignoring errors.
  ~trace_writer();

  // For loop_options::observer: observes one loop. It may be used, and its loops may last, longer than the writer; what
  // happens after `finish` is left out.
  [[nodiscard]] std::function<std::unique_ptr<loop_observer>()> observer();
  // Completes the file once all loops are gone. Throws std::system_error when anything could not be written.
  void finish();

 private:
  class file;
  class track;
  std::shared_ptr<file> file_;
};

}  // namespace asyncfs
