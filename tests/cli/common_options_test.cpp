// What copy, hash and grep have in common: which files, and what is shown.

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "../catch.hpp"
#include "../support/left_out.hpp"
#include "program.hpp"
#include "trees.hpp"

using cli::asyncfs;
using cli::hardship;
using cli::scratch;
using cli::shell;

namespace {

const std::string program_name = ASYNCFS_PROGRAM;

std::vector<std::string> sorted_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::ranges::sort(lines);
  return lines;
}

// The paths in the output of hash, without what stands before them.
std::vector<std::string> paths_in(const std::string& digests) {
  std::vector<std::string> paths;
  for (const std::string& line : sorted_lines(digests)) paths.push_back(line.substr(line.find("  ") + 2));
  std::ranges::sort(paths);
  return paths;
}

using paths = std::vector<std::string>;

paths hashed(const scratch& at, std::vector<std::string> options) {
  options.insert(options.begin(), "hash");
  const auto done = asyncfs(options, hardship::none, at.path());
  CHECK(done.err == "");
  CHECK(done.status == 0);
  return paths_in(done.out);
}

void plant(const scratch& at) {
  for (const char* name : {"t/a.c", "t/a.o", "t/sub/b.c", "t/sub/b.o", "t/sub/deep/c.o", "t/build/d.c", "t/sub/build"})
    at.file(name, std::string(name) + "\n");
}

// Runs it in a pseudo-terminal, and gives what a terminal would have got.
std::string on_terminal(const std::string& command) {
  return shell("script -qec '" + command + "' /dev/null </dev/null").out;
}

}  // namespace

TEST_CASE("--exclude leaves out names, and with a slash in it paths below the operand") {
  scratch at;
  plant(at);
  CHECK(hashed(at, {"--exclude=*.o", "t"}) == paths{"t/a.c", "t/build/d.c", "t/sub/b.c", "t/sub/build"});
  CHECK(hashed(at, {"--exclude=build", "t"}) == paths{"t/a.c", "t/a.o", "t/sub/b.c", "t/sub/b.o", "t/sub/deep/c.o"});
  CHECK(hashed(at, {"--exclude=build/", "t"}) ==
        paths{"t/a.c", "t/a.o", "t/sub/b.c", "t/sub/b.o", "t/sub/build", "t/sub/deep/c.o"});
  CHECK(hashed(at, {"--exclude=/build", "t"}) ==
        paths{"t/a.c", "t/a.o", "t/sub/b.c", "t/sub/b.o", "t/sub/build", "t/sub/deep/c.o"});
  CHECK(hashed(at, {"--exclude=sub/*.o", "t"}) ==
        paths{"t/a.c", "t/a.o", "t/build/d.c", "t/sub/b.c", "t/sub/build", "t/sub/deep/c.o"});
  CHECK(hashed(at, {"--exclude=sub/**/*.o", "t"}).size() == 5);
  CHECK(hashed(at, {"--exclude=t", "t", "t/a.c"}) == paths{"t/a.c"});
  CHECK(hashed(at, {"--exclude=*", "."}).empty());
}

TEST_CASE(
    "the last of --exclude and --include that matches decides, and an --include that comes first leaves out the rest") {
  scratch at;
  plant(at);
  CHECK(hashed(at, {"--include=*.c", "t"}) == paths{"t/a.c", "t/build/d.c", "t/sub/b.c"});
  CHECK(hashed(at, {"--exclude=*.o", "--include=c.o", "t"}) ==
        paths{"t/a.c", "t/build/d.c", "t/sub/b.c", "t/sub/build", "t/sub/deep/c.o"});
  CHECK(hashed(at, {"--include=*.o", "--exclude=a.*", "t"}) == paths{"t/sub/b.o", "t/sub/deep/c.o"});
  CHECK(hashed(at, {"--include=[ab].?", "t"}) == paths{"t/a.c", "t/a.o", "t/sub/b.c", "t/sub/b.o"});
}

