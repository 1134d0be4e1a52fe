#include "../catch.hpp"
#include "trees.hpp"

using cli::asyncfs;
using cli::hardship;
using cli::scratch;

namespace {

// Events, but for how long things took.
std::string without_times(std::string text) {
  for (const std::string key : {"\"secs\":", "\"nanos\":", "\"human\":\""})
    for (std::size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + key.size()))
      text.erase(at + key.size(), text.find_first_not_of("0123456789.s", at + key.size()) - at - key.size());
  return text;
}

// Lines of every kind, under names of every kind.
void make_lines(const scratch& in, const std::string& name) {
  const std::string top = name + "/";
  in.file(top + "several", "foo bar foo\nfoofoo\nxx foo x\nno match at all: f\nFOO foO\n");
  in.file(top + "crlf", "foo\r\nx\r\nxx foo\r\n\r\n");
  in.file(top + "no end of line", "one\nend foo");
  in.file(top + "empty lines", "\n\nfoo\n\n");
  in.file(top + "no UTF-8", "\xff foo \xc3\nx\xe9x foo\n\xc3\xa9 foo\n");
  in.file(top + "characters",
          "a\xc3\xa9"
          "b\xf0\x9f\x98\x80 foo\n\xe2\x82\xac");
  in.file(top + "controls", "\x1b[31mfoo\b\f\t\"\\\x01/\n");
  in.file(top + "binary", std::string("foo\0x foo\nx\n", 12));
  in.file(top + "a \"quoted\"\nname\\", "foo\n");
  in.file(top + "in\xffvalid", "x\nfoo\n");
  in.file(top + "\x1b[2J", "foo\n");
  in.file(top + "nothing", "");
}

// What both print when asked the same, in every engine.
void compare_with_ripgrep(const std::vector<std::string>& words) {
  std::vector<std::string> theirs{"rg", "-uuu", "--sort", "path"};
  theirs.insert(theirs.end(), words.begin(), words.end());
  const auto wanted = cli::program(theirs);
  std::string asked;
  for (const std::string& word : words) asked += word + ' ';
  INFO(asked);
  for (const std::string& engine : cli::engines) {
    std::vector<std::string> ours{"grep", "--engine=" + engine, "-uuu", "--sort", "path"};
    ours.insert(ours.end(), words.begin(), words.end());
    const auto done = asyncfs(ours);
    CHECK(done.err == "");
    CHECK(without_times(done.out) == without_times(wanted.out));
    CHECK(done.status == wanted.status);
  }
}

const std::vector<std::vector<std::string>> questions_about_matches = {
    {"foo"},     {"-n", "foo"}, {"-i", "foo"}, {"-F", "foo"}, {"-F", "-i", "O F"},
    {"-F", "x"}, {"x*"},        {"-n", "x*"},  {"^"},         {"$"},
    {"^|foo"},   {"foo$"},      {"(foo|x|)"},  {"o"},         {"-i", "fo+"},
    {"."},       {".*"},        {"[^x]+"},     {"\\w+"},      {"\\bfoo\\b"},
    {"\\s"},     {"é|b"},       {"(?:x|)"},    {"-n", "€"},   {"nothing has it"}};

}  // namespace

TEST_CASE("grep prints what ripgrep prints into a pipe") {
  if (!cli::has_program("rg")) {
    WARN("ripgrep is not installed: nothing to compare with");
    return;
  }
  scratch at;
  cli::make_hostile_tree(at, "tree");
  const std::string root = at / "tree";
  const std::vector<std::vector<std::string>> questions = {
      {"-c", "io_uring"}, {"-c", "static\\s+int"},       {"-n", "io_uring"},     {"static +int"},
      {"-l", "static"},   {"-i", "-c", "IO_URING"},      {"-F", "-n", "int i;"}, {"-c", "^"},
      {"-c", "$"},        {"-n", "^file [0-9]+5$"},      {"-c", "[^a]"},         {"-n", "\\bint\\b"},
      {"-c", "x|y"},      {"-n", "(static|hello) \\w+"}, {"-F", "-c", "."},      {"-c", "nothing has this"},
      {"-n", "é|z{5}"}};
  for (const auto& question : questions) {
    std::vector<std::string> words{"-uuu", "--sort", "path"};
    words.insert(words.end(), question.begin(), question.end());
    words.push_back(root);
    std::vector<std::string> theirs{"rg"};
    theirs.insert(theirs.end(), words.begin(), words.end());
    const auto wanted = cli::program(theirs);
    INFO(question.back());
    for (const std::string& engine : cli::engines) {
      std::vector<std::string> ours{"grep", "--engine=" + engine};
      ours.insert(ours.end(), words.begin(), words.end());
      const auto done = asyncfs(ours);
      CHECK(done.err == "");
      CHECK(done.out == wanted.out);
      CHECK(done.status == wanted.status);
    }
  }
}

