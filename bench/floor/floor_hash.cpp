// Floor for `hash -a sha256`: open, read, one fstat after the last read, SHA-256, close. Prints 'HEX  PATH' lines.
//
// usage: floor_hash DIR... [--rings N] [--depth N] [--batch N] [--walkers N] [--sort 0|1] [--digest KIND] [--fstat KIND]
//   --digest   lanes (many files at once, by the functions that the tool has; the default where the processor can), low (SHA256_Init, Update, Final), init (EVP_DigestInit_ex a file), again (the same with a null type),
//              copy (EVP_MD_CTX_copy_ex of an initialised context), implicit (EVP_sha256(): a fetch a file), none (do not hash)
//   --fstat    call (the plain system call, at the end), read (a second read that returns 0 instead), none (not safe)
#define OPENSSL_SUPPRESS_DEPRECATED  // SHA256_*: deprecated in 3.0, and measured here against EVP
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <span>

#include "floor_ring.hpp"
#include "hash/lane_functions.hpp"

namespace {

enum class Digest { lanes, low, init, again, copy, implicit, none };
// FIPS 180-4, 5.3.3.
constexpr std::uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

enum class End { call, read, none };

// One running SHA-256. A slot keeps its context for all its files.
class Sha256 {
 public:
  static inline Digest kind = Digest::low;