TEST_CASE("filters hold for copy and grep alike") {
  scratch at;
  plant(at);
  CHECK(asyncfs({"copy", "--exclude=*.o", "--exclude=build/", "t", "u"}, hardship::none, at.path()).status == 0);
  CHECK(sorted_lines(shell("cd '" + at.path() + "/u' && find . -type f").out) ==
        paths{"./a.c", "./sub/b.c", "./sub/build"});
  const auto found = asyncfs({"grep", "-uuu", "-l", "--include=*.o", "t", "t"}, hardship::none, at.path());
  CHECK(sorted_lines(found.out) == paths{"t/a.o", "t/sub/b.o", "t/sub/deep/c.o"});
}

TEST_CASE("a pattern that is no glob is refused, and which option and why is said") {
  const auto done = asyncfs({"hash", "--exclude=[", "."});
  CHECK(done.status == 2);
  CHECK(done.err.find("--exclude: '[' is no glob: ") != std::string::npos);
}

TEST_CASE("paths come from lists, line by line or between NULs, behind those of the command line") {
  scratch at;
  plant(at);
  at.file("list", "t/sub\n\nt/a.c");
  const auto done = asyncfs({"hash", "--files-from=list", "t/build"}, hardship::none, at.path());
  CHECK(done.err == "");
  const auto wanted = shell("cd '" + at.path() + "' && find t/build t/sub t/a.c -type f | xargs sha256sum");
  CHECK(sorted_lines(done.out) == sorted_lines(wanted.out));
  CHECK(done.out.starts_with(wanted.out.substr(0, wanted.out.find('\n'))));  // operands first
  CHECK(done.out.ends_with("  t/a.c\n"));
  at.file("odd\nname", "odd\n");
  const auto odd =
      shell("cd '" + at.path() + "' && printf 'odd\\nname\\0t/a.c\\0' | " + program_name + " hash --files0-from=-");
  CHECK(odd.out == shell("cd '" + at.path() + "' && sha256sum 'odd\nname' t/a.c").out);
  const auto missing = asyncfs({"hash", "--files-from=nothing"}, hardship::none, at.path());
  CHECK(missing.status == 1);
  CHECK(missing.err == "asyncfs hash: cannot open the list of paths 'nothing': No such file or directory\n");
  const auto copied = asyncfs({"copy", "--files-from=list", "t"}, hardship::none, at / "t");
  CHECK(copied.status == 1);  // there is no list there
  CHECK(asyncfs({"copy", "--files-from=list", at.directory("into")}, hardship::none, at.path()).status == 0);
  CHECK(std::filesystem::exists(at / "into/sub/deep/c.o"));
  CHECK(std::filesystem::exists(at / "into/a.c"));
}

TEST_CASE("a list of ten thousand paths is worked through in its order") {
  scratch at;
  at.file("a", "a\n");
  at.file("b", "b\n");
  std::string list;
  for (int i = 0; i < 5000; ++i) list += "b\na\n";
  at.file("list", list);
  const auto done = asyncfs({"hash", "--files-from=list"}, hardship::none, at.path());
  const std::string two = shell("cd '" + at.path() + "' && sha256sum b a").out;
  std::string all;
  for (int i = 0; i < 5000; ++i) all += two;
  CHECK(done.out == all);
}

TEST_CASE("shards together are the whole, without overlap, and their parts merge into what one run prints") {
  scratch at;
  cli::make_hostile_tree(at, "tree");
  shell("cd '" + at.path() +
        "' && find tree -name '*\\\\*' -delete; find tree \\( -name '*\n*' -o -type p \\) -delete");
  const auto whole = asyncfs({"hash", "tree"}, hardship::none, at.path());
  CHECK(sorted_lines(whole.out).size() > 100);
  for (const int of : {1, 3, 7}) {
    std::string names;
    for (int part = 1; part <= of; ++part) {
      const std::string name = "part" + std::to_string(part);
      const auto done = asyncfs({"hash", "--shard=" + std::to_string(part) + "/" + std::to_string(of), "tree"},
                                hardship::none, at.path());
      CHECK(done.status == 0);
      CHECK((of == 1 || done.out.size() < whole.out.size() * 2 / 3));
      at.file(name, done.out);
      names += " " + name;
    }
    CHECK(shell("cd '" + at.path() + "' && LC_ALL=C sort -m -k 1.67" + names).out == whole.out);
  }
  for (const int part : {1, 2, 3})
    CHECK(asyncfs({"copy", "--shard=" + std::to_string(part) + "/3", "tree/.", "copy"}, hardship::none, at.path())
              .status == 0);
  CHECK(shell("cd '" + at.path() + "' && diff -r --no-dereference tree copy").out == "");
  for (const char* nonsense : {"--shard=3", "--shard=0/3", "--shard=4/3", "--shard=a/b"})
    CHECK(asyncfs({"hash", nonsense, "tree"}, hardship::none, at.path()).status == 2);
}

