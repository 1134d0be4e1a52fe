// hash's exact checks, digests of trees and search for duplicates in a simulated world: whatever befalls them, what they
// do not complain about is right, they end, and they leave nothing open.
//
// ASYNCFS_SEEDS sets how many seeds each is given; the printed line says how many it was.
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>
#include <algorithm>
#include <asyncfs/testing/explore.hpp>
#include <command/hash.hpp>
#include <cstdio>
#include <map>
#include <set>
#include <sstream>

#include "../catch.hpp"

using asyncfs::testing::exploration;
using asyncfs::testing::explore;
using asyncfs::testing::fault;
using asyncfs::testing::fault_plan;
using asyncfs::testing::require;
using asyncfs::testing::simulation;

namespace {

// What a command says of failures goes here.
class nowhere {
 public:
  nowhere() : fd_(::open("/dev/null", O_WRONLY | O_CLOEXEC)) {}
  nowhere(const nowhere&) = delete;
  nowhere& operator=(const nowhere&) = delete;
  ~nowhere() { ::close(fd_); }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

std::string sha256(const std::string& bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha256(), nullptr);
  return {reinterpret_cast<char*>(digest), length};
}

std::string hexadecimal(const std::string& bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += digits[static_cast<unsigned char>(c) >> 4];
    text += digits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

struct planted {
  std::map<std::string, std::string> files;    // regular ones: path, content
  std::map<std::string, std::string> same_as;  // path, and a path that names the same file
  std::set<std::string> directories, links;
};

// A tree of a shape that the seed chooses, whose files have few different contents.
planted plant(simulation& world) {
  auto files = world.files();
  planted made;
  std::vector<std::string> directories{"/in"}, contents;
  files.make_directory("/in");
  for (int i = 0; i < 4; ++i) {
    constexpr std::size_t sizes[] = {0, 1, 100, 5000, 24'576, 70'000};
    std::string content(sizes[world.choose(std::size(sizes))], 'c');
    if (!content.empty()) content[world.choose(content.size())] = static_cast<char>('a' + world.choose(20));
    contents.push_back(content);
  }
  const std::uint64_t count = 1 + world.choose(12);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string& above = directories[world.choose(directories.size())];
    const std::string name = above + "/" + static_cast<char>('a' + world.choose(26)) + std::to_string(i);
    const std::uint64_t kind = world.choose(7);
    if (kind == 0) {
      files.make_directory(name);
      made.directories.insert(name);
      directories.push_back(name);
    } else if (kind == 1) {
      files.symlink("somewhere", name);
      made.links.insert(name);
    } else if (kind == 2 && !made.files.empty()) {
      const std::string other =
          std::next(made.files.begin(), static_cast<long>(world.choose(made.files.size())))->first;
      files.link(other, name);
      made.files[name] = made.files[other];
      made.same_as[name] = made.same_as.contains(other) ? made.same_as[other] : other;
    } else {
      made.files[name] = contents[world.choose(contents.size())];
      files.write(name, made.files[name]);
    }
  }
  return made;
}

tool::hash_command in_world(simulation& world, std::vector<std::string> paths) {
  tool::hash_command command;
  command.tree.loop = world.options();
  command.tree.jobs = 1;
  command.paths = std::move(paths);
  return command;
}

// Runs a command; its exit status, and whether it complained.
struct outcome {
  int status;
  bool complained;
  std::string out;
};
outcome run(simulation& world, const tool::hash_command& command) {
  const nowhere unread;
  tool::messages say("asyncfs hash", unread.fd());
  const int status = tool::run(command, say);
  require(status == 0 || status == 1, "an exit status of its own making");
  require(status == 1 || !say.any_failure(), "it complains, and says that all went well");
  std::string out = world.written_to(1);
  if (status == 1) out.resize(out.rfind('\n') + 1);  // writing may have failed within a line
  return {status, say.any_failure(), out};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) all.push_back(line);
  return all;
}

// ---- exact checks --------------------------------------------------------------------------------------------------

