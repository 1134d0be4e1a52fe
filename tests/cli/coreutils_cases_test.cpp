// The cases of coreutils' own tests of md5sum, sha*sum, b2sum and cksum (tests/cksum there), put to asyncfs hash.
//
// Every case of every file there is here, or has its reason:
//
//   md5sum.pl               all: "digests of ...", "names with ...", the table of checks
//   sha1sum.pl              all, likewise; what differs from md5sum.pl is in the table
//   sha224sum, sha256sum,   all: "digests of ..."
//     sha384sum, sha512sum
//   sha1sum-vec.pl          messages in bits, of an older edition of NIST's vectors: tests/tool/official-vectors has the
//                           present one's
//   md5sum-bsd.sh           "lists of BSD"; its quoting of names behind verdicts is that of coreutils 9.10: we write what
//                           9.1 writes into a pipe. --text: we have no text mode, since Linux has none
//   md5sum-newline.pl       "names with ..."
//   md5sum-parallel.sh      "several processes may share a pipe"
//   b2sum.sh                "lists of BLAKE2b"; --length: our BLAKE2b has 512 bits, and lines of other lengths are malformed
//   cksum-a.sh              "what is asked for wrongly"; -b, -t, --length: as above; that a later one of --tag and --untagged
//                           takes back an earlier one: with us both at once are wrong usage
//   cksum-base64.pl,        no digests in base64, so such lines are malformed; its case 'nul' is in the table
//     cksum-base64-untagged.sh
//   cksum-c.sh              "a list of several algorithms" and those behind it, in coreutils_scripts_test.cpp; --warn names
//                           an algorithm only when one was given by -a
//   cksum-raw.sh            no --raw
//   cksum-sha3.sh           "lists of SHA-3"; --length: with us it is part of the algorithm's name
//   cksum.sh                missing operand: "what is asked for wrongly"; the CRC of POSIX is none of our algorithms
//   sm3sum.pl, sum.pl,      none of our algorithms
//     sum-sysv.sh
//
// Wrong usage ends with 2 here, and with 1 there.
#include <map>

#include "../catch.hpp"
#include "coreutils_cases.hpp"

using cli::scratch;
using namespace cli::coreutils;