TEST_CASE("--one-file-system stays on the operand's") {
  scratch at;
  plant(at);
  const std::string mounted = "unshare -m sh -c 'cd " + at.path() +
                              " && mount -t tmpfs none t/sub && echo x > t/sub/x && " + program_name + " hash ";
  if (shell("unshare -m sh -c 'mount -t tmpfs none " + at.directory("m") + "'").status != 0) {
    WARN("left out: nothing can be mounted here");
    return;
  }
  CHECK(paths_in(shell(mounted + "t'").out) == paths{"t/a.c", "t/a.o", "t/build/d.c", "t/sub/x"});
  CHECK(paths_in(shell(mounted + "--one-file-system t'").out) == paths{"t/a.c", "t/a.o", "t/build/d.c"});
  CHECK(paths_in(shell(mounted + "--one-file-system t/sub'").out) == paths{"t/sub/x"});
}

TEST_CASE("--json prints an object a line, with names whatever their bytes, and a summary at last") {
  scratch at;
  at.file("t/plain", "1\n");
  at.file("t/quote\"and\nline", "2\n");
  at.file("t/not\xffutf8", "3\n");
  const std::string check =
      " | python3 -c 'import sys, json, base64, hashlib, os\n"
      "rows = [json.loads(line) for line in sys.stdin]\n"
      "assert rows[-1][\"type\"] == \"summary\" and rows[-1][\"files\"] == 3 and rows[-1][\"bytes\"] == 6, rows[-1]\n"
      "for row in rows[:-1]:\n"
      "  name = row[\"path\"].encode() if \"path\" in row else base64.b64decode(row[\"path_base64\"])\n"
      "  assert hashlib.sha256(open(name, \"rb\").read()).hexdigest() == row[\"digests\"][\"sha256\"]\n"
      "  assert row[\"bytes\"] == 2 and row[\"type\"] == \"file\"\n"
      "print(len(rows))'";
  const auto done = shell("cd '" + at.path() + "' && " + program_name + " hash --json t" + check);
  CHECK(done.err == "");
  CHECK(done.out == "4\n");
  const auto copied = shell("cd '" + at.path() + "' && " + program_name +
                            " copy --json t u | python3 -c 'import sys, json\n"
                            "rows = [json.loads(line) for line in sys.stdin]\n"
                            "assert rows[-1][\"type\"] == \"summary\"\n"
                            "print(len(rows), sum(row[\"bytes\"] for row in rows[:-1]))'");
  CHECK(copied.out == "4 6\n");
}

TEST_CASE("what is read twice, to be sure that it stood still, is counted once") {
  const std::string lies = "/sys/kernel/mm/transparent_hugepage/enabled";  // of its size
  const auto content = shell("cat " + lies);
  if (content.status != 0) return tests::leave_out("the size of what is read twice: no " + lies);
  const auto done = asyncfs({"hash", "--json", lies});
  CHECK(done.status == 0);
  CHECK(done.out.find("\"files\":1,\"bytes\":" + std::to_string(content.out.size()) + ",") != std::string::npos);
}

