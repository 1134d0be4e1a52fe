// Floor for `copy`: what `cp -a SRC DST` keeps, minus hard links and holes: contents, modes, owners, times, symbolic links.
//
// usage: floor_copy SRC DST [--rings N] [--depth N] [--batch N] [--walkers N] [--publish tree|file] [--rename-by call|ring]
//                   [--create call|ring] [--write call|ring] [--mode create|fchmod] [--times 0|1] [--xattr 0|1]
//   --publish tree   all of DST is built under one private name beside it, renamed once when complete (DST must be absent);
//             file   each file gets a private name in its directory and is renamed when complete, as in a standing directory
//   --create, --write, --rename-by   by a plain system call on the ring's thread, or by the ring (then: in io-wq, on most file systems)
//   --mode create    the final mode at creation when it holds no setuid, setgid or sticky bit and owners match; else fchmod
//   --xattr 1        list each source file's extended attributes (one flistxattr), copy none
#include <sys/xattr.h>

#include "floor_ring.hpp"

namespace {

struct CopyOptions {
  bool per_file, ring_create, ring_write, ring_rename, mode_at_creation, times, xattr;
  explicit CopyOptions(const floors::Flags& f)
      : per_file(f.text("publish", "tree") == "file"),
        ring_create(f.text("create", "call") == "ring"),
        ring_write(f.text("write", "call") == "ring"),
        ring_rename(f.text("rename-by", "call") == "ring"),
        mode_at_creation(f.text("mode", "create") == "create"),
        times(f.number("times", 1)),
        xattr(f.number("xattr", 0)) {}
};

// Gives `fd`, which the process just created, the owner, mode and times of `from`. Owner first: changing it clears setuid.
int dress(int fd, const struct stat& from, bool has_mode, bool has_owner, bool times) {
  if (!has_owner && fchown(fd, from.st_uid, from.st_gid) < 0) return errno;
  if (!has_mode && fchmod(fd, from.st_mode & 07777) < 0) return errno;
  const timespec stamps[2] = {from.st_atim, from.st_mtim};
  if (times && futimens(fd, stamps) < 0) return errno;
  return 0;
}

const uid_t me = geteuid();
const gid_t mine = getegid();

// The directories and symbolic links: made by whoever walks.
struct Target : floors::Hooks {
  std::string root;  // the private (or, file by file, the final) name of the new tree
  CopyOptions options;
  explicit Target(const floors::Flags& f) : options(f) {}

