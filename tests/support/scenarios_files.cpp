#include "scenario_files.hpp"

#include <dirent.h>

#include <utility>

using asyncfs::task;
using namespace std::chrono_literals;

namespace tests {

namespace {

// ---- whole files

task<void> read_a_small_file(place& at) {
  const std::string content = co_await asyncfs::read_file(at.dir, "small");
  expect(content.size() == small_size && is_pattern(bytes_of(content)), "what was read");
}

task<void> read_a_large_file(place& at) {
  const std::string content = co_await asyncfs::read_file(at.dir, "large");
  expect(content.size() == large_size && is_pattern(bytes_of(content)), "what was read");
}

task<void> write_a_file(place& at) {
  const auto bytes = pattern<small_size>();
  co_await asyncfs::write_file(at.dir, "written", text_of(bytes));
  expect(has(at, "written", small_size), "what was written");
}

task<void> replace_a_file_at_once(place& at) {
  const auto bytes = pattern<small_size>();
  asyncfs::file temporary = co_await at.dir.create(".new", O_WRONLY | O_EXCL, 0600);
  co_await asyncfs::write_all_at(temporary, bytes, 0);
  co_await temporary.sync_data();
  co_await temporary.close();
  co_await at.dir.rename(".new", at.dir, "replaced");
  expect(has(at, "replaced", small_size), "what was published");
}

task<void> copy_a_file(place& at) {
  const asyncfs::file from = co_await at.dir.open("large");
  asyncfs::file to = co_await at.dir.create("copy", O_RDWR | O_EXCL, 0600);
  const asyncfs::copy_outcome copied = co_await asyncfs::copy_file(from, to);
  co_await to.close();
  expect(copied.bytes == large_size && has(at, "copy", large_size), "the copy");
}

task<void> copy_a_file_with_holes(place& at) {
  const asyncfs::copy_options options{.reflink = asyncfs::reflink::never};
  const asyncfs::file from = co_await at.dir.open("sparse");
  asyncfs::file to = co_await at.dir.create("copy", O_RDWR | O_EXCL, 0600);
  const asyncfs::copy_outcome copied = co_await asyncfs::copy_file(from, to, options);
  co_await to.close();
  expect(copied.bytes == sparse_size, "the size of the copy");
  expect(plain_file(at.dir.fd(), "copy", O_RDONLY).holds(island, island + 8192, sparse_size), "the copy");
}

// ---- files and directories

task<void> transfer_in_pieces(place& at) {
  const asyncfs::file f = co_await at.dir.create("pieces", O_RDWR, 0600);
  auto out = pattern<512>();
  std::array<std::byte, 512> in{};
  const std::array<iovec, 2> from{iovec{out.data(), 200}, iovec{out.data() + 200, 312}};
  const std::array<iovec, 2> to{iovec{in.data(), 100}, iovec{in.data() + 100, 412}};
  const std::size_t written = co_await f.writev_at(from, 0);
  expect(written == 512, "all pieces written");
  const std::size_t read = co_await f.readv_at(to, 0);
  expect(read == 512 && is_pattern(in), "all pieces read");
}

task<void> look_after_a_file(place& at) {
  const asyncfs::file f = co_await at.dir.open("small", O_RDWR);
  co_await f.set_mode(0640);
  co_await f.set_times({1'500'000'000, 5}, {1'500'000'001, 6});
  co_await f.advise(0, 0, POSIX_FADV_SEQUENTIAL);
  co_await f.truncate(small_size / 2);
  co_await f.sync();
  const asyncfs::file_status status = co_await f.status();
  expect(status.size == small_size / 2 && (status.mode & 0777) == 0640, "the status");
}

task<void> arrange_names(place& at) {
  co_await at.dir.make_directory("d", 0700);
  const asyncfs::directory d = co_await at.dir.open_directory("d");
  co_await at.dir.link("small", d, "hard");
  co_await d.symlink("hard", "soft");
  const std::string target = co_await d.read_link("soft");
  expect(target == "hard", "the link's target");
  co_await d.rename("hard", d, "moved");
  const asyncfs::file_status status = co_await d.status("moved");
  expect(status.size == small_size && status.links == 2, "the status of the name");
  co_await d.remove("moved");
  co_await d.remove("soft");
  co_await at.dir.remove_directory("d");
  expect(!exists(at, "d"), "a removed directory");
}

task<void> read_a_directory(place& at) {
  const asyncfs::directory d = co_await at.dir.open_directory("tree");
  alignas(8) std::array<std::byte, 2048> buffer;
  std::size_t found = 0;
  for (;;) {
    const std::size_t used = co_await d.read_entries(buffer);
    if (used == 0) break;
    asyncfs::for_each_entry(std::span(buffer).first(used), [&](const asyncfs::directory_entry&) { ++found; });
  }
  expect(found == tree_directories, "all entries");
}

task<void> list_a_directory(place& at) {
  alignas(8) std::array<std::byte, 2048> buffer;
  asyncfs::list_arguments list{.buffer = buffer.data(), .capacity = buffer.size()};
  const auto listed = co_await asyncfs::as_result(at.dir.list("tree", list, {}));
  const asyncfs::descriptor opened(list.directory);
  if (!listed) throw std::system_error(listed.error(), "list");
  std::size_t found = 0;
  asyncfs::for_each_entry(std::span(buffer).first(list.used), [&](const asyncfs::directory_entry&) { ++found; });
  expect(list.at_end && found == tree_directories, "all entries");
}

task<void> take_all(asyncfs::walk& tree, std::size_t& found) {
  while (auto entry = co_await tree.next()) {
    if (entry->error) throw std::system_error(entry->error, std::string(entry->operation));
    // A root that could not be asked what it is: whoever opens it is told.
    if (entry->type() == DT_UNKNOWN) throw std::system_error(EISDIR, std::system_category(), entry->name());
    ++found;
  }
}
task<void> walk_in(place& at, asyncfs::walk_options options, std::size_t files) {
  std::vector<asyncfs::walk_root> roots;
  roots.push_back({.path = at.path + "/tree"});
  asyncfs::walk tree(std::move(roots), std::move(options));
  std::size_t found = 0;
  co_await asyncfs::when_all(tree.drive(), tree.drive(), take_all(tree, found));
  expect(found == files, "all files of the tree");
}
task<void> walk_unordered(place& at) { return walk_in(at, {}, tree_directories * files_each); }
task<void> walk_in_order(place& at) {
  return walk_in(at, {.order = asyncfs::walk_order::bytes}, tree_directories * files_each);
}
task<void> walk_along_links(place& at) {
  return walk_in(at, {.order = asyncfs::walk_order::bytes, .follow = true}, (tree_directories + 1) * files_each + 1);
}

constexpr scenario all[] = {
    {"a small file is read", prepare_files, read_a_small_file},
    {"a large file is read", prepare_files, read_a_large_file},
    {"a file is written", nullptr, write_a_file},
    {"a file is replaced at once", nullptr, replace_a_file_at_once},
    {"a file is copied", prepare_files, copy_a_file},
    {"a file with holes is copied", prepare_sparse, copy_a_file_with_holes},
    {"bytes move in several pieces", nullptr, transfer_in_pieces},
    {"a file's attributes are changed", prepare_files, look_after_a_file},
    {"names are linked, moved and removed", prepare_files, arrange_names},
    {"a directory is read", prepare_tree, read_a_directory},
    {"a directory is listed in one operation", prepare_tree, list_a_directory},
    {"a tree is walked", prepare_tree, walk_unordered},
    {"a tree is walked in order", prepare_tree, walk_in_order},
    {"a tree is walked along its links", prepare_linked_tree, walk_along_links},
};

}  // namespace

std::span<const scenario> scenarios_of_files() { return all; }

}  // namespace tests