TEST_CASE("grep without io_uring finds the same") {
  scratch at;
  cli::make_hostile_tree(at, "tree");
  const std::vector<std::string> words{"grep", "-uuu", "-n", "--sort", "path", "io_uring", at / "tree"};
  const auto wanted = asyncfs(words);
  CHECK(wanted.out.find(":1:hello io_uring\n") != std::string::npos);
  CHECK(asyncfs(words, hardship::no_io_uring).out == wanted.out);
}

TEST_CASE("grep without --sort prints the same lines, each file's together") {
  scratch at;
  cli::make_hostile_tree(at, "tree");
  const auto sorted =
      cli::shell(std::string(ASYNCFS_PROGRAM) + " grep -uuu -c static '" + (at / "tree") + "' | LC_ALL=C sort");
  const auto wanted = cli::shell(std::string(ASYNCFS_PROGRAM) + " grep -uuu -c --sort path static '" + (at / "tree") +
                                 "' | LC_ALL=C sort");
  CHECK(sorted.out.size() > 1000);
  CHECK(sorted.out == wanted.out);
}

TEST_CASE("grep of one named file prints lines without its name, and searches the current directory when given none") {
  scratch at;
  at.file("d/one", "x\nneedle\n");
  CHECK(asyncfs({"grep", "-uuu", "needle", at / "d/one"}).out == "needle\n");
  CHECK(asyncfs({"grep", "-uuu", "-n", "needle"}, hardship::none, at.path()).out == "d/one:2:needle\n");
}

TEST_CASE("grep exits with 1 when nothing matches, and with 2 when something could not be searched") {
  scratch at;
  at.file("one", "x\n");
  CHECK(asyncfs({"grep", "-uuu", "y", at / "one"}).status == 1);
  const auto missing = asyncfs({"grep", "-uuu", "x", at / "one", at / "gone"});
  CHECK(missing.status == 2);
  CHECK(missing.out == (at / "one") + ":x\n");
  CHECK(missing.err == "asyncfs grep: cannot open '" + (at / "gone") + "' for reading: No such file or directory\n");
}

TEST_CASE("grep points at the fault in a bad pattern") {
  const auto done = asyncfs({"grep", "-uuu", "a(b", "/dev/null"});
  CHECK(done.status == 2);
  CHECK(done.err == "asyncfs grep: cannot read the pattern: missing closing parenthesis\n    a(b\n       ^\n");
}

TEST_CASE("grep says that it does not know ignore rules yet") {
  scratch at;
  at.file("one", "x\n");
  const auto done = asyncfs({"grep", "x", at / "one"});
  CHECK(done.status == 0);
  CHECK(done.err.find("everything is searched") != std::string::npos);
}