void checks_exactly(simulation& world) {
  planted tree = plant(world);
  const bool inside = world.choose(2) == 0;  // the list itself is where it looks
  std::map<std::string, std::string> listed = tree.files;
  listed["/in/first"] = "first";
  world.files().write("/in/first", "first");
  tree.files = listed;
  const std::set<std::string> links = tree.links;
  std::string list;
  // Of some files the list has another digest, or says nothing, or they are not there.
  std::set<std::string> wrong, left_out, gone;
  for (const auto& [path, content] : listed) {
    const std::uint64_t fate = path == "/in/first" ? 9 : world.choose(10);
    if (fate == 0) {
      left_out.insert(path);
      continue;
    }
    if (fate == 1) wrong.insert(path);
    list += hexadecimal(sha256(fate == 1 ? content + "x" : content)) + "  " + path + "\n";
  }
  if (world.choose(5) == 0) {
    list += hexadecimal(sha256("")) + "  /in/gone\n";
    gone.insert("/in/gone");
  }
  const std::string name = inside ? "/in/list" : "/list";
  world.files().write(name, list);
  auto command = in_world(world, {name});
  command.check = true;
  command.exact = true;
  if (world.choose(2) == 0) command.exact_in = {"/in"};
  const outcome got = run(world, command);

  std::set<std::string> unlisted = links;
  unlisted.insert(left_out.begin(), left_out.end());
  // Without being told, it looks where all that is listed is.
  std::set<std::string> said;
  for (const std::string& line : lines_of(got.out)) {
    const std::size_t colon = line.find(": ");
    require(colon != std::string::npos, "a line that is none");
    const std::string path = line.substr(0, colon), verdict = line.substr(colon + 2);
    require(said.insert(path).second, "two verdicts on " + path);
    if (verdict == "OK")
      require(listed.contains(path) && !wrong.contains(path) && !left_out.contains(path), "no, it is not: " + line);
    else if (verdict == "FAILED")
      require(wrong.contains(path), "yes, it is: " + line);
    else if (verdict == "FAILED not listed")
      require(unlisted.contains(path), "it is: " + line);
    else
      require(verdict == "FAILED open or read" && got.complained, "a verdict of its own making: " + line);
  }
  const bool as_listed = wrong.empty() && unlisted.empty() && gone.empty();
  if (got.status == 0) require(as_listed, "it passes what is not as listed");
  if (got.status == 0) require(said.size() == listed.size(), "it passes what it has not seen");
  if (!got.complained) require((got.status == 0) == as_listed, "it fails what is as listed, and does not say why");
  if (!got.complained)
    for (const std::string& path : unlisted) require(said.contains(path), "nothing is said of " + path);
}

// ---- digests of trees ----------------------------------------------------------------------------------------------