namespace {

struct check_case {
  const char* name;  // the case's, there
  std::string algorithm;
  std::vector<std::string> options;
  std::string list_name, list;
  std::map<std::string, std::string> files;
  std::string out;
  std::vector<std::string> said;
  int status;
};

std::vector<check_case> check_cases() {
  const std::string of_f = line(md5_of_nothing, "f"), of_missing = line(md5_of_nothing, "f.missing");
  const std::string tagged_md5 = "MD5 (f) = " + md5_of_nothing + "\n",
                    tagged_sha1 = "SHA1 (f) = " + sha1_of_nothing + "\n";
  const std::string openssl_md5 = "MD5(f)= " + md5_of_nothing + "\n",
                    openssl_sha1 = "SHA1(f)= " + sha1_of_nothing + "\n";
  const std::map<std::string, std::string> empty{{"f", ""}}, other{{"f", "foo"}};
  const std::vector<std::string> none;
  const std::string one_mismatch = "WARNING: 1 computed checksum did NOT match",
                    two_mismatches = "WARNING: 2 computed checksums did NOT match",
                    one_malformed = "WARNING: 1 line is improperly formatted";
  const auto no_lines = [](const std::string& list) {
    return std::vector<std::string>{list + ": no properly formatted checksum lines found"};
  };
  return {
      {"check-1", "md5", {}, "f.md5", of_f, empty, "f: OK\n", none, 0},
      {"check-windows", "md5", {}, "f.md5", line(md5_of_nothing, "f\r"), empty, "f: OK\n", none, 0},
      {"ck-strict-1", "md5", {"--strict"}, "f.md5", of_f + "\n", empty, "f: OK\n", none, 0},
      {"ck-strict-2", "md5", {"--strict"}, "in.md5", "ERR\n" + of_f, empty, "f: OK\n", {one_malformed}, 1},
      {"check-2", "md5", {"--status"}, "f.md5", of_f, other, "", none, 1},
      {"check-quiet1", "md5", {"--quiet"}, "f.md5", of_f, empty, "", none, 0},
      {"check-quiet2", "md5", {"--quiet"}, "f.md5", of_f, other, "f: FAILED\n", {one_mismatch}, 1},
      {"check-multifail",
       "md5",
       {},
       "f.md5",
       of_f + of_f + "invalid\n",
       other,
       "f: FAILED\nf: FAILED\n",
       {one_malformed, two_mismatches},
       1},
      {"check-multifail-warn",
       "md5",
       {"--warn"},
       "f.md5",
       of_f + of_f + "invalid\n",
       other,
       "f: FAILED\nf: FAILED\n",
       {"f.md5: 3: improperly formatted MD5 checksum line", one_malformed, two_mismatches},
       1},
      {"check-multifail-state",
       "md5",
       {"--warn"},
       "f.md5",
       of_f + line(md5_of_nothing, "g") + of_f,
       {{"f", ""}, {"g", "a"}},
       "f: OK\ng: FAILED\nf: OK\n",
       {one_mismatch},
       1},
      {"check-bsd", "md5", {}, "f.sha1", tagged_sha1, empty, "", no_lines("f.sha1"), 1},
      {"check-bsd2", "md5", {}, "f.md5", tagged_md5, empty, "f: OK\n", none, 0},
      {"check-bsd3", "md5", {"--status"}, "f.md5", tagged_md5, other, "", none, 1},
      {"check-openssl", "md5", {}, "f.sha1", openssl_sha1, empty, "", no_lines("f.sha1"), 1},
      {"check-openssl2", "md5", {}, "f.md5", openssl_md5, empty, "f: OK\n", none, 0},
      {"check-openssl3", "md5", {"--status"}, "f.md5", openssl_md5, other, "", none, 1},
      {"check-bsd, of SHA-1", "sha1", {}, "f.md5", tagged_md5, empty, "", no_lines("f.md5"), 1},
      {"check-bsd2, of SHA-1", "sha1", {}, "f.sha1", tagged_sha1, empty, "f: OK\n", none, 0},
      {"check-bsd3, of SHA-1", "sha1", {"--status"}, "f.sha1", tagged_sha1, other, "", none, 1},
      {"check-openssl, of SHA-1", "sha1", {}, "f.md5", openssl_md5, empty, "", no_lines("f.md5"), 1},
      {"check-openssl2, of SHA-1", "sha1", {}, "f.sha1", openssl_sha1, empty, "f: OK\n", none, 0},
      {"check-openssl3, of SHA-1", "sha1", {"--status"}, "f.sha1", openssl_sha1, other, "", none, 1},
      {"check-ignore-missing-1, -2",
       "md5",
       {"--ignore-missing"},
       "f.md5",
       of_f + of_missing,
       empty,
       "f: OK\n",
       none,
       0},
      {"check-ignore-missing-3",
       "md5",
       {"--quiet", "--ignore-missing"},
       "f.md5",
       line(md5_of_nothing, "missing/f") + of_f,
       empty,
       "",
       none,
       0},
      {"check-ignore-missing-5",
       "md5",
       {"--ignore-missing"},
       "f.md5",
       line(md5_of_nothing, "missing"),
       empty,
       "",
       {"f.md5: no file was verified"},
       1},
      {"check-ignore-missing-6",
       "md5",
       {"--ignore-missing"},
       "f.md5",
       line("006999e6df389641adf1fa3a74801d9d", "f"),
       {{"f", "9t"}},
       "f: OK\n",
       none,
       0},
      {"bsd-segv", "md5", {}, "z", "MD5 (", {}, "", no_lines("z"), 1},
      {"bsd-segv, of SHA-1", "sha1", {}, "z", "SHA1 (", {}, "", no_lines("z"), 1},
      {"nul-in-cksum", "md5", {}, "h", line(std::string(32, '\0'), "h"), {}, "", no_lines("h"), 1},
      {"nul, of base64", "sha1", {}, "h", "\\0\\0\\0", {}, "", no_lines("h"), 1},
      {"crash.check", "blake2b", {}, "l", "BLAKE2\nBLAKE2b\nBLAKE2-\nBLAKE2(\nBLAKE2 (\n", {}, "", no_lines("l"), 1},
      {"overflow.check", "blake2b", {}, "l", "0A0BA0", {}, "", no_lines("l"), 1},
      {"a length that is none, of SHA-2",
       "",
       {},
       "l",
       "SHA2-128 (/dev/null) = 38b060a751ac96384cd9327eb1b1e36a\n",
       {},
       "",
       no_lines("l"),
       1},
      {"a length that is none, of SHA-3",
       "sha3-256",
       {"--warn"},
       "inp",
       "SHA3-248 (f) = b4753bf1696fda712821b665494c89090ffb0e87b8645559ad9f5db25b42d4\n",
       empty,
       "",
       {"inp: 1: improperly formatted SHA3-256 checksum line", "inp: no properly formatted checksum lines found"},
       1},
      {"base64 that begins as a tag",
       "sha1",
       {},
       "l",
       "SHA1+++++++++++++++++++++++=  f\n",
       empty,
       "",
       no_lines("l"),
       1},
  };
}

}  // namespace