TEST_CASE("an option that ends in = has no value, and takes none from the next word") {
  scratch at;
  plant(at);
  for (const std::string option : {"--exclude=", "--files-from=", "--trace=", "--jobs=", "--color="}) {
    const auto done = asyncfs({"hash", option, "t"}, hardship::none, at.path());
    CHECK(done.status == 2);
    CHECK(done.out == "");
    CHECK(done.err.find("the value is missing behind '" + option + "'") != std::string::npos);
  }
}

TEST_CASE("lists of paths that contradict each other, or what they are, are refused") {
  scratch at;
  at.file("a", "a");
  at.file("lines", "a\n");
  at.file("zeros", std::string("a\0b\0", 4));
  at.file("too long", "a\n" + std::string(5000, 'x') + "\na\n");
  const auto both = asyncfs({"hash", "--files-from=lines", "--files0-from=zeros"}, hardship::none, at.path());
  CHECK(both.status == 2);
  CHECK(both.out == "");
  CHECK(both.err.find("--files-from and --files0-from cannot be combined") != std::string::npos);
  const auto twice = shell("echo a | " + program_name + " hash --files-from=- -");
  CHECK(twice.status == 2);
  CHECK(twice.err.find("standard input cannot be both") != std::string::npos);
  const auto zeros = asyncfs({"hash", "--files-from=zeros"}, hardship::none, at.path());
  CHECK(zeros.status == 1);
  CHECK(zeros.out == "");
  const auto long_one = asyncfs({"hash", "--files-from=too long"}, hardship::none, at.path());
  CHECK(long_one.status == 1);
  CHECK(long_one.out == asyncfs({"hash", "a", "a"}, hardship::none, at.path()).out);  // the rest is worked on
  CHECK(long_one.err == "asyncfs hash: a path of more than 4095 bytes is left out of the list of paths 'too long'\n");
  CHECK(zeros.err ==
        "asyncfs hash: a line with NULs in it is left out of the list of paths 'zeros'; --files0-from takes such\n");
}

TEST_CASE("an option that takes no value is refused one") {
  scratch at;
  at.file("a", "a");
  for (const std::string word : {"--json=0", "--stats=no", "--no-recursive=false"}) {
    INFO(word);
    const auto done = asyncfs({"hash", word, "a"}, hardship::none, at.path());
    CHECK(done.status == 2);
    CHECK(done.out == "");
    CHECK(done.err == "asyncfs hash: " + word.substr(0, word.find('=')) +
                          " takes no value\nTry 'asyncfs hash --help' for more information.\n");
  }
}

TEST_CASE("what the tool says of itself fails where it cannot be written, and that is said") {
  for (const std::string words : {"--help", "--version", "hash --help", "--completions=bash", "probe"})
    for (const std::string where : {">/dev/full", ">&-"}) {
      INFO(words << where);
      const auto done = shell(program_name + " " + words + " " + where);
      CHECK(done.status == 1);
      CHECK(done.err.find(": cannot write to standard output: ") != std::string::npos);
    }
}

TEST_CASE("as many loops with as many files in flight as one may ask for come to an end") {
  scratch at;
  plant(at);
  const auto done = asyncfs({"hash", "--jobs=64", "--depth=4096", "t"}, hardship::none, at.path());
  CHECK(done.status == 0);
  CHECK(done.out == asyncfs({"hash", "t"}, hardship::none, at.path()).out);
}

TEST_CASE("where few descriptors may be open, directories of a file each are worked through all the same") {
  scratch at;
  for (int i = 0; i < 900; ++i) at.file("t/" + std::to_string(i % 30) + "/" + std::to_string(i) + "/f", "needle");
  const std::string here = "ulimit -n 256; cd '" + at.path() + "'; ";
  const auto run = [&](const std::string& words) { return shell(here + program_name + " " + words); };
  for (const std::string engine : {"", " --engine=threads", " --engine=sync"}) {
    INFO(engine);
    const auto sums = run("hash t > sums" + engine);
    CHECK(sums.err == "");
    CHECK(sums.status == 0);
    CHECK(shell("wc -l < '" + (at / "sums") + "'").out == "900\n");
    for (const std::string words : {"hash --depth=4096 -j64 t", "hash -c --quiet --exact sums", "hash --tree t",
                                    "hash --duplicates t", "grep -uuu needle t", "copy t u"}) {
      INFO(words);
      const auto done = run(words + engine);
      CHECK(done.err == "");
      CHECK(done.status == 0);
    }
    std::filesystem::remove_all(at / "u");
  }
}

