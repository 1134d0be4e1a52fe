// The directories being written, and how a name in them comes to be: whole, or not at all.
//
// A directory that is new is built under a private name, mode 0700, and renamed once when everything below it is done;
// inside it files take their own names at once, since nobody looks for them yet. In a directory that stands already
// every file is written under a private name and renamed. Attributes come last, times last of all.
//
// A destination is shared by the workers of all loops while entries below it are unfinished; the last to let go queues
// it, and whoever drains the queue completes it. A parent outlives, and is completed after, its children.
#pragma once

#include <asyncfs/directory.hpp>
#include <asyncfs/event_count.hpp>
#include <asyncfs/task.hpp>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "message.hpp"

namespace tool {

// Attributes of a source that its copy gets.
struct owner_identity {
  std::uint32_t user, group;
  bool is_root;
  [[nodiscard]] static owner_identity of_process() noexcept;
};

// A private name that no other process or worker picks: ".name.asyncfs-<16 hex digits>", shortened to fit.
[[nodiscard]] std::string private_name(std::string_view name, std::uint64_t random);

class destination_queue;

class destination {
 public:
  std::shared_ptr<destination> parent;        // null: `outer` holds the name
  std::shared_ptr<asyncfs::directory> outer;  // where a root's name is
  asyncfs::directory handle;
  std::string name, built_as;  // equal unless it is built under a private name
  std::string shown;
  asyncfs::file_status source;
  bool fresh = false;  // new and not yet seen: names inside need no rename

  [[nodiscard]] const asyncfs::directory& holder() const noexcept { return parent ? parent->handle : *outer; }
};

// Destinations nobody works below any more.
class destination_queue {
 public:
  destination_queue(owner_identity who, messages& say) : who_(who), say_(say) {}

  // Makes the directory for a source, or opens the one that stands. Null, and reported, when neither can be done.
  asyncfs::task<std::shared_ptr<destination>> enter(std::shared_ptr<destination> parent,
                                                    std::shared_ptr<asyncfs::directory> outer, std::string name,
                                                    std::string shown, asyncfs::file_status source);
  // Completes what is queued.
  asyncfs::task<void> drain();
  // Completes until none is left anywhere. Call on every loop after its workers have ended.
  asyncfs::task<void> drain_all();

 private:
  asyncfs::task<void> complete(destination& done);
  void put(destination* done);

  const owner_identity who_;
  messages& say_;
  std::mutex mutex_;
  std::deque<std::unique_ptr<destination>> queued_;
  std::size_t open_ = 0;
  asyncfs::event_count changed_;
};

}  // namespace tool
