// Searches one open file: assembles whole lines from reads, asks the matcher, and writes what ripgrep would print.
//
// Where in a line its matches are is asked only when they are to be shown. A line may have very many: these are
// delivered as they are found.
#pragma once

#include <asyncfs/walk.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "grep/events.hpp"
#include "grep/matcher.hpp"
#include "pipeline/job.hpp"

namespace tool {

struct search_options {
  bool numbers = false;     // line numbers
  bool count = false;       // only how many lines match
  bool names_only = false;  // only whether any does
  bool json = false;        // events; without count and names_only
  bool coloured = false;
  bool to_terminal = false;  // names must not do anything there
};

// Takes pieces of output while a file is searched, so that a file with many matches does not pile up in memory.
using text_sink = std::function<asyncfs::task<void>(std::string_view)>;

class searcher {
 public:
  // The job is told what is read.
  searcher(const pattern& what, const search_options& options, job& whole);

  struct outcome {
    std::uint64_t lines = 0;  // that matched
    bool limit_hit = false;   // PCRE2 gave up: the file was not searched to its end
    bool line_too_long = false;
    search_totals totals{};  // with json
  };
  // Lines are marked with the entry's path when `with_name`.
  asyncfs::task<asyncfs::result<outcome>> search(const asyncfs::file& source, const asyncfs::walk_entry& entry,
                                                 bool with_name, const text_sink& sink);

 private:
  struct progress;
  bool search_lines(std::string_view lines, progress& state, std::string& text);
  void begin_detailed(std::string_view lines, progress& state, std::string& text);
  bool detail(std::string_view lines, progress& state, std::string& text);
  asyncfs::task<bool> search_in_pieces(std::string_view lines, progress& state, std::string& text,
                                       const text_sink& sink);
  void print_end(progress& state, std::string& text) const;

  matcher matcher_;
  const search_options options_;
  const bool detailed_;  // matches are shown within their lines
  job& whole_;
  std::vector<char> buffer_;
};

}  // namespace tool