TEST_CASE("--stats says what was done, on standard error") {
  scratch at;
  plant(at);
  const auto done = asyncfs({"hash", "--stats", "t"}, hardship::none, at.path());
  CHECK(done.status == 0);
  CHECK(done.out == asyncfs({"hash", "t"}, hardship::none, at.path()).out);
  CHECK(done.err.find("7 files and ") != std::string::npos);
  CHECK(done.err.find(" system calls, ") != std::string::npos);
  CHECK(done.err.find("% waiting for devices") != std::string::npos);
}

TEST_CASE("files that several passes look at are counted once") {
  scratch at;
  for (const char* name : {"t/a", "t/b"}) at.file(name, std::string(100'000, 'x'));
  const auto duplicates = asyncfs({"hash", "--duplicates", "--json", "t"}, hardship::none, at.path());
  CHECK(duplicates.out.find("\"files\":2,") != std::string::npos);
  CHECK(shell("cd '" + at.path() + "'; " + program_name + " hash t > list").status == 0);
  const auto checked = asyncfs({"hash", "-c", "--exact", "--json", "list"}, hardship::none, at.path());
  CHECK(checked.status == 0);
  CHECK(checked.out.find("\"files\":2,") != std::string::npos);
}

TEST_CASE("an interrupted pass of several has its summary, too") {
  scratch at;
  at.file("t/a", std::string(3'000'000, 'x'));
  at.file("t/b", std::string(3'000'000, 'x'));
  for (const std::string what : {"--tree", "--duplicates"}) {
    INFO(what);
    const auto done = shell("cd '" + at.path() + "'; exec timeout --preserve-status -s TERM 0.3 " + program_name +
                            " hash --json --limit-rate=1M " + what + " t");
    CHECK(done.status != 0);
    CHECK(done.out.find("\"type\":\"summary\"") != std::string::npos);
    CHECK(done.out.find("\"failed\":true") != std::string::npos);
  }
}

TEST_CASE("--stats sums up what is done in several passes, and says it once") {
  const scratch at;
  at.file("t/a", "same");
  at.file("t/b", "same");
  at.file("list", asyncfs({"hash", "t"}, hardship::none, at.path()).out);
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"-c", "--exact", "list"}, {"--duplicates", "t"}, {"--tree", "t", "t/a"}}) {
    std::vector<std::string> all{"hash", "--stats"};
    all.insert(all.end(), words.begin(), words.end());
    INFO(words.front());
    const std::string said = asyncfs(all, hardship::none, at.path()).err;
    CHECK(std::ranges::count(said, '\n') == 3);
    CHECK(said.find(" files and ") == said.rfind(" files and "));
  }
}

TEST_CASE("progress goes to standard error, is taken back at the end, and mixes with no message") {
  scratch at;
  plant(at);
  const auto done =
      asyncfs({"hash", "--progress=always", "--limit-rate=100", "t", "nothing"}, hardship::none, at.path());
  CHECK(done.status == 1);
  CHECK(paths_in(done.out).size() == 7);
  CHECK(done.err.find(" files  ") != std::string::npos);
  CHECK(done.err.find("/s  (average ") != std::string::npos);
  CHECK(done.err.ends_with("\r\x1b[K"));
  CHECK(done.err.find("asyncfs hash: cannot open 'nothing' for reading: No such file or directory\n") !=
        std::string::npos);
  CHECK(asyncfs({"hash", "--limit-rate=100", "t"}, hardship::none, at.path()).err == "");
}

