// The digests against the vectors that their authors publish, and their different ways against each other.
#include <hash/blake3.hpp>
#include <hash/lane_queue.hpp>
#include <hash/lanes.hpp>

#include <asyncfs/run.hpp>
#include <asyncfs/scope.hpp>
#include <asyncfs/when.hpp>
#include <asyncfs/yield.hpp>

#include <openssl/evp.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "../catch.hpp"

using tool::algorithm;
using tool::digest;
using tool::digest_lanes;
using tool::digest_value;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string hex(algorithm which, std::string_view text) {
  const auto by = digest::make(which);
  by->begin();
  by->add(bytes_of(text));
  std::string made;
  by->end().append_hexadecimal(made);
  return made;
}

digest_value value(algorithm which, std::span<const std::byte> bytes) {
  const auto by = digest::make(which);
  by->begin();
  by->add(bytes);
  return by->end();
}

// Bytes without a pattern that a digest could be blind to.
std::vector<std::byte> some_bytes(std::size_t count) {
  std::vector<std::byte> made(count);
  std::uint32_t state = 1;
  for (std::byte& one : made) {
    state = state * 1664525 + 1013904223;
    one = static_cast<std::byte>(state >> 24);
  }
  return made;
}

std::vector<algorithm> all_available() {
  std::vector<algorithm> all;
  for (const tool::algorithm_info& row : tool::algorithm_table)
    if (tool::available(row.which)) all.push_back(row.which);
  return all;
}

}  // namespace

TEST_CASE("every algorithm gives the digests that its authors publish") {
  using enum algorithm;
  struct known {
    algorithm which;
    std::string_view of_nothing, of_abc;
  };
  const known all[] = {
      // RFC 1321, A.5
      {md5, "d41d8cd98f00b204e9800998ecf8427e", "900150983cd24fb0d6963f7d28e17f72"},
      // FIPS 180-4 and 202, examples by NIST
      {sha1, "da39a3ee5e6b4b0d3255bfef95601890afd80709", "a9993e364706816aba3e25717850c26c9cd0d89d"},
      {sha224, "d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f",
       "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"},
      {sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
       "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {sha384, "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b",
       "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"},
      {sha512,
       "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a8"
       "1"
       "a538327af927da3e",
       "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80"
       "e"
       "2a9ac94fa54ca49f"},
      {sha3_256, "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a",
       "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"},
      {sha3_512,
       "a69f73cca23a9ac5c8b567dc185a756e97c982164fe25859e0d1dcc1475c80a615b2123af1f5f94c11e3e9402c3ac558f500199d95b6d3e"
       "3"
       "01758586281dcd26",
       "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c91a7ec57647e3934057340b4cf408d5a"
       "5"
       "6592f8274eec53f0"},
      // RFC 7693, A
      {blake2b,
       "786a02f742015903c6c6fd852552d272912f4740e15847618a86e217f71f5419d25e1031afee585313896444934eb04b903a685b1448b75"
       "5"
       "d56f701afe9be2ce",
       "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925"
       "a"
       "b92386edd4009923"},
      // BLAKE3's test vectors, and its paper
      {blake3, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
       "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"},
      // xxHash's sanity checks and its specification
      {xxh64, "ef46db3751d8e999", "44bc2cf5ad770999"},
      {xxh3, "2d06800538d394c2", "78af5f94892f3950"},
      {xxh128, "99aa06d3014798d86001c324468d497f", "06b05ab6733a618578af5f94892f3950"},
      // RFC 3720, B.4 has others
      {crc32c, "00000000", "364b3fb7"},
  };
  CHECK(std::size(all) == tool::algorithm_table.size());
  for (const known& one : all) {
    INFO(describe(one.which).name);
    if (!tool::available(one.which)) continue;
    CHECK(hex(one.which, "") == one.of_nothing);
    CHECK(hex(one.which, "abc") == one.of_abc);
  }
}

