// Runs a fuzz target on every file of a folder, and on as many seeded mutations of them as the second argument says.
//
// usage: TARGET FOLDER [MUTATIONS]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

std::string mutated(std::string input, const std::string& other, std::mt19937& random) {
  const auto below = [&random](std::size_t bound) { return bound == 0 ? 0 : random() % bound; };
  for (auto changes = 1 + below(4); changes > 0; --changes) switch (below(5)) {
      case 0: input.insert(below(input.size() + 1), 1, static_cast<char>(random())); break;
      case 1: input.erase(below(input.size() + 1), 1 + below(8)); break;
      case 2:
        if (!input.empty()) input[below(input.size())] = static_cast<char>(random());
        break;
      case 3: input.insert(below(input.size() + 1), other.substr(below(other.size() + 1), below(40))); break;
      default: input.resize(below(input.size() + 1)); break;
    }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FOLDER [MUTATIONS]\n", argv[0]);
    return 2;
  }
  std::vector<std::string> corpus;
  for (const auto& one : std::filesystem::directory_iterator(argv[1])) {
    std::ifstream in(one.path(), std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    run(corpus.back());
  }
  if (corpus.empty()) {
    std::fprintf(stderr, "%s: no corpus in %s\n", argv[0], argv[1]);
    return 1;
  }
  const unsigned long mutations = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 0;
  std::mt19937 random(1);
  for (unsigned long i = 0; i < mutations; ++i)
    run(mutated(corpus[random() % corpus.size()], corpus[random() % corpus.size()], random));
  std::printf("%zu inputs and %lu mutations\n", corpus.size(), mutations);
}
