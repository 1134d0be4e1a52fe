#include "command/hash_duplicates.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <stdexcept>

#include "ending.hpp"
#include "hash/digesting_crew.hpp"
#include "hash/file_table.hpp"
#include "hash/source.hpp"
#include "pipeline/json.hpp"
#include "quoting.hpp"

namespace tool {

namespace {

// Larger files are read in three places first, and whole only if these are the same.
constexpr std::size_t sample_bytes = std::size_t{4} << 10;
constexpr std::size_t samples = 3;  // at the beginning, in the middle, at the end
constexpr std::uint64_t sampled_from = 2 * samples * sample_bytes;

constexpr std::size_t mark_bytes = 32;
constexpr std::string_view nothing_compared = "no duplicates were printed";
constexpr std::size_t most_files = std::size_t{1} << 31;
constexpr std::size_t candidates_a_piece = 1024;  // that are in memory as roots of a walk

// A file that may have copies, under all of its names. There may be millions.
struct candidate {
  std::uint32_t first;       // record of the table; those of other names come behind it
  std::uint32_t names : 31;  // how many
  std::uint32_t failed : 1;
  std::array<unsigned char, mark_bytes> mark;  // as far as the content is known: different for different files
};

struct search {
  const hash_command& command;
  messages& say;
  const algorithm which = available(algorithm::blake3) ? algorithm::blake3 : algorithm::sha256;
  file_table files{};
  std::deque<candidate> candidates{};  // grows without being held twice
  report nothing{STDOUT_FILENO, report::order::as_it_comes};
  tree_summary sum{};

  [[nodiscard]] std::uint64_t size_of(const candidate& one) const noexcept { return files[one.first].size; }
  [[nodiscard]] bool alike(const candidate& a, const candidate& b) const noexcept {
    return size_of(a) == size_of(b) && a.mark == b.mark;
  }
  void fail(std::string_view what, const std::string& path, const std::error_code& why) {
    say.failure(fmt::format("cannot {} {}", what, shell_quoted(path)), why);
  }
};

// ---- which files there are -----------------------------------------------------------------------------------------

asyncfs::task<std::string> collect(search& all, const asyncfs::walk_entry& entry) {
  if (entry.error) {
    all.fail(entry.operation, entry.path(), entry.error);
    co_return std::string();
  }
  const bool named = entry.is_root();
  if (entry.type() != DT_REG && entry.type() != DT_UNKNOWN && !named) co_return std::string();
  const auto status = co_await asyncfs::as_result(status_of(entry));
  if (!status) {
    all.fail("examine", entry.path(), status.error());
  } else if (status->is_regular()) {
    const auto* holder = static_cast<const file_table::directory_number*>(entry.parent().user.get());
    all.files.add(named ? file_table::no_directory : *holder, entry.name(), *status);
  } else if (named || status->is_directory()) {
    all.say.failure(fmt::format("not reading {}, which is no regular file", shell_quoted(entry.path())));
  }
  co_return std::string();
}

asyncfs::task<bool> enter(search& all, asyncfs::walk_directory& found) {
  if (all.command.no_recursive) co_return co_await refuse_directory(found, all.say);
  found.user = std::make_shared<file_table::directory_number>(all.files.add_directory(found.path()));
  co_return true;
}

void collect_files(search& all) {
  tree_work work;
  const std::vector<std::string> here{"."};
  const bool default_place = all.command.paths.empty() && !all.command.tree.more_paths;
  for (const std::string& path : default_place ? here : all.command.paths) work.roots.push_back({.path = path});
  work.walk.follow = all.command.follow;
  work.walk.enter = [&all](asyncfs::walk_directory& found, const asyncfs::directory&) { return enter(all, found); };
  work.part_of = &all.sum;
  work.after_interruption = nothing_compared;
  work.make_crew = [&all](workplace&) -> visitor_maker {
    return [&all]() -> visitor { return [&all](asyncfs::walk_entry& entry) { return collect(all, entry); }; };
  };
  run_tree(all.command.tree, std::move(work), all.nothing, all.say);
}

// ---- which of them look alike --------------------------------------------------------------------------------------

// Files that share their size with another file.
void choose_by_size(search& all) {
  if (all.files.size() > most_files) throw std::runtime_error("too many files to look for duplicates among");
  all.files.sort();
  const file_table& files = all.files;
  for (std::size_t begin = 0, end = 0; begin < files.size(); begin = end) {
    std::deque<candidate>& chosen = all.candidates;
    const std::size_t before = chosen.size();
    for (; end < files.size() && files[end].size == files[begin].size; ++end) {
      if (end == begin || !files[end].same_file(files[end - 1]))
        chosen.push_back({.first = static_cast<std::uint32_t>(end), .names = 0, .failed = 0, .mark = {}});
      ++chosen.back().names;
    }
    if (chosen.size() - before == 1) chosen.pop_back();
  }
}

// Those that look like another as far as is known by now stay, ordered such that these stand together.
void keep_alike(search& all) {
  std::deque<candidate>& candidates = all.candidates;
  std::erase_if(candidates, [](const candidate& one) { return one.failed; });
  std::ranges::sort(candidates, [&all](const candidate& a, const candidate& b) {
    return all.size_of(a) != all.size_of(b) ? all.size_of(a) < all.size_of(b) : a.mark < b.mark;
  });
  auto kept = candidates.begin();
  for (auto begin = candidates.begin(); begin != candidates.end();) {
    const auto end =
        std::find_if_not(begin, candidates.end(), [&](const candidate& one) { return all.alike(one, *begin); });
    if (end - begin > 1) kept = kept == begin ? end : std::move(begin, end, kept);
    begin = end;
  }
  candidates.erase(kept, candidates.end());
}

// ---- reading -------------------------------------------------------------------------------------------------------

class reader {
 public:
  enum class how : std::uint8_t { sampled, whole };
  reader(search& all, how much, std::shared_ptr<loop_share> share)
      : all_(all), much_(much), whole_(share->whole), digester_(std::move(share)) {}