  void start() {
    if (kind == Digest::none) return;
    if (kind == Digest::low) {
      SHA256_Init(&state_);
      return;
    }
    static EVP_MD* const type = EVP_MD_fetch(nullptr, "SHA256", nullptr);  // fetched once
    static EVP_MD_CTX* const fresh = [] {
      EVP_MD_CTX* c = EVP_MD_CTX_new();
      EVP_DigestInit_ex(c, type, nullptr);
      return c;
    }();
    const bool first = !context_;
    if (first) context_.reset(EVP_MD_CTX_new());
    if (kind == Digest::implicit)
      EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
    else if (kind == Digest::copy)
      EVP_MD_CTX_copy_ex(context_.get(), fresh);
    else
      EVP_DigestInit_ex(context_.get(), kind == Digest::again && !first ? nullptr : type, nullptr);
  }
  void update(const char* data, std::size_t size) {
    if (kind == Digest::none) return;
    if (kind == Digest::low)
      SHA256_Update(&state_, data, size);
    else
      EVP_DigestUpdate(context_.get(), data, size);
  }
  void finish(unsigned char* digest) {
    if (kind == Digest::none) return;
    if (kind == Digest::low)
      SHA256_Final(digest, &state_);
    else
      EVP_DigestFinal_ex(context_.get(), digest, nullptr);
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* c) const { EVP_MD_CTX_free(c); }
  };
  SHA256_CTX state_;
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

// A file whose ctime is younger than the start of its read by less than the clock's grain may have changed under it.
bool surely_unchanged(const struct stat& st, std::uint64_t size, const timespec& since) {
  constexpr long grain = 10'000'000;  // a tick of the coarse clock, at most
  const auto ns = [](const timespec& t) { return t.tv_sec * 1'000'000'000L + t.tv_nsec; };
  return static_cast<std::uint64_t>(st.st_size) == size && ns(st.st_ctim) + grain < ns(since);
}

struct Hash {
  struct Slot : floors::Slot {
    unsigned context = 0;  // 1 + the index of its context; 0 before the first read
    // For --digest lanes: what is left to hash before the next step.
    std::uint32_t state[8];
    const unsigned char* data;
    std::size_t blocks;
    bool end;  // the padded tail comes after `blocks`, then the file is done
    unsigned tail_blocks;
    unsigned char tail[128];
  };
  End end;
  unsigned changed = 0;
  std::string output;
  std::vector<std::pair<std::size_t, std::size_t>> lines;  // (offset, length) in output
  std::vector<std::unique_ptr<Sha256>> contexts;
  std::vector<unsigned> idle;

  void event(floors::Ring<Hash>& ring, Slot& slot, int result) {
    if (result < 0) {
      floors::fail("read", &slot.dir(), slot.name, -result);
      return done(ring, slot);
    }
    if (Sha256::kind == Digest::lanes) return was_read(ring, slot, static_cast<std::size_t>(result));
    if (!slot.context) {
      slot.context = take();
      contexts[slot.context - 1]->start();
    }
    Sha256& sha = *contexts[slot.context - 1];
    const auto n = static_cast<std::size_t>(result);
    sha.update(slot.buffer, n);
    slot.done += n;
    if (n == ring.buffer_size() || (end == End::read && n != 0)) return ring.read(slot);
    if (end == End::call) {
      // A short read is the end only if the size agrees; a file that grew meanwhile is read on.
      struct stat st;
      if (fstat(slot.fd, &st) < 0) {
        floors::fail("fstat", &slot.dir(), slot.name, errno);
        return done(ring, slot);
      }
      if (n != 0 && static_cast<std::uint64_t>(st.st_size) > slot.done) return ring.read(slot);
      // asyncfs reads such a file again between two fstat calls; the floor only counts them.
      if (!surely_unchanged(st, slot.done, started)) ++changed;
    }
    unsigned char digest[32]{};
    sha.finish(digest);
    print(slot, digest);
    done(ring, slot);
  }

  // Hashes all that was read in this round, many files side by side.
  void round_end(floors::Ring<Hash>& ring) {
    std::array<Slot*, most_lanes> lane;
    std::size_t used = 0;
    while (!ready.empty() || used) {
      while (used < most_lanes && !ready.empty()) {
        lane[used++] = ready.back();
        ready.pop_back();
      }
      const bool few = used < worthwhile_in_wide;
      const std::size_t now = add_shortest({lane.data(), few ? std::min(used, few_lanes) : used}, few);
      for (std::size_t i = now; i-- > 0;) {
        if (!end_of_piece(ring, *lane[i])) continue;
        lane[i] = lane[--used];
      }
    }
  }

  timespec started{};  // an early bound for every open: the start of the run, as changes are not expected in it

 private:
  static constexpr std::size_t most_lanes = tool::lane_unit::widest_register / 4, worthwhile_in_wide = 6;
  static constexpr std::size_t few_lanes = tool::lane_unit::instructions_register / 4;
  std::vector<Slot*> ready;  // for round_end

  // To each as many blocks as the shortest has left. How many slots that were.
  static std::size_t add_shortest(std::span<Slot*> slots, bool few) {
    const auto units = tool::lane_unit::here(tool::sha_family::sha256);
    const tool::lane_unit& unit = few ? units.back() : units.front();
    const std::size_t lanes = unit.register_bytes / 4;
    slots = slots.first(std::min(slots.size(), lanes));
    alignas(64) std::uint32_t state[8 * most_lanes]{};
    const unsigned char* in[most_lanes];
    std::size_t blocks = SIZE_MAX, shortest = 0;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (slots[i]->blocks < blocks) shortest = i, blocks = slots[i]->blocks;
      for (std::size_t w = 0; w < 8; ++w) state[w * lanes + i] = slots[i]->state[w];
    }
    for (std::size_t i = 0; i < lanes; ++i) in[i] = slots[i < slots.size() ? i : shortest]->data;
    if (blocks) unit.run(state, in, blocks);
    for (std::size_t i = 0; i < slots.size(); ++i) {
      for (std::size_t w = 0; w < 8; ++w) slots[i]->state[w] = state[w * lanes + i];
      slots[i]->data += blocks * 64;
      slots[i]->blocks -= blocks;
    }
    return slots.size();
  }

  // Whether the slot leaves the lanes: to be read on, or done.
  bool end_of_piece(floors::Ring<Hash>& ring, Slot& slot) {
    if (slot.blocks) return false;
    if (slot.end && slot.tail_blocks) {
      slot.data = slot.tail;
      slot.blocks = std::exchange(slot.tail_blocks, 0);
      return false;
    }
    if (!slot.end) {
      ring.read(slot);
      return true;
    }
    unsigned char digest[32];
    for (int w = 0; w < 8; ++w) {
      const std::uint32_t big_endian = __builtin_bswap32(slot.state[w]);
      std::memcpy(digest + 4 * w, &big_endian, 4);
    }
    print(slot, digest);
    ring.finish(slot);
    return true;
  }

  void was_read(floors::Ring<Hash>& ring, Slot& slot, std::size_t n) {
    if (slot.done == 0) std::memcpy(slot.state, initial, sizeof slot.state);
    slot.data = reinterpret_cast<const unsigned char*>(slot.buffer);
    slot.blocks = n / 64;
    slot.done += n;
    slot.end = n < ring.buffer_size();
    if (slot.end) {
      struct stat st;
      if (fstat(slot.fd, &st) < 0) {
        floors::fail("fstat", &slot.dir(), slot.name, errno);
        return ring.finish(slot);
      }
      if (n >= 64 && static_cast<std::uint64_t>(st.st_size) > slot.done) {
        slot.end = false;     // it grew: read on,
        slot.done -= n % 64;  // from the last whole block
      } else if (!surely_unchanged(st, slot.done, started)) {
        ++changed;
      }
    }
    if (slot.end) {
      const std::size_t rest = n % 64;
      slot.tail_blocks = rest < 56 ? 1 : 2;
      std::memset(slot.tail, 0, sizeof slot.tail);
      std::memcpy(slot.tail, slot.data + slot.blocks * 64, rest);
      slot.tail[rest] = 0x80;
      const std::uint64_t bits = __builtin_bswap64(slot.done * 8);
      std::memcpy(slot.tail + slot.tail_blocks * 64 - 8, &bits, 8);
    }
    ready.push_back(&slot);
  }

  unsigned take() {
    if (idle.empty()) {
      contexts.push_back(std::make_unique<Sha256>());
      return static_cast<unsigned>(contexts.size());
    }
    const unsigned context = idle.back();
    idle.pop_back();
    return context;
  }
  void done(floors::Ring<Hash>& ring, Slot& slot) {
    if (slot.context) idle.push_back(slot.context);
    ring.finish(slot);
  }
  void print(const Slot& slot, const unsigned char* digest) {
    static constexpr char hex[] = "0123456789abcdef";
    char text[66];
    for (int i = 0; i < 32; ++i) {
      text[2 * i] = hex[digest[i] >> 4];
      text[2 * i + 1] = hex[digest[i] & 15];
    }
    text[64] = text[65] = ' ';
    const std::size_t at = output.size();
    output.append(text, sizeof text).append(slot.dir().path).append(slot.name).push_back('\n');
    lines.emplace_back(at, output.size() - at);
  }
};

Digest digest_named(const std::string& name) {
  if (name == "init") return Digest::init;
  if (name == "again") return Digest::again;
  if (name == "copy") return Digest::copy;
  if (name == "implicit") return Digest::implicit;
  if (name == "none") return Digest::none;
  if (name == "low") return Digest::low;
  return tool::lane_unit::here(tool::sha_family::sha256).empty() ? Digest::low : Digest::lanes;
}

}  // namespace

