// Files and whole files.
#include "operations.hpp"

namespace matrix {

namespace {

constexpr std::size_t size = 8192;
constexpr asyncfs::file_time then{1'600'000'000, 0};

task<void> with_attribute(subject& s) {
  co_await with_files(s);
  const auto set = co_await asyncfs::as_result(s.file.set_attribute("user.asyncfs", std::span(s.bytes).first(4)));
  if (!set) s.lacks = "extended attributes, which this file system does not have";
}
task<void> without_attribute(subject& s) {
  co_await with_attribute(s);
  const auto removed = co_await asyncfs::as_result(s.file.remove_attribute("user.asyncfs"));
  static_cast<void>(removed);
}
task<bool> has_attribute(subject& s) { return succeeds(s.file.attribute("user.asyncfs", {})); }

task<bool> was_written(subject& s) {
  std::array<std::byte, 1> first{};
  co_await s.file.read_at(first, 0);
  co_return first[0] == std::byte{'w'};
}
// Of what is written in pieces: a cancel in between leaves the first of them.
task<bool> was_written_to_the_end(subject& s) {
  std::array<std::byte, 1> last{};
  co_await s.file.read_at(last, s.bytes.size() - 1);
  co_return last[0] == std::byte{'w'};
}
task<std::uint64_t> size_of(const asyncfs::file& file) {
  const asyncfs::file_status status = co_await file.status();
  co_return status.size;
}
task<bool> is_closed(subject& s) {
  asyncfs::file gone(s.number);
  const bool open = co_await succeeds(gone.status());
  static_cast<void>(gone.release());
  co_return !open;
}

int copies_all_the_same(opcode code, int error) {
  const bool done_without = error == EOPNOTSUPP || error == EXDEV || error == EINVAL || error == ENOTTY ||
                            error == EPERM || error == ETXTBSY || error == ENOSYS;
  return done_without && (code == opcode::ficlone || code == opcode::copy_file_range) ? 0 : error;
}

// Through the page cache, where there is no way past it.
int reads_all_the_same(opcode, int error) { return error == EOPNOTSUPP ? 0 : error; }

}  // namespace

task<void> with_nothing(subject&) { co_return; }

task<void> with_files(subject& s) {
  s.file = co_await s.dir.create("file", O_RDWR, 0600);
  s.other = co_await s.dir.create("other", O_RDWR, 0600);
  const std::vector<std::byte> text(size, std::byte{'x'});
  co_await asyncfs::write_all_at(s.file, text, 0);
}

std::vector<row> file_rows() {
  std::vector<row> rows = {
      {.name = "file.read_at",
       .parts = {{opcode::read}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.read_at(s.bytes, 0)); },
       .value = 4096,
       .is_transfer = true},
      {.name = "file.read_cached_at",
       .parts = {{opcode::read}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.read_cached_at(s.bytes, 0)); },
       .value = 4096,
       .is_transfer = true,
       .refusal = EOPNOTSUPP},
      {.name = "file.read_uncached_at",
       .parts = {{opcode::read}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.read_uncached_at(s.bytes, 0)); },
       .value = 4096,
       .is_transfer = true,
       .refusal = EOPNOTSUPP},
      {.name = "file.write_at",
       .parts = {{opcode::write}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.write_at(s.bytes, 0)); },
       .happened = was_written,
       .value = 4096,
       .is_transfer = true},
      {.name = "file.write_uncached_at",
       .parts = {{opcode::write}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.write_uncached_at(s.bytes, 0)); },
       .happened = was_written,
       .value = 4096,
       .is_transfer = true,
       .refusal = EOPNOTSUPP},
      {.name = "file.read",
       .variant = "of a file",
       .parts = {{opcode::read}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.read(s.bytes)); },
       .value = 4096,
       .is_transfer = true},
      {.name = "file.write",
       .variant = "of a file",
       .parts = {{opcode::write}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.write(s.bytes)); },
       .happened = was_written,
       .value = 4096,
       .is_transfer = true},
      {.name = "file.readv_at",
       .parts = {{opcode::readv}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.readv_at(s.pieces, 0)); },
       .value = 2048,
       .is_transfer = true},
      {.name = "file.writev_at",
       .parts = {{opcode::writev}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.writev_at(s.pieces, 0)); },
       .happened = was_written,
       .value = 2048,
       .is_transfer = true},
      {.name = "file.sync",
       .parts = {{opcode::fsync}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.sync()); }},
      {.name = "file.sync_data",
       .parts = {{opcode::fsync}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.sync_data()); }},
      {.name = "file.allocate",
       .parts = {{opcode::fallocate}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.allocate(0, 0, 2 * size)); },
       .happened = [](subject& s) -> task<bool> {
         const std::uint64_t now = co_await size_of(s.file);
         co_return now == 2 * size;
       }},
      {.name = "file.truncate",
       .parts = {{opcode::ftruncate}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.truncate(100)); },
       .happened = [](subject& s) -> task<bool> {
         const std::uint64_t now = co_await size_of(s.file);
         co_return now == 100;
       }},
      {.name = "file.advise",
       .parts = {{opcode::fadvise}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.advise(0, 4096, POSIX_FADV_NORMAL)); }},
      {.name = "file.status",
       .parts = {{opcode::fstat}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.status()); }},
      {.name = "file.set_mode",
       .parts = {{opcode::fchmod}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.set_mode(0640)); },
       .happened = [](subject& s) -> task<bool> {
         const asyncfs::file_status now = co_await s.file.status();
         co_return (now.mode & 07777) == 0640;
       }},
      {.name = "file.set_owner",
       .parts = {{opcode::fchownat}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.set_owner(::getuid(), ::getgid())); }},
      {.name = "file.set_times",
       .parts = {{opcode::utimensat}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.set_times(then, then)); },
       .happened = [](subject& s) -> task<bool> {
         const asyncfs::file_status now = co_await s.file.status();
         co_return now.modified == then;
       }},
      {.name = "file.set_attribute",
       .parts = {{opcode::fsetxattr}},
       .prepare = without_attribute,
       .attempt = [](subject& s) { return told(s.file.set_attribute("user.asyncfs", std::span(s.bytes).first(4))); },
       .happened = has_attribute},
      {.name = "file.list_attributes",
       .parts = {{opcode::flistxattr}},
       .prepare = with_attribute,
       .attempt = [](subject& s) { return told(s.file.list_attributes(s.names)); },
       .value = 13},
      {.name = "file.attribute",
       .parts = {{opcode::fgetxattr}},
       .prepare = with_attribute,
       .attempt = [](subject& s) { return told(s.file.attribute("user.asyncfs", s.bytes)); },
       .value = 4},
      {.name = "file.remove_attribute",
       .parts = {{opcode::fremovexattr}},
       .prepare = with_attribute,
       .attempt = [](subject& s) { return told(s.file.remove_attribute("user.asyncfs")); },
       .happened = [](subject& s) -> task<bool> {
         const bool there = co_await has_attribute(s);
         co_return !there;
       }},
      {.name = "file.next_data",
       .parts = {{opcode::lseek}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.next_data(10)); },
       .value = 10},
      {.name = "file.next_hole",
       .parts = {{opcode::lseek}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.next_hole(0)); },
       .value = size},
      {.name = "file.copy_range_to",
       .parts = {{opcode::copy_file_range}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.copy_range_to(s.other, 0, 0, 4096)); },
       .happened = [](subject& s) -> task<bool> {
         const std::uint64_t now = co_await size_of(s.other);
         co_return now != 0;
       },
       .value = 4096,
       .is_transfer = true},
      {.name = "file.clone_to",
       .parts = {{opcode::ficlone}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(s.file.clone_to(s.other)); },
       .happened = [](subject& s) -> task<bool> {
         const std::uint64_t now = co_await size_of(s.other);
         co_return now != 0;
       },
       .refusal = EOPNOTSUPP},
      {.name = "file.close",
       .parts = {{opcode::close}},
       .prepare = [](subject& s) -> task<void> {
         co_await with_files(s);
         s.number = s.file.fd();
       },
       .attempt = [](subject& s) { return told(s.file.close()); },
       .happened = is_closed,
       .ends_despite_cancel = true},

      {.name = "read_file",
       .parts = {{opcode::openat}, {opcode::fstat}, {opcode::read}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(asyncfs::read_file(s.dir, "file")); },
       .value = size},
      {.name = "write_file",
       .parts = {{opcode::create}, {opcode::write}, {opcode::close}},
       .prepare = with_nothing,
       .attempt = [](subject& s) { return told(asyncfs::write_file(s.dir, "made", "some text")); }},
      {.name = "read_at",
       .parts = {{opcode::read}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(asyncfs::read_at(s.file, s.bytes, 0, asyncfs::page_cache::spare)); },
       .value = 4096,
       .is_transfer = true,
       .becomes = reads_all_the_same},
      {.name = "write_all_at",
       .parts = {{opcode::write}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(asyncfs::write_all_at(s.file, s.bytes, 0)); },
       .happened = was_written_to_the_end},
      {.name = "copy_file",
       .parts = {{opcode::ficlone}, {opcode::fstat}, {opcode::copy_file_range}},
       .prepare = with_files,
       .attempt = [](subject& s) { return told(asyncfs::copy_file(s.file, s.other)); },
       .becomes = copies_all_the_same},
  };
  for (row& one : rows) one.needs_directory = true;
  return rows;
}

}  // namespace matrix