  asyncfs::task<std::string> visit(const asyncfs::walk_entry& entry) {
    candidate& one = *static_cast<candidate*>(entry.user().get());
    one.failed = 1;  // until it is not
    const auto begun = stability::begin();
    auto opened = co_await asyncfs::as_result(entry.at().open(entry.name(), O_RDONLY | O_NONBLOCK | O_NOCTTY));
    if (opened) {
      source from(*std::move(opened));
      if (much_ == how::sampled)
        co_await sample(from.file(), entry, one);
      else if (all_.size_of(one) == 0)
        co_await see_that_it_is_empty(from.file(), entry, one);
      else
        co_await digest(from.file(), begun, entry, one);
      co_await from.close();
    } else {
      all_.fail("open", entry.path(), opened.error());
    }
    co_return std::string();
  }

 private:
  // Not to its end, if it is not: in /proc, where all claim to be, there are some of 2 to the power of 38 bytes.
  asyncfs::task<void> see_that_it_is_empty(const asyncfs::file& file, const asyncfs::walk_entry& entry,
                                           candidate& one) {
    const auto read = co_await whole_.read_at(file, std::span(samples_).first(1), 0);
    if (!read)
      all_.fail("read", entry.path(), read.error());
    else if (*read != 0)
      fail_as_lying(entry);
    else
      one.failed = 0;
  }

  void fail_as_lying(const asyncfs::walk_entry& entry) {
    all_.say.failure(
        fmt::format("{} has not the size that it claims; it is compared with no other", shell_quoted(entry.path())));
  }
  void fail_as_changed(const asyncfs::walk_entry& entry) {
    all_.say.failure(fmt::format("{} changed meanwhile; it is compared with no other", shell_quoted(entry.path())));
  }