int main(int argc, char** argv) {
  const floors::Flags flags(argc, argv);
  if (flags.positional.empty()) {
    std::fputs("usage: floor_hash DIR... [--flag value]...\n", stderr);
    return 2;
  }
  const floors::Options options(flags);
  Sha256::kind = digest_named(flags.text("digest", ""));
  const std::string end = flags.text("fstat", "call");
  floors::Hooks hooks;
  floors::Tree tree(options, hooks);
  for (const std::string& root : flags.positional) tree.add_root(root);
  std::vector<Hash> jobs(options.rings);
  for (Hash& job : jobs) {
    job.end = end == "read" ? End::read : end == "none" ? End::none : End::call;
    clock_gettime(CLOCK_REALTIME_COARSE, &job.started);
  }
  floors::run(tree, options, jobs);

  unsigned changed = 0;
  for (const Hash& job : jobs) changed += job.changed;
  if (changed) std::fprintf(stderr, "%u files may have changed while being read\n", changed);
  if (!flags.number("sort", 1)) {
    for (const Hash& job : jobs) std::fwrite(job.output.data(), 1, job.output.size(), stdout);
  } else {
    std::vector<std::string_view> lines;
    for (const Hash& job : jobs)
      for (const auto& [at, length] : job.lines) lines.push_back(std::string_view(job.output).substr(at, length));
    std::sort(lines.begin(), lines.end(), [](auto a, auto b) { return a.substr(66) < b.substr(66); });  // by path
    std::string sorted;
    for (const auto line : lines) sorted.append(line);
    std::fwrite(sorted.data(), 1, sorted.size(), stdout);
  }
  return floors::failures ? 1 : 0;
}
