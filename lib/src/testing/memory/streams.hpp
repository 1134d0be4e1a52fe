// Pipes and stream sockets of a memory world: bytes between two ends, and names to connect to.
//
// All calls return the system call's value or minus errno; -EAGAIN means that the other side has to do something first,
// and `waits_on` names what to look at again.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace asyncfs::detail::memory {

// Bytes under way in one direction.
struct conduit {
  std::uint64_t id = 0;
  std::size_t capacity = 0;
  std::string bytes{};
  int readers = 1, writers = 1;
  bool shut_for_reading = false, shut_for_writing = false;

  [[nodiscard]] bool no_reader() const noexcept { return readers == 0 || shut_for_reading; }
  [[nodiscard]] bool no_writer() const noexcept { return writers == 0 || shut_for_writing; }
};

// One end.
struct stream {
  std::uint64_t id = 0;
  bool is_socket = false;
  int family = 0;
  std::shared_ptr<conduit> in, out;
  std::string local, peer;  // addresses, as bytes
  std::string key;          // what it is bound to
  bool listening = false;
  std::size_t most_waiting = 0;
  std::deque<std::shared_ptr<stream>> waiting;  // connections that nobody accepted yet
};

class streams {
 public:
  static constexpr std::size_t usual_capacity = std::size_t{64} << 10;
  static constexpr std::size_t whole_to_pipe = 4096;  // PIPE_BUF: writes up to it are never split

  struct two_ends {
    std::shared_ptr<stream> reader, writer;
  };
  [[nodiscard]] two_ends make_pipe(std::size_t capacity = usual_capacity);
  // A connected pair of local sockets.
  [[nodiscard]] two_ends make_pair();
  // An end of a named pipe, whose bytes `of` keeps for as long as somebody has it open.
  [[nodiscard]] std::shared_ptr<stream> open_fifo(std::shared_ptr<conduit>& of, bool reads, bool writes);
  [[nodiscard]] std::shared_ptr<stream> make_socket(int family);

  // `key` is what a connection finds it by; empty: the address itself.
  std::int32_t bind(stream& end, std::string address, const std::string& key = {});
  std::int32_t listen(stream& end, int backlog);
  std::int32_t connect(const std::shared_ptr<stream>& end, const std::string& address, std::uint64_t& waits_on,
                       const std::string& key = {});
  // The accepted end, or null with `error` set to an errno.
  std::shared_ptr<stream> accept(stream& from, int& error, std::uint64_t& waits_on);
  std::int32_t read(stream& end, char* into, std::size_t length, bool peek, std::uint64_t& waits_on);
  std::int32_t write(stream& end, const char* from, std::size_t length, std::uint64_t& waits_on);
  std::int32_t shutdown(stream& end, int how);
  // POLLIN, POLLOUT, POLLHUP ... of those asked for, or 0.
  [[nodiscard]] short poll(const stream& end, short events) const;
  void close(stream& end);

  std::vector<std::uint64_t> changed;  // ids, since somebody emptied it

 private:
  [[nodiscard]] std::shared_ptr<conduit> make_conduit(std::size_t capacity = usual_capacity);
  void join(stream& one, stream& other);
  void note(const conduit& one) { changed.push_back(one.id); }
  std::uint64_t last_id_ = 0;
  std::uint16_t last_port_ = 40000;
  std::map<std::string, stream*> bound_;
};

}  // namespace asyncfs::detail::memory