  asyncfs::task<void> sample(const asyncfs::file& file, const asyncfs::walk_entry& entry, candidate& one) {
    const auto status = co_await asyncfs::as_result(file.status());
    if (!status) {
      all_.fail("examine", entry.path(), status.error());
      co_return;
    }
    bool whole = all_.files.is(all_.files[one.first], *status);
    const std::uint64_t last = all_.size_of(one) - sample_bytes;
    for (std::size_t i = 0; i < samples && whole; ++i) {
      const auto read = co_await fill(file, i + 1 == samples ? last : last / (samples - 1) * i,
                                      std::span(samples_).subspan(i * sample_bytes, sample_bytes));
      if (!read) {
        all_.fail("read", entry.path(), read.error());
        co_return;
      }
      whole = *read;
    }
    if (!whole) {
      fail_as_changed(entry);
      co_return;
    }
    const XXH128_hash_t made = XXH3_128bits(samples_.data(), samples_.size());
    std::memcpy(one.mark.data(), &made, sizeof made);
    one.failed = 0;
  }

  // False: the file ends before.
  asyncfs::task<asyncfs::result<bool>> fill(const asyncfs::file& file, std::uint64_t offset,
                                            std::span<std::byte> buffer) {
    while (!buffer.empty()) {
      const auto got = co_await whole_.read_at(file, buffer, offset);
      if (!got) co_return std::unexpected(got.error());
      if (*got == 0) co_return false;
      buffer = buffer.subspan(*got);
      offset += *got;
    }
    co_return true;
  }

  asyncfs::task<void> digest(const asyncfs::file& file, stability begun, const asyncfs::walk_entry& entry,
                             candidate& one) {
    using kind = file_digester::outcome::kind;
    const auto outcome = co_await digester_.digest(file, begun, {&all_.which, 1});
    if (outcome.what == kind::unreadable) {
      all_.fail("read", entry.path(), outcome.error);
    } else if (outcome.what == kind::changed || !all_.files.is(all_.files[one.first], outcome.status)) {
      fail_as_changed(entry);
    } else if (outcome.size != all_.size_of(one)) {  // as in /sys
      fail_as_lying(entry);
    } else {
      std::ranges::copy(std::span(outcome.values.front().bytes).first(mark_bytes), one.mark.begin());
      one.failed = 0;
    }
  }

