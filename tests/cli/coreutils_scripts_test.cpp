// What coreutils' test scripts do with cksum -c and md5sum, put to asyncfs hash: see coreutils_cases_test.cpp.
#include "../catch.hpp"
#include "coreutils_cases.hpp"

using cli::scratch;
using namespace cli::coreutils;

TEST_CASE("a list of several algorithms is read whatever is between its lines, and what does not fit is counted") {
  const scratch at;
  at.file("input", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n");
  std::string list;
  for (const std::string algorithm : {"sha384", "blake2b", "sha256"})
    list += hash(at, algorithm, {"--tag", "input"}).out;
  const std::string all_well = "input: OK\ninput: OK\ninput: OK\n";
  const auto check = [&at](const std::string& text, std::vector<std::string> options = {},
                           const std::string& only = "") {
    at.file("CHECKSUMS", text);
    options.insert(options.begin(), "--check");
    options.push_back("CHECKSUMS");
    return hash(at, only, options);
  };
  CHECK(check(list, {"--strict"}).out == all_well);
  CHECK(check(list, {}, "sha256").out == "input: OK\n");
  CHECK(check("SHA2-" + list.substr(3), {"--strict"}).out == all_well);

  std::string indented;
  for (std::size_t from = 0, to; (to = list.find('\n', from)) != std::string::npos; from = to + 1)
    indented += " \\" + list.substr(from, to + 1 - from);
  CHECK(check(indented, {"--strict"}).out == all_well);

  at.file("abc (f) = abc", "");
  CHECK(check(hash(at, "sha1", {"--tag", "abc (f) = abc"}).out).out == "abc (f) = abc: OK\n");

  const std::string in_a_signature =
      "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA384\n\n# ignored comment\n" + list +
      "-----BEGIN PGP SIGNATURE-----\n\nSHA384+BCAAdFiEEjFummQvbJuGfKhqAEWGuaUVxmjkFAmCDId0ACgkQEWGuaUVx\n"
      "BLAKE2b/00001EuON62pTEnqrJ5lav61QxRByiuDp/6VODrRL2JWM6Stxu1Myws=\n=AWU7\n-----END PGP SIGNATURE-----\n";
  CHECK(check(in_a_signature).status == 0);
  CHECK(check(in_a_signature).out == all_well);

  CHECK(check(list + "# a comment\n", {"--status"}).out == "");
  CHECK(check(list + "# a comment\n", {"--status"}).err == "");
  const auto one_invalid = check(list + "invalid line\n");
  CHECK(one_invalid.status == 0);
  CHECK(one_invalid.err == from_us({"WARNING: 1 line is improperly formatted"}));
  const auto two_invalid = check(list + "invalid line\ninvalid line\n", {"--strict"});
  CHECK(two_invalid.status == 1);
  CHECK(two_invalid.err == from_us({"WARNING: 2 lines are improperly formatted"}));

  const std::string wrong(64, 'a');
  const std::string mismatch = list + "invalid line\nSHA256 (input) = " + wrong + "\n";
  for (const std::vector<std::string>& options : std::vector<std::vector<std::string>>{{}, {"--strict"}}) {
    const auto got = check(mismatch, options);
    CHECK(got.status == 1);
    CHECK(got.out == all_well + "input: FAILED\n");
    CHECK(got.err ==
          from_us({"WARNING: 1 line is improperly formatted", "WARNING: 1 computed checksum did NOT match"}));
  }
  const auto gone = check("SHA256 (input2) = " + wrong + "\n", {"--strict"});
  CHECK(gone.status == 1);
  CHECK(gone.out == "input2: FAILED open or read\n");
  CHECK(gone.err.ends_with(": No such file or directory\n" + from_us({"WARNING: 1 listed file could not be read"})));
  CHECK(check(mismatch, {"--status"}).out + check(mismatch, {"--status"}).err == "");
  CHECK(check(mismatch, {"--status"}).status == 1);

  // Of --status and --warn the last one counts.
  const auto warned = check(mismatch, {"--status", "--warn"});
  CHECK(warned.status == 1);
  CHECK(warned.err ==
        from_us({"CHECKSUMS: 4: improperly formatted checksum line", "WARNING: 1 line is improperly formatted",
                 "WARNING: 1 computed checksum did NOT match"}));
  CHECK(check(mismatch, {"--warn", "--status"}).err == "");
}

TEST_CASE("files that are missing may be ignored, unless all are, with and without other options") {
  const scratch at;
  at.file("input", "x");
  const std::string missing = "SHA256 (nonexistent) = " + std::string(64, 'a') + "\n";
  at.file("missing", missing);
  at.file("some", hash(at, "sha256", {"--tag", "input"}).out + missing);
  const auto plain = hash(at, "", {"-c", "missing"});
  CHECK(plain.out == "nonexistent: FAILED open or read\n");
  CHECK(plain.err == from_us({"cannot open 'nonexistent' for reading: No such file or directory",
                              "WARNING: 1 listed file could not be read"}));
  const auto ignored = hash(at, "", {"--ignore-missing", "-c", "missing"});
  CHECK(ignored.status == 1);
  CHECK(ignored.out == "");
  CHECK(ignored.err == from_us({"missing: no file was verified"}));
  const auto quiet = hash(at, "", {"--status", "--ignore-missing", "-c", "some"});
  CHECK(quiet.status == 0);
  CHECK(quiet.out + quiet.err == "");
  CHECK(hash(at, "", {"--status", "--warn", "--ignore-missing", "-c", "missing"}).err ==
        from_us({"missing: no file was verified"}));
}

TEST_CASE("lists that are missing, empty, or name what cannot be read are each said, and fail") {
  const scratch at;
  at.file("e1", "");
  at.file("e2", "");
  const auto gone = hash(at, "", {"-c", "non1", "non2"});
  CHECK(gone.status == 1);
  CHECK(gone.err == from_us({"non1: No such file or directory", "non2: No such file or directory"}));
  const auto empty = hash(at, "", {"-c", "e1", "e2"});
  CHECK(empty.status == 1);
  CHECK(empty.err ==
        from_us({"e1: no properly formatted checksum lines found", "e2: no properly formatted checksum lines found"}));

  // A regular file whose first bytes cannot be read.
  at.file("unreadable", line(md5_of_nothing, "/proc/self/mem") + line(md5_of_nothing, "e1"));
  const auto unreadable = hash(at, "md5", {"-c", "unreadable"});
  CHECK(unreadable.status == 1);
  CHECK(unreadable.out == "/proc/self/mem: FAILED open or read\ne1: OK\n");
  CHECK(unreadable.err ==
        from_us({"cannot read '/proc/self/mem': Input/output error", "WARNING: 1 listed file could not be read"}));
}

TEST_CASE("a tagged digest of the wrong length is a malformed line, and not a mismatch") {
  const scratch at;
  for (const char* name : {"ff1", "ff2", "ff3"}) at.file(name, "");
  std::string list = hash(at, "sha256", {"--tag", "ff1", "ff2", "ff3"}).out;
  list.erase(list.size() - 2, 1);
  list.erase(list.rfind('\n', list.size() - 2) - 1, 1);
  at.file("list", list);
  const auto got = hash(at, "sha256", {"--warn", "-c", "list"});
  CHECK(got.status == 0);
  CHECK(got.out == "ff1: OK\n");
  CHECK(got.err ==
        from_us({"list: 2: improperly formatted SHA256 checksum line",
                 "list: 3: improperly formatted SHA256 checksum line", "WARNING: 2 lines are improperly formatted"}));
  CHECK(hash(at, "sha256", {"--strict", "-c", "list"}).status == 1);
}

TEST_CASE("what is asked for wrongly is refused, and what is missing fails") {
  const scratch at;
  at.file("f", "");
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"-a", "sha22", "f"},
                                             {"-a", "crc", "-c", "f"},
                                             {"--ignore-missing", "f"},
                                             {"--tag", "--check", "f"},
                                             {"--tag", "--text", "f"},
                                             {"-a", "blake2b", "--length=128", "f"}}) {
    const auto got = hash(at, "", words);
    CHECK(got.status == 2);
    CHECK(got.out == "");
    CHECK(got.err.ends_with("Try 'asyncfs hash --help' for more information.\n"));
  }
  const auto gone = hash(at, "", {"missing"});
  CHECK(gone.status == 1);
  CHECK(gone.err == from_us({"cannot open 'missing' for reading: No such file or directory"}));
}

TEST_CASE("several processes may share a pipe: their lines stay whole, also when the reader is slow") {
  const scratch at;
  for (int i = 0; i < 500; ++i) at.file("tmp/file-with-quite-a-long-name-" + std::to_string(i), "");
  // 16 times 500 lines: far more than a pipe holds, from four processes at a time.
  const auto broken = cli::shell("cd " + at.path() +
                                 " && for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do echo tmp; done"
                                 " | xargs -n 1 -P 4 " ASYNCFS_PROGRAM
                                 " hash -a md5"
                                 " | (sleep 0.3; grep -cvE '^[0-9a-f]{32}  tmp/file-with-quite-a-long-name-[0-9]+$')");
  CHECK(broken.out == "0\n");
}