std::string number(std::uint64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

std::string text(const std::string& bytes) { return number(bytes.size()) + bytes; }

// As asyncfs-hash(1) has it.
std::string digest_of_node(const std::string& records) {
  return sha256(std::string("ASYNCFS-TREE-1-CONTENT-SHA256") + '\0' + records);
}

std::string digest_of_directory(const planted& tree, const std::string& path) {
  std::map<std::string, std::string> records;
  const auto name_in = [&path](const std::string& other) {
    const bool directly = other.starts_with(path + "/") && other.find('/', path.size() + 1) == std::string::npos;
    return directly ? other.substr(path.size() + 1) : std::string();
  };
  for (const auto& [other, content] : tree.files)
    if (const std::string name = name_in(other); !name.empty())
      records[name] = "f" + text(name) + number(content.size()) + sha256(content);
  for (const std::string& other : tree.links)
    if (const std::string name = name_in(other); !name.empty()) records[name] = "l" + text(name) + text("somewhere");
  for (const std::string& other : tree.directories)
    if (const std::string name = name_in(other); !name.empty())
      records[name] = "d" + text(name) + digest_of_directory(tree, other);
  std::string node;
  for (const auto& [name, record] : records) node += record;
  return digest_of_node(node);
}

std::string digest_of_tree(const planted& tree) {
  return hexadecimal(digest_of_node("d" + text("") + digest_of_directory(tree, "/in")));
}

void hashes_trees(simulation& world) {
  const planted tree = plant(world);
  world.files().write("/other", "other");
  auto command = in_world(world, {"/in", "/other"});
  command.tree_digest = tool::tree_scope::content;
  const outcome got = run(world, command);
  const std::string file = hexadecimal(digest_of_node("f" + text("") + number(5) + sha256("other")));
  const std::vector<std::string> wanted = {"ASYNCFS-TREE-1-CONTENT-SHA256 (/in) = " + digest_of_tree(tree),
                                           "ASYNCFS-TREE-1-CONTENT-SHA256 (/other) = " + file};
  const std::vector<std::string> lines = lines_of(got.out);
  for (const std::string& line : lines)
    require(std::ranges::find(wanted, line) != wanted.end(), "a digest that is wrong: " + line);
  require(got.status == 0 || got.complained, "it fails, and does not say why");
  if (got.status == 0) require(lines == wanted, "it says that all went well, and lines are missing");
}

void checks_trees(simulation& world) {
  const planted tree = plant(world);
  const bool right = world.choose(2) == 0;
  std::string digest = digest_of_tree(tree);
  if (!right) digest[0] = digest[0] == '0' ? '1' : '0';
  world.files().write("/list", "ASYNCFS-TREE-1-CONTENT-SHA256 (/in) = " + digest + "\n");
  auto command = in_world(world, {"/list"});
  command.check = true;
  command.exact = world.choose(2) == 0;
  const outcome got = run(world, command);
  if (got.status == 0) require(right, "it passes a tree that is not the one listed");
  if (!got.complained) require(got.out == (right ? "/in: OK\n" : "/in: FAILED\n"), "a wrong verdict: " + got.out);
  if (!got.complained) require((got.status == 0) == right, "the exit status does not say what was said");
}

// ---- duplicates ----------------------------------------------------------------------------------------------------

std::string expected_groups(const planted& tree) {
  const auto file_of = [&tree](const std::string& path) {
    const auto same = tree.same_as.find(path);
    return same == tree.same_as.end() ? path : same->second;
  };
  struct group {
    std::size_t size = 0;
    std::set<std::string> names, files;
    [[nodiscard]] std::size_t wasted() const { return size * (files.size() - 1); }
  };
  std::map<std::string, group> by_content;
  for (const auto& [path, content] : tree.files) {
    group& one = by_content[content];
    one.size = content.size();
    one.names.insert(path);
    one.files.insert(file_of(path));
  }
  std::vector<group> groups;
  for (const auto& [content, one] : by_content)
    if (one.files.size() > 1) groups.push_back(one);
  std::ranges::sort(groups, [](const group& a, const group& b) {
    return a.wasted() != b.wasted() ? a.wasted() > b.wasted() : *a.names.begin() < *b.names.begin();
  });
  std::string all;
  for (const group& one : groups) {
    all += (all.empty() ? "" : "\n") + std::to_string(one.size) + (one.size == 1 ? " byte, " : " bytes, ") +
           std::to_string(one.files.size()) + " copies, " + std::to_string(one.wasted()) + " wasted:\n";
    std::map<std::string, std::string> first_of;
    for (const std::string& name : one.names) {
      const auto [first, is_first] = first_of.try_emplace(file_of(name), name);
      all += name + (is_first ? "" : " (the same file as " + first->second + ")") + "\n";
    }
  }
  return all;
}

void finds_duplicates(simulation& world) {
  const planted tree = plant(world);
  auto command = in_world(world, {"/in"});
  command.duplicates = true;
  const outcome got = run(world, command);
  require(got.status == 0 || got.complained, "it fails, and does not say why");
  if (got.status == 0) require(got.out == expected_groups(tree), "it says that all went well, and it is not so");
  // What is in a group is the same, whatever was missed.
  const std::string* content = nullptr;
  for (const std::string& line : lines_of(got.out)) {
    if (line.empty()) content = nullptr;
    if (!line.starts_with("/in/")) continue;
    const auto file = tree.files.find(line.substr(0, line.find(' ')));
    require(file != tree.files.end(), "no file of the tree: " + line);
    require(content == nullptr || *content == file->second, "not the same: " + line);
    content = &file->second;
  }
}

constexpr std::pair<const char*, void (*)(simulation&)> scenarios[] = {{"hash -c --exact", &checks_exactly},
                                                                       {"hash --tree", &hashes_trees},
                                                                       {"hash -c of trees", &checks_trees},
                                                                       {"hash --duplicates", &finds_duplicates}};

exploration explored(const char* name, const std::function<void(simulation&)>& scenario, const fault_plan& plan) {
  const exploration result = explore(name, {.seeds = 1000, .faults = plan}, scenario);
  std::printf("%s: %llu seeds of 10,000, %llu operations\n", name, static_cast<unsigned long long>(result.seeds),
              static_cast<unsigned long long>(result.operations));
  return result;
}

}  // namespace

TEST_CASE(
    "exact checks, digests of trees and groups of duplicates are right or complained of, whatever the seed brings") {
  const fault_plan plan = fault_plan::usual().set(fault::power_loss, 0.05);
  asyncfs::testing::fault_coverage met;
  for (const auto& [name, scenario] : scenarios) {
    INFO(name);
    const exploration result = explored(name, scenario, plan);
    CHECK(result.failures == 0);
    met.merge(result.coverage);
  }
  // Nothing is written but to standard output, so no device is ever full; nothing is asked for that kernels may lack.
  for (const fault kind : {fault::short_read, fault::short_write, fault::interrupted, fault::again, fault::io_error,
                           fault::no_memory, fault::delayed, fault::reordered, fault::queue_full, fault::power_loss}) {
    INFO(asyncfs::testing::name_of(kind));
    CHECK(met.of(kind) > 0);
  }
}

TEST_CASE("without faults they succeed on every tree and in every order") {
  for (const auto& [name, scenario] : scenarios) {
    INFO(name);
    const auto in_peace = [scenario = scenario](simulation& world) { scenario(world); };
    CHECK(explored((std::string(name) + " in peace").c_str(), in_peace, fault_plan::none()).failures == 0);
  }
}