  search& all_;
  const how much_;
  job& whole_;
  file_digester digester_;
  std::array<std::byte, samples * sample_bytes> samples_;
};

// Gives the candidates of at least a size new marks, many at once. Also those of none: in /proc that says nothing.
void read_candidates(search& all, std::uint64_t from_size, reader::how much) {
  tree_options how = all.command.tree;
  how.filter = {};  // all of this was said when the files were chosen
  how.more_paths.reset();
  how.one_file_system = how.stats = false;
  std::size_t next = 0;
  tree_work work;
  const auto more = [&all, &next, from_size] {
    std::vector<asyncfs::walk_root> roots;
    for (; next < all.candidates.size() && roots.size() < candidates_a_piece; ++next) {
      candidate& one = all.candidates[next];
      if (all.size_of(one) < from_size) continue;
      const std::shared_ptr<void> unowned(std::shared_ptr<void>(), &one);
      roots.push_back({.path = all.files.path(all.files[one.first]), .type = DT_REG, .user = unowned});
    }
    return roots;
  };
  work.counts_files = false;
  work.walk.more_roots = [more]() -> asyncfs::task<std::vector<asyncfs::walk_root>> { co_return more(); };
  work.part_of = &all.sum;
  work.after_interruption = nothing_compared;
  work.make_crew = digesting_crew(
      [&all, much](const std::shared_ptr<loop_share>& share) { return std::make_shared<reader>(all, much, share); });
  run_tree(how, std::move(work), all.nothing, all.say);
}

// ---- what is said --------------------------------------------------------------------------------------------------

// Candidates that are the same, one after the other.
struct group {
  std::size_t begin, count;
  std::uint64_t wasted;
  std::size_t first_name;  // the record of the first path
};

struct name_in_group {
  std::string path;
  std::size_t of;  // candidate
};

std::vector<name_in_group> names_of(const search& all, const group& one) {
  std::vector<name_in_group> names;
  for (std::size_t i = one.begin; i < one.begin + one.count; ++i) {
    const candidate& file = all.candidates[i];
    for (std::size_t j = file.first; j < file.first + file.names; ++j)
      names.push_back({all.files.path(all.files[j]), i});
  }
  std::ranges::sort(names, {}, &name_in_group::path);
  const auto again = std::ranges::unique(names, {}, &name_in_group::path);  // found below two arguments
  names.erase(again.begin(), again.end());
  return names;
}

std::size_t first_name_of(const search& all, std::size_t begin, std::size_t count) {
  std::size_t first = all.candidates[begin].first;
  std::string path = all.files.path(all.files[first]);
  for (std::size_t i = begin; i < begin + count; ++i)
    for (std::size_t j = all.candidates[i].first; j < all.candidates[i].first + all.candidates[i].names; ++j)
      if (std::string other = all.files.path(all.files[j]); other < path) {
        path = std::move(other);
        first = j;
      }
  return first;
}

// The most wasteful first.
std::vector<group> groups_of(const search& all) {
  std::vector<group> groups;
  for (std::size_t begin = 0, end = 0; begin < all.candidates.size(); begin = end) {
    while (end < all.candidates.size() && all.alike(all.candidates[end], all.candidates[begin])) ++end;
    const std::size_t count = end - begin;
    const std::uint64_t wasted = (count - 1) * all.size_of(all.candidates[begin]);
    groups.push_back({begin, count, wasted, first_name_of(all, begin, count)});
  }
  std::ranges::sort(groups, [&all](const group& a, const group& b) {
    if (a.wasted != b.wasted) return a.wasted > b.wasted;
    return all.files.path(all.files[a.first_name]) < all.files.path(all.files[b.first_name]);
  });
  return groups;
}

std::string text_of(const search& all, const group& one) {
  const std::uint64_t size = all.size_of(all.candidates[one.begin]);
  std::string text =
      fmt::format("{} {}, {} copies, {} wasted:\n", size, size == 1 ? "byte" : "bytes", one.count, one.wasted);
  std::vector<std::string> first_of(one.count);  // name of each file
  for (const name_in_group& name : names_of(all, one)) {
    const std::string shown = shell_quoted_if_needed(name.path);
    std::string& first = first_of[name.of - one.begin];
    text += first.empty() ? shown + "\n" : fmt::format("{} (the same file as {})\n", shown, first);
    if (first.empty()) first = shown;
  }
  return text;
}

// The names of each file that is the same are an array.
std::string object_of(const search& all, const group& one) {
  std::vector<std::string> files(one.count);
  for (const name_in_group& name : names_of(all, one)) {
    std::string& names = files[name.of - one.begin];
    names += names.empty() ? "[" : ",";
    json_line(names).bytes("path", name.path).close();
  }
  std::string line;
  json_line(line)
      .text("type", "duplicates")
      .number("bytes", all.size_of(all.candidates[one.begin]))
      .number("wasted", one.wasted)
      .raw("files", fmt::format("[{}]]", fmt::join(files, "],")))
      .end();
  return line;
}

asyncfs::task<void> print(const search& all, report& out) {
  const std::vector<group> groups = groups_of(all);
  for (const group& one : groups) {
    std::string text = &one == &groups.front() || all.command.tree.json ? "" : "\n";
    text += all.command.tree.json ? object_of(all, one) : text_of(all, one);
    co_await out.deliver(0, text);
    if (out.error()) break;
  }
  std::string last;
  if (all.command.tree.json) last = json_summary(all.command.tree, all.sum, all.say.any_failure());
  co_await out.finish(std::move(last));
}

}  // namespace

int print_duplicates(const hash_command& command, messages& say) {
  search all{command, say};
  collect_files(all);
  choose_by_size(all);
  read_candidates(all, sampled_from, reader::how::sampled);
  keep_alike(all);
  read_candidates(all, 0, reader::how::whole);
  keep_alike(all);
  report out(STDOUT_FILENO, report::order::as_it_comes);
  run_ahead(command.tree, print(all, out));
  if (out.error() == std::errc::broken_pipe) die_of(SIGPIPE);
  if (out.error()) say.failure("cannot write to standard output", out.error());
  tell_statistics(command.tree, all.sum, say);
  return say.any_failure() ? 1 : 0;
}

}  // namespace tool
