#include "command/hash_exact.hpp"

#include <dirent.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "hash/source.hpp"
#include "quoting.hpp"

namespace tool {

void unlisted_search::take_file(std::string_view name) {
  if (name == "-") return;  // standard input
  const std::string known = normalised(name);
  known_.add(known);
  places_.take_file(known);
}

void unlisted_search::take_tree(std::string_view name) {
  const std::string known = normalised(name);
  trees_.add(known);
  places_.take_directory(known);
  any_tree_ = true;
}

bool unlisted_search::listed(std::string_view normalised_name) const {
  if (known_.contains(normalised_name)) return true;
  if (!any_tree_) return false;
  for (std::string_view above = normalised_name;;) {
    if (trees_.contains(above)) return true;
    const std::size_t slash = above.rfind('/');
    if (slash == std::string_view::npos) return above != ".." && trees_.contains(".");
    if (slash == 0) return trees_.contains("/");
    above = above.substr(0, slash);
  }
}

class unlisted_search::worker {
 public:
  struct shared {
    unlisted_search& search;
    const bool named;  // the places were: they must be there
    std::atomic<std::uint64_t> unlisted{0};
    std::atomic<bool> complete{true};
  };
  explicit worker(shared& all) : all_(all), search_(all.search) {}

  asyncfs::task<std::string> visit(asyncfs::walk_entry& entry) {
    std::string line;
    if (entry.error)
      give_up(entry.operation, entry.path(), entry.error);
    else if (!search_.listed(normalised(entry.path())))
      line = co_await verdict_on(entry);
    co_return line;
  }

 private:
  asyncfs::task<std::string> verdict_on(const asyncfs::walk_entry& entry) {
    const bool guessed = entry.is_root() && !all_.named;  // from names: it may be gone, or no directory
    if (guessed && entry.type() != DT_UNKNOWN) co_return std::string();
    const std::string path = entry.path();
    const auto status = co_await asyncfs::as_result(status_of(entry));
    if (!status) {
      const bool gone = status.error() == std::errc::no_such_file_or_directory;
      if (!gone || (entry.is_root() && all_.named)) give_up("examine", path, status.error());
      co_return std::string();
    }
    if (status->is_directory()) {  // which the walk could not know, and so did not enter
      give_up("search", path, std::make_error_code(std::errc::resource_unavailable_try_again));
      co_return std::string();
    }
    const auto same = [&](const asyncfs::file_status& one) { return one.same_file(*status); };
    if (guessed || std::ranges::any_of(search_.left_out_, same)) co_return std::string();
    ++all_.unlisted;
    if (search_.command_.status) co_return std::string();
    co_return verdict_line(path, "FAILED not listed", search_.style_);
  }

  void give_up(std::string_view what, const std::string& path, const std::error_code& why) {
    search_.say_.failure(fmt::format("cannot {} {}", what, shell_quoted(path)), why);
    all_.complete = false;
  }

  shared& all_;
  unlisted_search& search_;
};

unlisted_search::outcome unlisted_search::run(report& out, tree_summary& part_of) {
  known_.settle();
  trees_.settle();
  std::vector<std::string> places;
  for (const std::string& place : command_.exact_in) places.push_back(normalised(place));
  const bool named = !places.empty();
  places = named ? outermost(std::move(places)) : places_.found();
  tree_work work;
  for (std::string& place : places) work.roots.push_back({.path = std::move(place)});
  work.walk.order = asyncfs::walk_order::bytes;
  work.walk.follow = command_.follow;
  worker::shared all{*this, named};
  work.part_of = &part_of;
  work.counts_files = false;  // those of the list were counted
  work.after_interruption = "files that are not listed may be missing";
  work.make_crew = [&all](workplace&) -> visitor_maker {
    return [&all]() -> visitor {
      auto one = std::make_shared<worker>(all);
      return [one](asyncfs::walk_entry& entry) { return one->visit(entry); };
    };
  };
  run_tree(command_.tree, std::move(work), out, say_);
  return {all.unlisted, all.complete};
}

}  // namespace tool
