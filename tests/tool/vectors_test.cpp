// Every algorithm against the vectors in vectors.txt, in each way there is to digest a message.
#include <hash/digest.hpp>
#include <hash/lanes.hpp>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "../catch.hpp"

using tool::algorithm;
using tool::digest;
using tool::digest_lanes;

namespace {

struct vector {
  algorithm which;
  std::string message;  // as the file has it
  std::vector<std::byte> bytes;
  std::string wanted;
};

std::vector<std::byte> counting(std::size_t count, std::size_t modulus) {
  std::vector<std::byte> made(count);
  for (std::size_t i = 0; i < count; ++i) made[i] = static_cast<std::byte>(i % modulus);
  return made;
}

// What xxHash fills its test buffer with: the top bytes of powers of a prime.
std::vector<std::byte> xxhash_buffer(std::size_t count) {
  std::vector<std::byte> made(count);
  std::uint64_t state = 2654435761;
  for (std::byte& one : made) {
    one = static_cast<std::byte>(state >> 56);
    state *= 11400714785074694797u;
  }
  return made;
}

std::vector<std::byte> bytes_of_message(const std::string& message) {
  const std::size_t colon = message.find(':');
  const std::string kind = message.substr(0, colon), value = message.substr(colon + 1);
  if (kind == "counting251") return counting(std::stoul(value), 251);
  if (kind == "counting256") return counting(std::stoul(value), 256);
  if (kind == "xxhash") return xxhash_buffer(std::stoul(value));
  if (kind == "million") return std::vector<std::byte>(1'000'000, static_cast<std::byte>(value.at(0)));
  REQUIRE(kind == "hex");
  std::vector<std::byte> made;
  for (std::size_t i = 0; i < value.size(); i += 2)
    made.push_back(static_cast<std::byte>(std::stoul(value.substr(i, 2), nullptr, 16)));
  return made;
}

std::vector<vector> kept_vectors() {
  std::ifstream file(ASYNCFS_VECTORS);
  std::vector<vector> all;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.starts_with('#')) continue;
    std::istringstream words(line);
    std::string name, message, wanted;
    words >> name >> message >> wanted;
    const auto row =
        std::ranges::find_if(tool::algorithm_table, [&](const tool::algorithm_info& one) { return one.name == name; });
    REQUIRE(row != tool::algorithm_table.end());
    all.push_back({row->which, message, bytes_of_message(message), wanted});
  }
  return all;
}

std::string in_pieces(const vector& one, std::size_t piece) {
  const auto by = digest::make(one.which);
  by->begin();
  for (std::size_t at = 0; at < one.bytes.size(); at += piece)
    by->add(std::span(one.bytes).subspan(at).first(std::min(piece, one.bytes.size() - at)));
  return by->end().hexadecimal();
}

}  // namespace

TEST_CASE("every algorithm has published vectors, and meets them in one piece and in many") {
  std::map<algorithm, std::size_t> met;
  for (const vector& one : kept_vectors()) {
    ++met[one.which];
    if (!tool::available(one.which)) continue;
    INFO(describe(one.which).name << " " << one.message.substr(0, 80));
    const std::size_t whole = std::max<std::size_t>(one.bytes.size(), 1);
    for (const std::size_t piece : {whole, std::size_t{1000}, std::size_t{63}})
      CHECK(in_pieces(one, piece) == one.wanted);
    if (one.bytes.size() < 3000) CHECK(in_pieces(one, 1) == one.wanted);
  }
  for (const tool::algorithm_info& row : tool::algorithm_table) {
    INFO(row.name);
    CHECK(met[row.which] >= 5);
  }
}

TEST_CASE("published vectors are met in vector lanes, side by side with each other, in every set of lanes there is") {
  std::map<algorithm, std::vector<vector>> by_algorithm;
  for (vector& one : kept_vectors())
    if (tool::sha_digest::computes(one.which)) by_algorithm[one.which].push_back(std::move(one));
  for (const auto& [which, vectors] : by_algorithm)
    for (const tool::lane_unit& by : tool::lane_unit::here(tool::sha_digest(which).family())) {
      digest_lanes lanes(tool::sha_digest(which).family(), by, [](digest_lanes::piece&) {});
      std::vector<std::unique_ptr<digest>> digests;
      std::vector<digest_lanes::piece> pieces(vectors.size());
      for (std::size_t i = 0; i < vectors.size(); ++i) {
        digests.push_back(digest::make(which));
        digests[i]->begin();
        pieces[i].into = static_cast<tool::sha_digest*>(digests[i].get());
        pieces[i].bytes = vectors[i].bytes;
        pieces[i].last = true;
        lanes.submit(pieces[i]);
      }
      lanes.flush();
      for (std::size_t i = 0; i < vectors.size(); ++i) {
        INFO(describe(which).name << " in registers of " << by.register_bytes
                                  << " bytes: " << vectors[i].message.substr(0, 80));
        CHECK(digests[i]->end().hexadecimal() == vectors[i].wanted);
      }
    }
}
