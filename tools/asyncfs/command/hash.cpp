// asyncfs hash: digests of files, or what lists of digests say of them.

#include "command/hash.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/common_options.hpp"
#include "command/hash_check.hpp"
#include "command/hash_duplicates.hpp"
#include "command/hash_sums.hpp"
#include "command/hash_tree.hpp"
#include "command/registry.hpp"
#include "hash/digest.hpp"
#include "quoting.hpp"

namespace tool {

namespace {

constexpr std::string_view where_listed_files_are = "//";  // no way in which anybody writes a directory

std::vector<std::string_view> algorithm_names() {
  std::vector<std::string_view> names;
  for (const algorithm_info& row : algorithm_table) names.push_back(row.name);
  return names;
}

// Repeatable, and a comma may stand between several.
void add_algorithms(std::vector<algorithm>& to, const std::string& words) {
  for (std::size_t begin = 0; begin <= words.size();) {
    const std::size_t end = std::min(words.find(',', begin), words.size());
    const std::string word = words.substr(begin, end - begin);
    begin = end + 1;
    const auto found = std::ranges::find(algorithm_table, word, &algorithm_info::name);
    if (found == algorithm_table.end()) throw not_among("algorithm", word, algorithm_names());
    if (!available(found->which))
      throw wrong_usage(
          fmt::format("--algorithm: {} is not to be had in this build, or forbidden by OpenSSL here", word));
    if (std::ranges::find(to, found->which) == to.end()) to.push_back(found->which);
  }
}

// What cannot be said together.
void check_combination(const hash_command& command) {
  const auto refuse = [](std::string_view one, std::string_view other) {
    throw wrong_usage(fmt::format("{} and {} exclude each other", one, other));
  };
  if (command.tagged && command.untagged) refuse("--tag", "--untagged");
  if (command.no_recursive && command.tree_digest) refuse("--no-recursive", "--tree");
  if (command.no_recursive && command.check) refuse("--no-recursive", "--check");
  if (command.duplicates) {
    if (command.tagged) refuse("--tag", "--duplicates");
    if (command.untagged) refuse("--untagged", "--duplicates");
    if (command.zero) refuse("--zero", "--duplicates");
    if (command.check) refuse("--duplicates", "--check");
    if (command.tree_digest) refuse("--tree", "--duplicates");
    if (!command.which.empty()) refuse("--algorithm", "--duplicates");
    if (command.tree.shard.of > 1) refuse("--shard", "--duplicates");
  }
  if (command.tree.more_paths && command.tree.more_paths->path == "-" &&
      std::ranges::find(command.paths, "-") != command.paths.end())
    throw wrong_usage("standard input cannot be both a list of paths and a file to hash");
  if (command.tree_digest) {
    if (command.tagged) refuse("--tag", "--tree");
    if (command.untagged) refuse("--untagged", "--tree");
    if (command.check) refuse("--tree", "--check");
    if (command.tree.shard.of > 1) refuse("--shard", "--tree");
  }
  if (command.check) {
    if (command.tagged) refuse("--tag", "--check");
    if (command.untagged) refuse("--untagged", "--check");
    if (command.zero) refuse("--zero", "--check");
    if (command.tree.more_paths) refuse("--files-from", "--check");
    return;
  }
  const std::pair<bool, std::string_view> only_checking[] = {{command.ignore_missing, "--ignore-missing"},
                                                             {command.strict, "--strict"},
                                                             {command.quiet, "--quiet"},
                                                             {command.status, "--status"},
                                                             {command.warn, "--warn"},
                                                             {command.exact, "--exact"}};
  for (const auto& [given, name] : only_checking)
    if (given) throw wrong_usage(fmt::format("{} means something only with --check", name));
}

}  // namespace

command_line hash_command_line() {
  const auto parsed = std::make_shared<hash_command>();
  hash_command& hash = *parsed;
  // How much is said: the last word counts.
  const auto say = [&hash](bool quiet, bool status, bool warn) {
    return [&hash, quiet, status, warn] {
      hash.quiet = quiet;
      hash.status = status;
      hash.warn = warn;
    };
  };
  constexpr std::string_view digests = "Digests", checking = "Checking";
  command_line made{.name = "hash",
                    .summary = "Print digests of files, one line each, in the order of their paths; or check them",
                    .takes = {.synopsis = "[PATH...]",
                              .help = "Files and trees; none, or -: standard input. With -c: lists of digests"}};
  option algorithms = word('a', "algorithm", "ALGORITHM", digests,
                           "Digest to compute, or to expect in lists; repeatable (default: sha256)",
                           [&hash](const std::string& words) { add_algorithms(hash.which, words); });
  algorithms.kind = value_kind::choice;
  algorithms.choices = algorithm_names();
  option exact =
      word(0, "exact", "DIRECTORY", checking,
           "Fail for files that the list does not name, in DIRECTORY or where the listed files are; repeatable",
           [&hash](const std::string& place) {
             hash.exact = true;
             if (place != where_listed_files_are) hash.exact_in.push_back(place);
           });
  exact.kind = value_kind::directory;
  exact.when_bare = where_listed_files_are;
  option tree = choice(0, "tree", "SCOPE", {tree_scope_names.begin(), tree_scope_names.end()}, digests,
                       "Print one digest for all that is in each path: by content, modes too, or owners and times too",
                       [&hash](std::size_t scope) { hash.tree_digest = tree_scope(scope); });
  tree.when_bare = "content";
  made.options = {
      std::move(algorithms),
      flag(0, "tag", digests, "Print lines that name the algorithm, as BSD does", hash.tagged),
      flag(0, "untagged", digests, "Print lines without it, also for several algorithms", hash.untagged),
      flag('z', "zero", digests, "End lines with NUL, not newline, and escape nothing in names", hash.zero),
      std::move(tree),
      flag(0, "no-recursive", digests, "Refuse directories", hash.no_recursive),
      flag('L', "dereference", digests, "Follow symbolic links below the paths too", hash.follow),
      flag(0, "duplicates", digests, "Print groups of files with the same content", hash.duplicates),
      flag('c', "check", checking, "Read digests from lists, and compare files with them", hash.check),
      flag(0, "ignore-missing", checking, "Say nothing of listed files that do not exist", hash.ignore_missing),
      flag(0, "quiet", checking, "Print no OK for files that match", say(true, false, false)),
      flag(0, "status", checking, "Print nothing; the exit status says it", say(false, true, false)),
      flag(0, "strict", checking, "Fail when a line of a list is malformed", hash.strict),
      std::move(exact),
      flag('w', "warn", checking, "Name each malformed line", say(false, false, true)),
  };
  add_common_options(made, hash.tree);
  made.take_operands = [parsed](std::vector<std::string> paths) {
    parsed->paths = std::move(paths);
    check_combination(*parsed);
  };
  made.run = [parsed](messages& to) { return run(*parsed, to); };
  return made;
}

int run(const hash_command& command, messages& say) {
  if (command.tree_digest) return print_trees(command, say);
  if (command.duplicates) return print_duplicates(command, say);
  return command.check ? check_lists(command, say) : print_sums(command, say);
}

}  // namespace tool
