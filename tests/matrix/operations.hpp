// Every public operation as a row of one table, with its type erased: what it needs, how it is awaited, what makes it
// go on when it waits, and how its effect is seen. The tests of the matrix go through the rows and know no operation.
#pragma once

#include <asyncfs/asyncfs.hpp>

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "../support/engines.hpp"

namespace matrix {

using asyncfs::opcode;
using asyncfs::task;
using tests::place;

// How an operation ended: an errno value or 0, and the number it gave, if it gives one.
struct outcome {
  int error = 0;
  std::int64_t value = 0;
  bool operator==(const outcome&) const = default;
};

// What an operation works on. Each row makes what it needs, in a directory of its own if it needs one.
struct subject {
  explicit subject(place& in) : at(in) {}

  place& at;
  asyncfs::directory dir;
  std::string path;  // of dir
  asyncfs::file file, other;
  asyncfs::pipe_ends pipe;
  asyncfs::socket near, far, server, client;
  asyncfs::endpoint address;
  std::unique_ptr<asyncfs::listener> incoming;
  asyncfs::process child;
  std::optional<asyncfs::signal_block> quiet;
  std::optional<asyncfs::signal_watch> watch;
  asyncfs::event event;
  asyncfs::semaphore permits{0};
  asyncfs::channel<int> numbers{0};
  asyncfs::steady_time::duration delay = std::chrono::hours(1);
  std::vector<std::byte> bytes = std::vector<std::byte>(4096, std::byte{'w'});
  std::array<char, 256> names{};
  std::array<iovec, 2> pieces{iovec{bytes.data(), 1024}, iovec{bytes.data() + 1024, 1024}};
  int number = -1;              // of a descriptor that was given up
  std::size_t filled = 0;       // bytes that lie in a stream from the beginning
  std::size_t drained = 0;      // bytes that were taken out of it since
  bool calls = false;           // what runs on a worker has run
  const char* lacks = nullptr;  // what this place cannot do, so that the row is left out
};

// One request that the operation makes of the engine, in whose place a failure is put.
struct part {
  opcode code;
  bool every_error = true;  // false: a few only, since what comes before is expensive
};

enum class ends : std::uint8_t {
  by_itself,
  when_provided,   // it waits until `provide` has done its part
  when_time_comes  // `provide` must come first
};

inline constexpr int own_rule = -1;  // of `becomes`: neither this error nor success; not looked at

struct row {
  std::string_view name;  // as the headers have it, with its class
  std::string_view variant = "";
  std::vector<part> parts{};
  task<void> (*prepare)(subject&) = nullptr;
  task<outcome> (*attempt)(subject&) = nullptr;
  // Whether its effect is there. Null: there is none to see.
  task<bool> (*happened)(subject&) = nullptr;
  ends end = ends::by_itself;
  task<void> (*provide)(subject&) = nullptr;
  // Of what puts bytes into a stream: whether there came out what was there before and what was `moved`, and no more.
  task<bool> (*balanced)(subject&, std::size_t moved) = nullptr;
  std::int64_t value = -1;   // what it gives when all is well; -1: anything
  bool is_transfer = false;  // may be short
  bool needs_directory = false;
  bool needs_kernel = false;            // signals and children
  bool ends_despite_cancel = false;     // closing and the like: not to be cancelled
  bool only_succeeds = false;           // it waits for nothing that a scope could cancel
  const char* not_cancelled = nullptr;  // what it is, and why no cell of cancelling concerns it
  int refusal = 0;                      // an error that a file system may answer instead
  // What the error of a part becomes: the same, 0 for what is done without, or own_rule.
  int (*becomes)(opcode, int) = nullptr;

  [[nodiscard]] std::string title() const {
    return std::string(name) + (variant.empty() ? "" : " (" + std::string(variant) + ")");
  }
  [[nodiscard]] bool waits() const noexcept { return end != ends::by_itself; }
};

std::vector<row> file_rows();
std::vector<row> directory_rows();
std::vector<row> stream_rows();
std::vector<row> process_rows();
std::vector<row> waiting_rows();
const std::vector<row>& all_rows();

// ---- for the tables --------------------------------------------------------------------------------------------------

template <class T>
std::int64_t number_in(const T& value) {
  if constexpr (std::integral<T>)
    return static_cast<std::int64_t>(value);
  else if constexpr (requires { value.size(); })
    return static_cast<std::int64_t>(value.size());
  else
    return 0;
}

template <class Kind>
task<outcome> told(asyncfs::operation<Kind> op) {
  auto r = co_await asyncfs::as_result(std::move(op));
  outcome how;
  if (!r)
    how.error = r.error().value();
  else if constexpr (!std::is_void_v<typename Kind::value_type>)
    how.value = number_in(*r);
  co_return how;
}

// A sequence that gives nothing has been cancelled: none here comes to its end.
template <class T>
outcome outcome_of(const T& value) {
  if constexpr (requires { value.has_value(); })
    return {.error = value.has_value() ? 0 : ECANCELED};
  else
    return {.value = number_in(value)};
}

template <asyncfs::awaitable A>
task<outcome> told(A what) {
  outcome how;
  try {
    if constexpr (std::is_void_v<asyncfs::awaited_t<A>>) {
      co_await std::move(what);
    } else {
      const auto value = co_await std::move(what);
      how = outcome_of(value);
    }
  } catch (const std::system_error& error) {
    how.error = error.code().value();
  }
  co_return how;
}

// True when the operation succeeds.
template <class Kind>
task<bool> succeeds(asyncfs::operation<Kind> op) {
  const auto r = co_await asyncfs::as_result(std::move(op));
  co_return r.has_value();
}

// Makes "file" with this many bytes of 'x', and "other", empty.
task<void> with_files(subject& s);
task<void> with_nothing(subject& s);

}  // namespace matrix