TEST_CASE("grep finds matches next to every buffer boundary, and lines longer than the buffer") {
  scratch at;
  for (int before = 65530; before < 65545; ++before) {
    const std::string name = at.file("f", std::string(static_cast<std::size_t>(before), 'a') + "needle\nrest needle");
    CHECK(asyncfs({"grep", "-uuu", "-c", "needle", name}).out == "2\n");
    CHECK(asyncfs({"grep", "-uuu", "-c", "n[e]edle$", name}).out == "2\n");
  }
  const std::string name = at.file("g", std::string(1'000'000, 'b') + "\n" + std::string(300'000, 'c') + "needle\n");
  CHECK(asyncfs({"grep", "-uuu", "-c", "c+needle", name}).out == "1\n");
}

TEST_CASE("grep reports a pattern that needs too many steps instead of calling it no match") {
  scratch at;
  const std::string name = at.file("f", std::string(60, 'a') + "!\n");
  const auto done = asyncfs({"grep", "-uuu", "^(a+)+$", name});
  CHECK(done.status == 2);
  CHECK(done.out == "");
  CHECK(done.err.find("match limit") != std::string::npos);
}

TEST_CASE("grep --json prints ripgrep's events") {
  if (!cli::has_program("rg")) {
    WARN("ripgrep is not installed: nothing to compare with");
    return;
  }
  scratch at;
  make_lines(at, "lines");
  cli::make_hostile_tree(at, "tree");
  for (std::vector<std::string> words : questions_about_matches) {
    words.insert(words.begin(), "--json");
    words.push_back(at / "lines");
    compare_with_ripgrep(words);
  }
  for (const std::string pattern : {"io_uring", "static|z$", "[0-9]"})
    compare_with_ripgrep({"--json", pattern, at / "tree"});
  compare_with_ripgrep({"--json", "--color=always", "foo", at / "lines/several"});
  compare_with_ripgrep({"--json", "foo", at / "lines/several", at / "lines/crlf"});
}

TEST_CASE("grep --color=always prints ripgrep's sequences") {
  if (!cli::has_program("rg")) {
    WARN("ripgrep is not installed: nothing to compare with");
    return;
  }
  scratch at;
  make_lines(at, "lines");
  cli::make_hostile_tree(at, "tree");
  for (std::vector<std::string> words : questions_about_matches) {
    words.insert(words.begin(), "--color=always");
    words.push_back(at / "lines");
    compare_with_ripgrep(words);
  }
  for (const std::string how : {"-c", "-l", "-n"}) {
    compare_with_ripgrep({"--color=always", how, "io_uring", at / "tree"});
    compare_with_ripgrep({"--color=always", how, "foo", at / "lines/several"});
    compare_with_ripgrep({"--color=never", how, "foo", at / "lines"});
  }
}

TEST_CASE("grep shows each of very many matches in one line") {
  if (!cli::has_program("rg")) {
    WARN("ripgrep is not installed: nothing to compare with");
    return;
  }
  scratch at;
  std::string line;
  for (int i = 0; i < 20'000; ++i) line += "ab";
  const std::string name = at.file("f", "a\n" + line + "\nb\n" + line);
  for (const std::string how : {"--json", "--color=always"})
    for (const std::string pattern : {"a", "[a]", "b|$"}) compare_with_ripgrep({how, pattern, name, name});
}

TEST_CASE("grep --json refuses what ripgrep refuses with it") {
  scratch at;
  const std::string name = at.file("f", "foo\n");
  for (const std::string what : {"--count", "--files-with-matches"}) {
    const auto done = asyncfs({"grep", "-uuu", "--json", what, "foo", name});
    CHECK(done.status == 2);
    CHECK(done.out == "");
    CHECK(done.err.starts_with("asyncfs grep: " + what + " and --json exclude each other\n"));
  }
}

TEST_CASE("grep --json has statistics in its summary when asked for them") {
  scratch at;
  const std::string name = at.file("f", "foo\n");
  const auto done = asyncfs({"grep", "-uuu", "--json", "--stats", "--engine=sync", "foo", name});
  CHECK(done.err == "");
  CHECK(done.out.find("\"searches_with_match\":1}},\"type\":\"summary\",\"loops\":1,\"engine\":\"sync\",") !=
        std::string::npos);
  CHECK(done.out.ends_with("}\n"));
}

TEST_CASE("grep ends a line whose matches need too many steps, and its file has no end event") {
  scratch at;
  const std::string name = at.file("f", "x" + std::string(60, 'a') + "!\nx\n");
  const auto events = asyncfs({"grep", "-uuu", "--json", "^x|(a+)+$", name});
  CHECK(events.status == 2);
  CHECK(events.out.find("\"submatches\":[{\"match\":{\"text\":\"x\"},\"start\":0,\"end\":1}]}}\n{\"data\":") !=
        std::string::npos);
  CHECK(events.out.find("\"type\":\"end\"") == std::string::npos);
  const auto coloured = asyncfs({"grep", "-uuu", "--color=always", "^x|(a+)+$", name});
  CHECK(coloured.status == 2);
  CHECK(coloured.out == "\x1b[0m\x1b[1m\x1b[31mx\x1b[0m" + std::string(60, 'a') + "!\n");
  CHECK(coloured.err.find("match limit") != std::string::npos);
}

TEST_CASE("grep --json that is interrupted leaves no event in parts") {
  scratch at;
  for (const char* name : {"t/a", "t/b"}) at.file(name, std::string(220'000, 'x') + "\nx\n");
  const auto done = cli::shell("cd '" + at.path() +
                               "' && python3 -c 'import json, subprocess, signal, time\n"
                               "p = subprocess.Popen([\"" ASYNCFS_PROGRAM
                               "\", \"grep\", \"-uuu\", \"--json\", \"--sort=path\", \"-j2\", \"x\", \"t\"], "
                               "stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)\n"
                               "first = p.stdout.read(1)\n"
                               "time.sleep(0.5)\n"  // until the others hold all that may be held, and wait
                               "p.send_signal(signal.SIGINT)\n"
                               "time.sleep(0.2)\n"
                               "rows = [json.loads(line) for line in (first + p.stdout.read()).splitlines()]\n"
                               "print(p.wait() == -signal.SIGINT, rows[0][\"type\"], rows[-1][\"type\"])'");
  CHECK(done.err == "");
  CHECK(done.out == "True begin summary\n");
}