TEST_CASE("long messages, too, give the published digests") {
  const std::string million(1'000'000, 'a');
  CHECK(hex(algorithm::sha256, million) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  CHECK(hex(algorithm::sha1, million) == "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
  CHECK(hex(algorithm::sha3_256, million) == "5c8875ae474a3634ba4fd55ec85bffd661f32aca75c6d699d0cdcb6c115891c1");
  CHECK(hex(algorithm::md5, million) == "7707d6ae4e027c70eea2a935c2296f21");
}

TEST_CASE("CRC-32C gives what RFC 3720 says of zeros, ones and counting bytes") {
  CHECK(hex(algorithm::crc32c, std::string(32, '\0')) == "8a9136aa");
  CHECK(hex(algorithm::crc32c, std::string(32, '\xff')) == "62a8ab43");
  std::string up;
  for (char i = 0; i < 32; ++i) up += i;
  CHECK(hex(algorithm::crc32c, up) == "46dd794e");
  CHECK(hex(algorithm::crc32c, "123456789") == "e3069283");
}

TEST_CASE("BLAKE3 gives its test vectors at every size that its tree makes special") {
  if (!tool::has_blake3) return;
  const auto pattern = [](std::size_t length) {
    std::string text(length, '\0');
    for (std::size_t i = 0; i < length; ++i) text[i] = static_cast<char>(i % 251);
    return text;
  };
  const std::pair<std::size_t, std::string_view> vectors[] = {
      {1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"},
      {1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11"},
      {1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"},
      {1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"},
      {2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a"},
      {31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47"},
      {102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"},
  };
  for (const auto& [length, wanted] : vectors) CHECK(hex(algorithm::blake3, pattern(length)) == wanted);
}

TEST_CASE("BLAKE3 joins subtrees into the digest of the whole, whatever is left at the end") {
  if (!tool::has_blake3_tree) return;
  const auto bytes = some_bytes(1'100'000);
  for (const std::size_t length : {2048u, 2049u, 65'536u, 65'537u, 131'072u, 262'144u, 1'048'576u, 1'100'000u})
    for (const std::size_t piece : {2048u, 65'536u, 262'144u}) {
      const auto whole = std::span(bytes).first(length);
      tool::blake3_joiner joined;
      std::size_t at = 0;
      // The last piece may be the root's own, so it goes in as the rest.
      for (; at + piece < length; at += piece)
        joined.add(tool::blake3_digest_subtree(whole.subspan(at, piece), at), piece);
      joined.add_rest(whole.subspan(at));
      INFO(length << " bytes by " << piece);
      CHECK(joined.end() == value(algorithm::blake3, whole));
    }
}

TEST_CASE("zeros that were never read count like zeros that were") {
  const auto before = some_bytes(777);
  for (const algorithm which : all_available())
    for (const std::uint64_t count : {0u, 1u, 63u, 64u, 4096u, 1'000'003u}) {
      INFO(describe(which).name << ", " << count);
      std::vector<std::byte> all(before.size() + count);
      std::ranges::copy(before, all.begin());
      const auto by = digest::make(which);
      by->begin();
      by->add(before);
      by->add_zeros(count);
      CHECK(by->end() == value(which, all));
    }
}

TEST_CASE("a message gives the same digest in however many pieces it comes") {
  const auto bytes = some_bytes(10'000);
  for (const algorithm which : all_available()) {
    INFO(describe(which).name);
    const auto by = digest::make(which);
    by->begin();
    for (std::size_t at = 0, piece = 1; at < bytes.size(); piece = piece * 2 + 1) {
      const auto next = std::span(bytes).subspan(at).first(std::min(piece, bytes.size() - at));
      by->add(next);
      at += next.size();
    }
    CHECK(by->end() == value(which, bytes));
  }
}

TEST_CASE("the SHA family gives OpenSSL's digests at every length around two blocks, in one piece or two") {
  const auto bytes = some_bytes(300);
  const std::pair<algorithm, const EVP_MD*> all[] = {{algorithm::sha1, EVP_sha1()},
                                                     {algorithm::sha224, EVP_sha224()},
                                                     {algorithm::sha256, EVP_sha256()},
                                                     {algorithm::sha384, EVP_sha384()},
                                                     {algorithm::sha512, EVP_sha512()}};
  for (const auto& [which, openssl] : all)
    for (std::size_t length = 0; length <= bytes.size(); ++length) {
      INFO(describe(which).name << " of " << length << " bytes");
      unsigned char expected[EVP_MAX_MD_SIZE];
      unsigned size = 0;
      REQUIRE(EVP_Digest(bytes.data(), length, expected, &size, openssl, nullptr) == 1);
      const auto whole = std::span(bytes).first(length);
      CHECK(value(which, whole) == digest_value({expected, size}));
      tool::sha_digest by(which);
      by.begin();
      by.add(whole.first(length / 3));
      by.add(whole.subspan(length / 3));
      CHECK(by.end() == digest_value({expected, size}));
    }
}

namespace {

constexpr std::size_t longest = 65'536;

// Every set of lanes that this CPU can run, also those that `digest_lanes::make` would not choose.
template <class Test>
void with_all_lanes(Test test) {
  for (const algorithm which : all_available()) {
    if (!tool::sha_digest::computes(which)) continue;
    for (const tool::lane_unit& by : tool::lane_unit::here(tool::sha_digest(which).family())) {
      INFO(describe(which).name << " in registers of " << by.register_bytes << " bytes");
      test(which, by);
    }
  }
}

// Longer than any register has lanes, and of lengths on both sides of every edge of a block and its padding.
std::size_t length_of(std::size_t i) { return i < 300 ? i : i * 7919 % (longest + 1); }

}  // namespace

TEST_CASE("vector lanes give the digests that one message after the other gives") {
  const auto bytes = some_bytes(longest);
  with_all_lanes([&bytes](algorithm which, const tool::lane_unit& by) {
    std::size_t done = 0;
    digest_lanes lanes(tool::sha_digest(which).family(), by, [&done](digest_lanes::piece&) { ++done; });
    for (const std::size_t count : {1u, 2u, 15u, 16u, 17u, 400u}) {
      std::vector<std::unique_ptr<digest>> digests;
      std::vector<digest_lanes::piece> pieces(count);
      for (std::size_t i = 0; i < count; ++i) {
        digests.push_back(digest::make(which));
        digests[i]->begin();
        pieces[i].into = static_cast<tool::sha_digest*>(digests[i].get());
        pieces[i].bytes = std::span(bytes).first(length_of(i));
        pieces[i].last = true;
      }
      done = 0;
      for (auto& one : pieces) lanes.submit(one);
      CHECK(done + lanes.busy() == count);
      lanes.flush();
      CHECK(lanes.busy() == 0);
      CHECK(done == count);
      for (std::size_t i = 0; i < count; ++i) CHECK(digests[i]->end() == value(which, pieces[i].bytes));
    }
  });
}

TEST_CASE("a message that comes in pieces may go through lanes and past them in turns") {
  const auto bytes = some_bytes(longest);
  with_all_lanes([&bytes](algorithm which, const tool::lane_unit& by) {
    digest_lanes lanes(tool::sha_digest(which).family(), by, [](digest_lanes::piece&) {});
    // Whole blocks, so that the lanes can go on; all but the last, which is of any length, and may be empty.
    const std::size_t lengths[] = {128, 4096, 640, 1280, 256};
    for (const std::size_t rest : {0u, 1u, 111u, 112u, 127u, 128u, 5000u}) {
      for (unsigned past = 0; past < 32; ++past) {
        tool::sha_digest digest(which);
        digest.begin();
        std::size_t at = 0;
        for (std::size_t i = 0; i < std::size(lengths); ++i) {
          const auto next = std::span(bytes).subspan(at, lengths[i]);
          at += lengths[i];
          if ((past >> i & 1) != 0) {
            digest.add(next);
            continue;
          }
          // Enough others that the lanes are worthwhile, and of other lengths.
          std::array<digest_lanes::piece, 8> pieces;
          std::vector<tool::sha_digest> others(pieces.size(), tool::sha_digest(which));
          for (std::size_t k = 0; k < pieces.size(); ++k) {
            pieces[k].into = k == 3 ? &digest : &others[k];
            pieces[k].bytes = k == 3 ? next : std::span(bytes).first(128 * k);
            lanes.submit(pieces[k]);
          }
          lanes.flush();
        }
        digest_lanes::piece last;
        last.into = &digest;
        last.bytes = std::span(bytes).subspan(at, rest);
        last.last = true;
        lanes.submit(last);
        lanes.flush();
        CHECK(digest.end() == value(which, std::span(bytes).first(at + rest)));
      }
    }
  });
}

namespace {

asyncfs::task<void> digest_some(tool::lane_queue& queue, std::span<const std::byte> bytes, digest_value& into) {
  tool::sha_digest digest(algorithm::sha256);
  digest.begin();
  // Two pieces, and the first need not be whole blocks.
  co_await queue.add(digest, bytes.first(bytes.size() / 2), false);
  co_await queue.add(digest, bytes.subspan(bytes.size() / 2), true);
  into = digest.end();
}

asyncfs::task<void> digest_many(tool::lane_queue& queue, const std::vector<std::byte>& bytes,
                                std::vector<digest_value>& into) {
  std::vector<asyncfs::task<void>> tasks;
  for (std::size_t i = 0; i < into.size(); ++i)
    tasks.push_back(digest_some(queue, std::span(bytes).first(i * 1024 % bytes.size()), into[i]));
  co_await asyncfs::when_all(std::move(tasks));
}

asyncfs::task<void> digest_and_cancel(tool::lane_queue& queue, const std::vector<std::byte>& bytes,
                                      std::vector<digest_value>& into) {
  asyncfs::scope some(co_await asyncfs::this_task);
  for (digest_value& one : into) some.spawn(digest_some(queue, bytes, one));
  co_await asyncfs::yield();  // one leads, the others wait for it
  some.cancel();
  co_await some.join();
}

}  // namespace

TEST_CASE("tasks that digest at the same time share the lanes, and each gets its own digest") {
  const auto queue = tool::lane_queue::make(algorithm::sha256);
  if (!queue) return;
  const auto bytes = some_bytes(longest);
  std::vector<digest_value> got(100);
  asyncfs::run(digest_many(*queue, bytes, got));
  for (std::size_t i = 0; i < got.size(); ++i)
    CHECK(got[i] == value(algorithm::sha256, std::span(bytes).first(i * 1024 % bytes.size())));
}

TEST_CASE("tasks that are cancelled while they wait for the lanes leave the others their digests") {
  const auto queue = tool::lane_queue::make(algorithm::sha256);
  if (!queue) return;
  const auto bytes = some_bytes(1000);
  std::vector<digest_value> got(10);
  asyncfs::run(digest_and_cancel(*queue, bytes, got));
  CHECK(!queue->worthwhile());  // nothing is left in there
  const auto more = some_bytes(10'000);
  std::vector<digest_value> again(10);
  asyncfs::run(digest_many(*queue, more, again));
  CHECK(again.back() == value(algorithm::sha256, std::span(more).first(9 * 1024)));
}