TEST_CASE("on a terminal progress is shown when results go elsewhere, and names do nothing there") {
  scratch at;
  at.file("t/evil\x1b[2J", std::string(200, 'x'));
  at.file("t/plain", std::string(200, 'x'));
  const std::string go = "cd " + at.path() + " && " + program_name;
  const std::string quiet = on_terminal(go + " hash t");
  CHECK(quiet.find('\x1b') == std::string::npos);
  CHECK(quiet.find("$'\\033'") != std::string::npos);
  CHECK(quiet.find("  t/plain") != std::string::npos);
  const std::string shown = on_terminal(go + " hash --limit-rate=150 t > /dev/null");
  CHECK(shown.find(" of 2 files  ") != std::string::npos);
  CHECK(shown.find("\x1b[2J") == std::string::npos);
  const std::string searched = on_terminal(go + " grep -uuu -l x t");
  CHECK(searched.find("\x1b[2J") == std::string::npos);
  CHECK(searched.find("plain") != std::string::npos);
}

TEST_CASE("names that would do something on a terminal are printed there as what they are, also of trees") {
  scratch at;
  at.file("esc\x1b[31m/f", "f");
  for (const std::string what : {"hash", "hash --tree"}) {
    const std::string shown = on_terminal("cd " + at.path() + "; " + program_name + " " + what + " esc*");
    CHECK(shown.find("\x1b[31m") == std::string::npos);
    CHECK(shown.find("[31m") != std::string::npos);
  }
}

TEST_CASE("failures of a check are red on a terminal, unless NO_COLOR or --color=never says otherwise") {
  scratch at;
  at.file("a", "1\n");
  at.file("list", std::string(64, '0') + "  a\n");
  const std::string go = "cd " + at.path() + " && " + program_name + " hash -c --color=";
  CHECK(on_terminal("unset NO_COLOR; export TERM=xterm; " + go + "auto list").find("a: \x1b[31mFAILED\x1b[0m") !=
        std::string::npos);
  CHECK(on_terminal("export NO_COLOR=1; " + go + "auto list").find('\x1b') == std::string::npos);
  CHECK(on_terminal(go + "never list").find('\x1b') == std::string::npos);
  CHECK(shell(go + "auto list").out == "a: FAILED\n");
  CHECK(shell(go + "always list").out == "a: \x1b[31mFAILED\x1b[0m\n");
}

TEST_CASE("matches are coloured on a terminal, unless NO_COLOR, TERM or --color=never says otherwise") {
  scratch at;
  at.file("t/evil\x1b[2J", "a needle\n");
  const std::string go = "cd " + at.path() + " && " + program_name + " grep -uuu needle t --color=";
  const std::string shown = on_terminal("unset NO_COLOR; export TERM=xterm; " + go + "auto");
  CHECK(shown.find(":a \x1b[0m\x1b[1m\x1b[31mneedle\x1b[0m") != std::string::npos);
  CHECK(shown.find("$'\\033'") != std::string::npos);
  CHECK(shown.find("\x1b[2J") == std::string::npos);
  for (const std::string& how :
       {"export NO_COLOR=1; " + go + "auto", "export TERM=dumb; " + go + "auto", go + "never"}) {
    const std::string plain = on_terminal(how);
    CHECK(plain.find(":a needle") != std::string::npos);
    CHECK(plain.find('\x1b') == std::string::npos);
  }
  CHECK(shell(go + "auto").out == "t/evil\x1b[2J:a needle\n");
}

TEST_CASE("a rate that is limited takes at least its time") {
  scratch at;
  at.file("a", std::string(300'000, 'x'));
  for (const std::string command : {"hash", "grep -uuu -c y", "copy a"}) {
    const bool copies = command.starts_with("copy");
    const auto took = shell("cd '" + at.path() + "' && begin=$(date +%s%N) && " + program_name + " " +
                            command.substr(0, command.find(' ')) + " --limit-rate=200K" +
                            (command.find(' ') == std::string::npos ? "" : command.substr(command.find(' '))) +
                            (copies ? " b" : " a") + " > /dev/null; echo $((($(date +%s%N) - begin) / 1000000))");
    CHECK(std::stoi(took.out) >= 1000);
  }
}
