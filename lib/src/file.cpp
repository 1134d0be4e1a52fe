#include <asyncfs/file.hpp>

#include <sys/sysmacros.h>

namespace asyncfs {

namespace detail {

namespace {
file_time from(const statx_timestamp& t) noexcept { return {t.tv_sec, t.tv_nsec}; }
}  // namespace

template <opcode Code>
result<file_status> status_kind<Code>::complete(const completion& event) const {
  if (event.value < 0) return failure(-event.value);
  return file_status{
      .device = makedev(raw.stx_dev_major, raw.stx_dev_minor),
      .inode = raw.stx_ino,
      .size = raw.stx_size,
      .blocks = raw.stx_blocks,
      .special_device = makedev(raw.stx_rdev_major, raw.stx_rdev_minor),
      .mode = raw.stx_mode,
      .links = raw.stx_nlink,
      .user = raw.stx_uid,
      .group = raw.stx_gid,
      .block_size = raw.stx_blksize,
      .accessed = from(raw.stx_atime),
      .modified = from(raw.stx_mtime),
      .changed = from(raw.stx_ctime),
  };
}
template struct status_kind<opcode::fstat>;
template struct status_kind<opcode::statx>;

}  // namespace detail

}  // namespace asyncfs