  bool enter(floors::Dir& dir) override {
    const int at = dir.parent ? dir.parent->out : AT_FDCWD;
    const char* name = dir.parent ? dir.name.c_str() : root.c_str();
    // 0700 until all below it is done: nobody can reach, or put, anything in it.
    if (mkdirat(at, name, 0700) < 0 && errno != EEXIST) return refuse("mkdir", dir);
    dir.out = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir.out < 0) return refuse("open", dir);
    struct stat made;
    if (fstat(dir.fd, &dir.status) < 0 || fstat(dir.out, &made) < 0) return refuse("fstat", dir);
    dir.gives_group =
        (made.st_mode & S_ISGID) != 0 || made.st_gid != mine;  // so below here every owner is set by fchown
    return true;
  }
  void leave(floors::Dir& dir) override {
    if (int error = dress(dir.out, dir.status, false,
                          dir.status.st_uid == me && dir.status.st_gid == mine && !dir.gives_group, true))
      floors::fail("set attributes", &dir, "", error);
  }
  void other(floors::Dir& dir, const char* name, unsigned char type) override {
    if (type != DT_LNK) return floors::fail("skipped, special", &dir, name, ENOTSUP);
    struct stat st;
    char text[4096];
    const ssize_t n = readlinkat(dir.fd, name, text, sizeof text - 1);
    if (n < 0 || fstatat(dir.fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
      return floors::fail("readlink", &dir, name, errno);
    text[n] = '\0';
    const timespec stamps[2] = {st.st_atim, st.st_mtim};
    if (symlinkat(text, dir.out, name) < 0) return floors::fail("symlink", &dir, name, errno);
    if ((st.st_uid != me || st.st_gid != mine) &&
        fchownat(dir.out, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
      floors::fail("chown", &dir, name, errno);
    if (utimensat(dir.out, name, stamps, AT_SYMLINK_NOFOLLOW) < 0) floors::fail("set times", &dir, name, errno);
  }

 private:
  static bool refuse(const char* what, const floors::Dir& dir) {
    floors::fail(what, &dir, "", errno);
    return false;
  }
};

struct Copy {
  enum class Step { reading, creating, writing, renaming };
  struct Slot : floors::Slot {
    Step step = Step::reading;
    int out = -1;
    bool end = false;       // the last read is in the buffer, `status` was taken after it
    bool has_mode = false;  // created with its final mode
    unsigned length = 0;    // bytes in the buffer
    unsigned written = 0;   // of them
    struct stat status;
    char private_name[40];
  };
  using Ring = floors::Ring<Copy>;
  CopyOptions options;
  unsigned id;  // makes private names unique among the rings
  std::uint64_t serial = 0;

  void event(Ring& ring, Slot& slot, int result) {
    if (result < 0) {
      static constexpr const char* names[] = {"read", "create", "write", "rename"};
      return failed(ring, slot, names[static_cast<int>(slot.step)], -result);
    }
    switch (slot.step) {
      case Step::reading: return was_read(ring, slot, static_cast<unsigned>(result));
      case Step::creating: slot.out = result; return write(ring, slot);
      case Step::writing: slot.written += static_cast<unsigned>(result); return write(ring, slot);
      case Step::renaming: return done(ring, slot);
    }
  }

 private:
  void was_read(Ring& ring, Slot& slot, unsigned n) {
    slot.length = n;
    slot.written = 0;
    slot.done += n;
    if (n < ring.buffer_size()) {
      // One fstat after the last read: the attributes to give, and the proof that this is the end.
      if (fstat(slot.fd, &slot.status) < 0) return failed(ring, slot, "fstat", errno);
      slot.end = n == 0 || static_cast<std::uint64_t>(slot.status.st_size) == slot.done;
      if (slot.end && static_cast<std::uint64_t>(slot.status.st_size) != slot.done)
        return failed(ring, slot, "changed while copying", EBUSY);
      if (slot.end && options.xattr && flistxattr(slot.fd, nullptr, 0) < 0 && errno != ENOTSUP)
        return failed(ring, slot, "list attributes", errno);
    }
    if (slot.out >= 0) return write(ring, slot);

    slot.step = Step::creating;
    const bool owned = slot.end && slot.status.st_uid == me && slot.status.st_gid == mine && !slot.dir().gives_group;
    slot.has_mode = options.mode_at_creation && owned && (slot.status.st_mode & 07000) == 0;
    const mode_t mode = slot.has_mode ? slot.status.st_mode & 0777 : 0600;
    const char* name = slot.name;
    if (options.per_file) {
      std::snprintf(slot.private_name, sizeof slot.private_name, ".floor-%x-%llx", id,
                    static_cast<unsigned long long>(serial++));
      name = slot.private_name;
    }
    if (options.ring_create) return ring.create(slot, slot.dir().out, name, mode);
    slot.out = openat(slot.dir().out, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (slot.out < 0) return failed(ring, slot, "create", errno);
    write(ring, slot);
  }

  // Writes what is left in the buffer, then reads on or finishes.
  void write(Ring& ring, Slot& slot) {
    slot.step = Step::writing;
    while (slot.written < slot.length) {
      const char* data = slot.buffer + slot.written;
      const unsigned length = slot.length - slot.written;
      const std::uint64_t offset = slot.done - length;
      if (options.ring_write) return ring.write(slot, slot.out, data, length, offset);
      const ssize_t n = pwrite(slot.out, data, length, static_cast<off_t>(offset));
      if (n < 0) return failed(ring, slot, "write", errno);
      slot.written += static_cast<unsigned>(n);
    }
    if (!slot.end) {
      slot.step = Step::reading;
      return ring.read(slot);
    }
    const bool owned = slot.status.st_uid == me && slot.status.st_gid == mine && !slot.dir().gives_group;
    if (int error = dress(slot.out, slot.status, slot.has_mode, owned, options.times))
      return failed(ring, slot, "set attributes", error);
    if (!options.per_file) return done(ring, slot);
    slot.step = Step::renaming;
    const int at = slot.dir().out;
    if (options.ring_rename) return ring.rename(slot, at, slot.private_name, slot.name);
    if (renameat(at, slot.private_name, at, slot.name) < 0) return failed(ring, slot, "rename", errno);
    done(ring, slot);
  }

  void done(Ring& ring, Slot& slot) {
    if (slot.out >= 0) ring.close(slot.out);
    ring.finish(slot);
  }
  void failed(Ring& ring, Slot& slot, const char* what, int error) {
    floors::fail(what, &slot.dir(), slot.name, error);
    if (slot.out >= 0) unlinkat(slot.dir().out, options.per_file ? slot.private_name : slot.name, 0);
    done(ring, slot);
  }
};

}  // namespace

int main(int argc, char** argv) {
  const floors::Flags flags(argc, argv);
  if (flags.positional.size() != 2) {
    std::fputs("usage: floor_copy SRC DST [--flag value]...\n", stderr);
    return 2;
  }
  umask(0);  // modes at creation are exact
  const floors::Options options(flags);
  Target target(flags);
  std::string destination = flags.positional[1];
  while (destination.size() > 1 && destination.ends_with('/')) destination.pop_back();
  target.root = destination;
  if (!target.options.per_file) {
    const std::size_t slash = destination.rfind('/') + 1;  // 0 when there is none
    target.root.insert(slash, ".floor-" + std::to_string(getpid()) + "-");
    if (mkdir(target.root.c_str(), 0700) < 0) floors::die("mkdir", errno);  // never joins what stands there
  }
  {
    floors::Tree tree(options, target);
    tree.add_root(flags.positional[0]);
    std::vector<Copy> jobs;
    for (unsigned i = 0; i < options.rings; ++i) jobs.push_back({target.options, i, 0});
    floors::run(tree, options, jobs);
  }
  if (!target.options.per_file &&
      renameat2(AT_FDCWD, target.root.c_str(), AT_FDCWD, destination.c_str(), RENAME_NOREPLACE) < 0)
    floors::die("rename into place", errno);
  return floors::failures ? 1 : 0;
}
