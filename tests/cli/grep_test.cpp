#include "../catch.hpp"
#include "trees.hpp"

using cli::asyncfs;
using cli::hardship;
using cli::scratch;

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
