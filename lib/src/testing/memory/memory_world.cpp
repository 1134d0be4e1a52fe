#include "testing/memory/memory_world.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/perform.hpp"

namespace asyncfs::detail::memory {

namespace {

// A day in 2026: files are older than the real clock of whoever compares.
constexpr std::int64_t epoch_ns = std::int64_t{1'770'000'000} * 1'000'000'000;

}  // namespace

memory_world::memory_world() : tree_(std::make_unique<tree>()), outer_(simulated_descriptors::current()) {
  for (std::size_t i = 0; i < standard_.size(); ++i) standard_[i].sink = &sinks_[i];
  tree_->now_ns = epoch_ns;
  simulated_descriptors::current() = this;
}

memory_world::~memory_world() {
  opened_.clear();
  simulated_descriptors::current() = outer_;
}

const std::array<memory_world::call, 256>& memory_world::calls() {
  static const std::array<call, 256> table = [] {
    std::array<call, 256> t{};
    const auto set = [&t](opcode code, call fn) { t[static_cast<std::uint8_t>(code)] = fn; };
    using w = memory_world;
    for (const opcode code : {opcode::nop, opcode::madvise}) set(code, &w::nothing);
    for (const opcode code : {opcode::fadvise, opcode::sync_file_range}) set(code, &w::advise);
    set(opcode::ficlone, &w::clone);
    for (const opcode code : {opcode::read, opcode::write, opcode::readv, opcode::writev, opcode::recv, opcode::send})
      set(code, &w::transfer);
    set(opcode::openat, &w::openat);
    set(opcode::openat2, &w::openat2);
    set(opcode::create, &w::openat2);
    set(opcode::close, &w::close_now);
    set(opcode::statx, &w::statx);
    set(opcode::fstat, &w::statx);
    set(opcode::fsync, &w::fsync);
    set(opcode::fallocate, &w::fallocate);
    set(opcode::ftruncate, &w::ftruncate);
    set(opcode::mkdirat, &w::mkdirat);
    set(opcode::mknodat, &w::mknodat);
    set(opcode::unlinkat, &w::unlinkat);
    set(opcode::renameat, &w::renameat);
    set(opcode::linkat, &w::linkat);
    set(opcode::symlinkat, &w::symlinkat);
    set(opcode::readlinkat, &w::readlinkat);
    set(opcode::getdents, &w::getdents);
    set(opcode::list_directory, &w::list_directory);
    set(opcode::fchmod, &w::set_mode);
    set(opcode::fchmodat, &w::set_mode);
    set(opcode::fchownat, &w::set_owner);
    set(opcode::utimensat, &w::set_times);
    set(opcode::fsetxattr, &w::set_attribute);
    set(opcode::setxattr, &w::set_attribute);
    set(opcode::fgetxattr, &w::get_attribute);
    set(opcode::getxattr, &w::get_attribute);
    set(opcode::flistxattr, &w::list_attributes);
    set(opcode::fremovexattr, &w::remove_attribute);
    set(opcode::copy_file_range, &w::copy_file_range);
    set(opcode::lseek, &w::seek);
    set(opcode::call, &w::call_function);
    set(opcode::pipe, &w::make_pipe);
    set(opcode::socket, &w::make_socket);
    set(opcode::bind, &w::bind);
    set(opcode::listen, &w::listen);
    set(opcode::accept, &w::accept);
    set(opcode::connect, &w::connect);
    set(opcode::shutdown, &w::shutdown);
    set(opcode::poll_add, &w::poll);
    return t;
  }();
  return table;
}

std::shared_ptr<void> memory_world::hold(const request& work) {
  const auto index = static_cast<std::size_t>(work.fd) - first_simulated_descriptor;
  const bool names_file = work.fd >= first_simulated_descriptor && work.code != opcode::close;
  return names_file && index < opened_.size() ? opened_[index] : nullptr;
}

std::int32_t memory_world::attempt(request& work, const std::shared_ptr<void>& held, std::uint64_t& waits_on) {
  const call fn = calls()[static_cast<std::uint8_t>(work.code)];
  if (fn == nullptr) return -EOPNOTSUPP;
  // Without power only what needs no device goes on.
  if (!powered_ && work.code != opcode::close && work.code != opcode::nop && work.code != opcode::call) return -EIO;
  waits_on_ = 0;
  held_ = static_cast<opened*>(held.get());
  held_number_ = held ? work.fd : -1;
  const std::int32_t value = (this->*fn)(work);
  held_ = nullptr;
  held_number_ = -1;
  waits_on = waits_on_;
  return value == -EAGAIN && waits_on_ != 0 && may_wait_for_a_peer(work) ? must_wait : value;
}

void memory_world::set_time(std::int64_t nanoseconds) noexcept { tree_->now_ns = epoch_ns + nanoseconds; }

void memory_world::cut_power() { powered_ = false; }

// ---- descriptors ---------------------------------------------------------------------------------------------------

opened* memory_world::at(int fd) noexcept {
  if (fd >= 0 && fd <= 2) return &standard_[static_cast<std::size_t>(fd)];
  if (held_ != nullptr && fd == held_number_) return held_;
  const auto index = static_cast<std::size_t>(fd) - first_simulated_descriptor;
  if (fd >= first_simulated_descriptor && index < opened_.size() && opened_[index]) return opened_[index].get();
  if (fd >= first_simulated_descriptor) ++bad_uses_;
  return nullptr;
}

// Ends when its descriptor is closed and no request in flight holds it any more.
int memory_world::give(opened what) {
  if (what.file != nullptr) ++what.file->opens;
  opened_.push_back({new opened(std::move(what)), [this](opened* one) {
                       if (one->end) streams_.close(*one->end);
                       if (one->file != nullptr) {
                         --one->file->opens;
                         tree_->forget_unused(*one->file);
                       }
                       delete one;
                     }});
  ++open_count_;
  return first_simulated_descriptor + static_cast<int>(opened_.size() - 1);
}

std::array<int, 2> memory_world::give_pipe(std::size_t capacity) {
  auto both = streams_.make_pipe(capacity);
  const int out = give({.flags = O_RDONLY, .end = std::move(both.reader)});
  return {out, give({.flags = O_WRONLY, .end = std::move(both.writer)})};
}

std::array<int, 2> memory_world::give_pair() {
  auto both = streams_.make_pair();
  const int one = give({.flags = O_RDWR, .end = std::move(both.reader)});
  return {one, give({.flags = O_RDWR, .end = std::move(both.writer)})};
}

std::vector<std::string> memory_world::open_list() const {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < opened_.size(); ++i) {
    if (!opened_[i]) continue;
    const opened& one = *opened_[i];
    const char* const what = one.end == nullptr ? "file" : one.end->is_socket ? "socket" : "pipe";
    all.push_back(std::to_string(first_simulated_descriptor + i) + " " + (one.file != nullptr ? one.path : what));
  }
  return all;
}

void memory_world::close(int fd) noexcept {
  opened* const one = at(fd);
  if (one == nullptr || fd <= 2) return;
  opened_[static_cast<std::size_t>(fd) - first_simulated_descriptor].reset();
  --open_count_;
}

std::int32_t memory_world::close_now(const request& work) {
  if (at(work.fd) == nullptr) return -EBADF;
  close(work.fd);
  return 0;
}

std::int32_t memory_world::local_address(int fd, sockaddr* address, socklen_t* size) noexcept {
  const opened* const one = at(fd);
  if (one == nullptr) return -EBADF;
  if (!one->end || !one->end->is_socket) return -ENOTSOCK;
  std::string local = one->end->local;
  if (local.empty()) {
    local.assign(sizeof(sa_family_t), '\0');
    const auto family = static_cast<sa_family_t>(one->end->family);
    std::memcpy(local.data(), &family, sizeof family);
  }
  std::memcpy(address, local.data(), std::min<std::size_t>(*size, local.size()));
  *size = static_cast<socklen_t>(local.size());
  return 0;
}

std::int32_t memory_world::set_option(int fd) noexcept {
  const opened* const one = at(fd);
  return one == nullptr ? -EBADF : one->end && one->end->is_socket ? 0 : -ENOTSOCK;
}

void memory_world::lose_unsynced(int fd) noexcept {
  opened* const one = at(fd);
  if (one != nullptr && one->file != nullptr) tree_->lose_unsynced(*one->file);
}

node* memory_world::file_at(int fd, std::int32_t& error) noexcept {
  opened* const one = at(fd);
  if (one == nullptr || one->file == nullptr) {
    error = one == nullptr ? -EBADF : -EINVAL;
    return nullptr;
  }
  return one->file;
}

node* memory_world::usable_file_at(int fd, std::int32_t& error) noexcept {
  node* const found = file_at(fd, error);
  if (found == nullptr || (at(fd)->flags & O_PATH) == 0) return found;
  error = -EBADF;
  return nullptr;
}

node* memory_world::directory_at(int fd, std::string_view path, std::int32_t& error) noexcept {
  if (fd == AT_FDCWD || path.starts_with('/')) return &tree_->root();
  node* const found = file_at(fd, error);
  if (found != nullptr && !found->is_directory()) {
    error = -ENOTDIR;
    return nullptr;
  }
  if (error == -EINVAL) error = -ENOTDIR;
  return found;
}

tree::place memory_world::find(int fd, std::string_view path, const tree::how& how) {
  std::int32_t error = 0;
  node* const from = directory_at(fd, path, error);
  if (from == nullptr) return {.error = -error};
  return tree_->find(*from, path, how);
}

tree::place memory_world::find(const request& work, std::uint64_t path_field, bool follow) {
  return find(work.fd, work.pointer_at<const char>(path_field), {.follow_last = follow});
}

tree::place memory_world::find_name(int fd, std::string_view path) {
  return find(fd, path, {.follow_last = false, .follow_slash = false});
}

// ---- the small ones ------------------------------------------------------------------------------------------------

std::int32_t memory_world::nothing(const request&) { return 0; }

std::int32_t memory_world::call_function(const request& work) {
  const auto& wanted = *work.pointer_at<const call_arguments>(work.address);
  return wanted.function(wanted.argument);
}

std::int32_t memory_world::advise(const request& work) {
  const opened* const one = at(work.fd);
  if (one == nullptr || (one->flags & O_PATH) != 0) return -EBADF;
  if (one->file == nullptr) return -ESPIPE;
  const bool known = work.code == opcode::sync_file_range ? work.options < 8 : work.options <= POSIX_FADV_NOREUSE;
  return known ? 0 : -EINVAL;
}

std::int32_t memory_world::make_pipe(const request& work) {
  const std::array<int, 2> numbers = give_pipe(streams::usual_capacity);
  std::copy(numbers.begin(), numbers.end(), work.pointer_at<int>(work.address));
  return 0;
}

std::int32_t memory_world::make_socket(const request& work) {
  constexpr int largest_type = 11;  // the kernel's SOCK_MAX
  const auto type = static_cast<int>(work.offset) & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (type < 1 || type >= largest_type) return -EINVAL;
  if (work.fd != AF_INET && work.fd != AF_INET6 && work.fd != AF_UNIX) return -EAFNOSUPPORT;
  if (type != SOCK_STREAM) return -ESOCKTNOSUPPORT;
  return give({.flags = O_RDWR, .end = streams_.make_socket(work.fd)});
}

std::int32_t memory_world::bound_name(const request& work, bool creates, std::string& key) {
  const std::string_view address(work.pointer_at<const char>(work.address), static_cast<std::size_t>(work.offset));
  if (address.size() < sizeof(sa_family_t)) return -EINVAL;
  sa_family_t family = 0;
  std::memcpy(&family, address.data(), sizeof family);
  if (family != AF_UNIX || address.size() == sizeof family || address[sizeof family] == '\0') return 0;
  std::string_view path = address.substr(sizeof family);
  path = path.substr(0, path.find('\0'));
  tree::place there = find(AT_FDCWD, path, {.follow_last = !creates});
  if (creates) {
    if (there.file != nullptr) return -EADDRINUSE;
    if (there.error != ENOENT || there.parent == nullptr) return -there.error;
    there.file = &tree_->create(*there.parent, there.name, S_IFSOCK | 0755);
  } else if (there.error != 0) {
    return -there.error;
  }
  key = "file " + std::to_string(there.file->number);
  return 0;
}

std::int32_t memory_world::bind(const request& work) {
  opened* const one = at(work.fd);
  if (one == nullptr || !one->end || !one->end->is_socket) return one == nullptr ? -EBADF : -ENOTSOCK;
  std::string key;
  if (!one->end->local.empty()) return -EINVAL;
  if (const std::int32_t error = bound_name(work, true, key); error < 0) return error;
  return streams_.bind(*one->end, {work.pointer_at<const char>(work.address), static_cast<std::size_t>(work.offset)},
                       key);
}

std::int32_t memory_world::listen(const request& work) {
  opened* const one = at(work.fd);
  if (one == nullptr || !one->end || !one->end->is_socket) return one == nullptr ? -EBADF : -ENOTSOCK;
  return streams_.listen(*one->end, static_cast<int>(work.length));
}

std::int32_t memory_world::accept(const request& work) {
  opened* const one = at(work.fd);
  if (one == nullptr || !one->end || !one->end->is_socket) return one == nullptr ? -EBADF : -ENOTSOCK;
  int error = 0;
  auto taken = streams_.accept(*one->end, error, waits_on_);
  if (!taken) return -error;
  return give({.flags = O_RDWR, .end = std::move(taken)});
}

std::int32_t memory_world::connect(const request& work) {
  opened* const one = at(work.fd);
  if (one == nullptr || !one->end || !one->end->is_socket) return one == nullptr ? -EBADF : -ENOTSOCK;
  const std::string address(work.pointer_at<const char>(work.address), static_cast<std::size_t>(work.offset));
  std::string key;
  if (one->end->in) return -EISCONN;
  if (const std::int32_t error = bound_name(work, false, key); error < 0) return error;
  return streams_.connect(one->end, address, waits_on_, key);
}

std::int32_t memory_world::shutdown(const request& work) {
  opened* const one = at(work.fd);
  if (one == nullptr || !one->end || !one->end->is_socket) return one == nullptr ? -EBADF : -ENOTSOCK;
  return streams_.shutdown(*one->end, static_cast<int>(work.length));
}

std::int32_t memory_world::poll(const request& work) {
  opened* const one = at(work.fd);
  if (one == nullptr) return -EBADF;
  const auto events = static_cast<short>(work.options);
  if (!one->end) {
    const int always = events & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
    return always != 0 ? always : -EINVAL;  // nothing else ever comes
  }
  const short ready = streams_.poll(*one->end, events);
  if (ready != 0) return ready;
  waits_on_ = (events & POLLOUT) != 0 && one->end->out ? one->end->out->id
              : one->end->in                           ? one->end->in->id
                                                       : one->end->id;
  return -EAGAIN;
}

}  // namespace asyncfs::detail::memory