TEST_CASE("digests of the messages in coreutils' tests are those that coreutils' tests expect") {
  const std::string letters = "abcdefghijklmnopqrstuvwxyz", all = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + letters + "0123456789";
  std::string numbers;
  for (int i = 0; i < 8; ++i) numbers += "1234567890";
  const std::string bits448 = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  const std::string bits896 =
      "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrst"
      "u";
  const std::string million(1'000'000, 'a');
  const struct {
    const char* algorithm;
    std::string message, digest;
  } cases[] = {
      {"md5", "", md5_of_nothing},
      {"md5", "a", "0cc175b9c0f1b6a831c399e269772661"},
      {"md5", "abc", "900150983cd24fb0d6963f7d28e17f72"},
      {"md5", "message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
      {"md5", letters, "c3fcd3d76192e4007dfb496cca67e13b"},
      {"md5", all, "d174ab98d277d9f5a5611c2c9f419d9f"},
      {"md5", numbers, "57edf4a22be3c955ac49da2e2107b67a"},
      {"sha1", "", sha1_of_nothing},
      {"sha1", "a", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"},
      {"sha1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
      {"sha1", bits448, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
      {"sha1", letters, "32d10c7b8cf96570ca04ce37f2a19d84240d3a89"},
      {"sha1", all, "761c457bf73b14d27e9e9265c46f4b4dda11f940"},
      {"sha1", numbers, "50abf5706a150990a08b2c5ea40fa0e585554732"},
      {"sha1", million, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"},
      {"sha224", "abc", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"},
      {"sha224", bits448, "75388b16512776cc5dba5da1fd890150b0c6455cb4f58b1952522525"},
      {"sha224", million, "20794655980c91d8bbb4c1ea97618a4bf03f42581948b2ee4ee7ad67"},
      {"sha256", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"sha256", "a", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"},
      {"sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"sha256", bits448, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {"sha256", million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
      {"sha384", "",
       "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b"},
      {"sha384", "a",
       "54a59b9f22b0b80880d8427e548b7c23abd873486e1f035dce9cd697e85175033caa88e6d57bc35efae0b5afd3145f31"},
      {"sha384", "abc",
       "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"},
      {"sha384", bits896,
       "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712fcc7c71a557e2db966c3e9fa91746039"},
      {"sha384", million,
       "9d0e1809716474cb086e834e310a4a1ced149e9c00f248527972cec5704c2a5b07b8b3dc38ecc4ebae97ddd87f3d8985"},
      {"sha512", "a",
       "1f40fc92da241694750979ee6cf582f2d5d7d28e18335de05abc54d0560e0f5302860c652bf08d560252aa5e74210546f369fbbbce8c12c"
       "fc"
       "7957b2652fe9a75"},
      {"sha512", bits896,
       "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd265"
       "45"
       "e96e55b874be909"},
      {"sha512", million,
       "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2"
       "e4"
       "eadb217ad8cc09b"},
  };
  for (const auto& one : cases) {
    const scratch at;
    at.file("f", one.message);
    INFO(one.algorithm << " of " << one.message.substr(0, 80));
    const auto got = hash(at, one.algorithm, {"f"});
    CHECK(got.out == line(one.digest, "f"));
    CHECK(got.err == "");
    CHECK(got.status == 0);
  }
}

TEST_CASE("names with newlines, carriage returns and backslashes are written as coreutils' tests expect") {
  const scratch at;
  for (const char* name : {".\nfoo", ".\\foo", ".\rfoo", "a\nb", "test\n\\\\file"}) at.file(name, "");
  CHECK(hash(at, "md5", {".\nfoo"}).out == "\\" + line(md5_of_nothing, ".\\nfoo"));
  CHECK(hash(at, "md5", {".\\foo"}).out == "\\" + line(md5_of_nothing, ".\\\\foo"));
  CHECK(hash(at, "md5", {".\rfoo"}).out == "\\" + line(md5_of_nothing, ".\\rfoo"));
  CHECK(hash(at, "sha1", {".\nfoo"}).out == "\\" + line(sha1_of_nothing, ".\\nfoo"));
  CHECK(hash(at, "md5", {"a\nb"}).out == "\\" + line(md5_of_nothing, "a\\nb"));
  CHECK(hash(at, "md5", {"--zero", "a\nb"}).out == md5_of_nothing + "  a\nb" + '\0');
  CHECK(hash(at, "md5", {"--tag", "test\n\\\\file"}).out == "\\MD5 (test\\n\\\\\\\\file) = " + md5_of_nothing + "\n");
}

TEST_CASE("each of coreutils' cases of checking gives what it gives there, on both streams, and its exit status") {
  for (const check_case& one : check_cases()) {
    const scratch at;
    for (const auto& [name, content] : one.files) at.file(name, content);
    at.file(one.list_name, one.list);
    INFO(one.name);
    auto words = one.options;
    words.insert(words.begin(), "--check");
    words.push_back(one.list_name);
    const auto got = hash(at, one.algorithm, words);
    CHECK(got.out == one.out);
    CHECK(got.err == from_us(one.said));
    CHECK(got.status == one.status);
  }
}

TEST_CASE("lists of BSD, with one space or with tags, are read whatever the names are") {
  const scratch at;
  std::string list, reversed, reversed_rest;
  for (const std::string name : {"a", " b", "*c", "dd", " "}) {
    at.file(name, name + "\n");
    const std::string standard = hash(at, "md5", {name}).out;
    std::string one_space = standard;
    one_space.erase(32, 1);
    list += standard;
    if (!reversed.empty()) reversed_rest += one_space;
    reversed += one_space;
  }
  const std::string all_well = "a: OK\n b: OK\n*c: OK\ndd: OK\n : OK\n";
  at.file("standard", list);
  at.file("reversed", reversed);
  at.file("reversed rest", reversed_rest);
  at.file("with a header", "____not_all_hex_so_no_match_____ blah\n" + list);
  CHECK(hash(at, "md5", {"--strict", "-c", "standard"}).out == all_well);
  CHECK(hash(at, "md5", {"--strict", "-c", "reversed"}).out == all_well);
  const auto headed = hash(at, "md5", {"-c", "with a header"});
  CHECK(headed.status == 0);
  CHECK(headed.err == from_us({"WARNING: 1 line is improperly formatted"}));
  // Taken for the standard form by its first line: that is known, and thought better than to ask for the form.
  CHECK(hash(at, "md5", {"--strict", "-c", "reversed rest"}).status == 1);

  at.file("tagged", hash(at, "md5", {"--tag", "a", " b", "*c", "dd", " "}).out);
  const auto tagged = hash(at, "md5", {"--strict", "-c", "tagged"});
  CHECK(tagged.status == 0);
  CHECK(tagged.err == "");
  const std::vector<std::string> odd{"a\\b", "a\\", "\\a", "a\nb", "a\tb"};
  std::vector<std::string> words{"--tag"};
  for (const std::string& name : odd) {
    at.file(name, "");
    words.push_back(name);
  }
  at.file("odd", hash(at, "md5", words).out);
  CHECK(hash(at, "md5", {"--strict", "-c", "odd"}).out == "a\\b: OK\na\\: OK\n\\a: OK\n\\a\\nb: OK\na\tb: OK\n");
}

TEST_CASE("lists of BLAKE2b and of SHA-3 are read with tags, with OpenSSL's, and without") {
  for (const std::string algorithm : {"blake2b", "sha3-256", "sha3-512"}) {
    INFO(algorithm);
    const scratch at;
    std::vector<std::string> words{"--tag"};
    for (const std::string name : {"a", " b", "*c", "44", " "}) {
      at.file(name, name + "\n");
      words.push_back(name);
    }
    const std::string list = hash(at, algorithm, words).out;
    std::string of_openssl = list;
    for (std::size_t at_tag = 0; (at_tag = of_openssl.find(" (", at_tag)) != std::string::npos;)
      of_openssl.erase(at_tag, 1);
    for (std::size_t at_end = 0; (at_end = of_openssl.find(") =", at_end)) != std::string::npos;)
      of_openssl.replace(at_end, 3, ")=");
    at.file("tagged", list);
    at.file("of openssl", of_openssl);
    words.front() = "--untagged";
    at.file("untagged", hash(at, algorithm, words).out);
    for (const std::string which : {"tagged", "of openssl", "untagged"})
      for (const std::string& asked_for : {algorithm, std::string()}) {
        const auto got = hash(at, asked_for, {"--strict", "-c", which});
        INFO(which << "\n" << got.err);
        CHECK(got.out == "a: OK\n b: OK\n*c: OK\n44: OK\n : OK\n");
        CHECK(got.status == 0);
      }
  }
}

TEST_CASE("what OpenSSL prints is read, also where it has other names for the algorithms") {
  if (!cli::has_program("openssl")) return;
  const scratch at;
  at.file("f", "some content\n");
  for (const std::string algorithm :
       {"md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-512", "blake2b512"}) {
    const auto list = cli::shell("cd " + at.path() + " && openssl dgst -" + algorithm + " f");
    INFO(list.out);
    at.file("list", list.out);
    CHECK(hash(at, "", {"--strict", "-c", "list"}).out == "f: OK\n");
  }
}
