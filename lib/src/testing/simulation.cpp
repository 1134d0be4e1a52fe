#include <asyncfs/testing/simulation.hpp>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

#include "testing/core.hpp"
#include "testing/real_world.hpp"

namespace asyncfs::testing {

namespace detail {

namespace {
constexpr std::uint64_t powers_of_two_before_power_loss = 11;  // as likely within 4 operations as within 2000
}

core::core(const simulation_options& chosen)
    : options(chosen),
      random(chosen.seed),
      log(chosen.files == simulation_options::files_kind::memory, chosen.most_events_kept) {
  if (options.files == simulation_options::files_kind::memory) {
    auto made = std::make_unique<asyncfs::detail::memory::memory_world>();
    memory = made.get();
    memory->reflinks = options.reflinks;
    world = std::move(made);
  } else {
    world = asyncfs::detail::make_real_world();
  }
  for (const opcode code : options.denied) denied_[static_cast<std::uint8_t>(code)] = true;
  clock = steady_time(std::chrono::seconds(1));  // not zero, which would hide mistakes
  power_cut_at = options.cut_power_at;
  if (power_cut_at == 0 && random.happens(options.faults.of(fault::power_loss)))
    power_cut_at = 1 + random.below(std::uint64_t{2} << random.below(powers_of_two_before_power_loss));
}

void core::give_up(const char* why, const std::string& more) const {
  std::fprintf(stderr, "asyncfs simulation: %s\n%s%sto see this again: %s\n", why, log.text(30).c_str(), more.c_str(),
               replay_command(options.seed).c_str());
  std::abort();
}

}  // namespace detail

simulation::simulation(const simulation_options& options) : core_(std::make_shared<detail::core>(options)) {}
simulation::~simulation() = default;

std::unique_ptr<engine> simulation::make_engine() { return detail::make_engine(core_); }

loop_options simulation::options() {
  loop_options how;
  how.engine.make = [shared = core_](const engine_options& chosen) { return detail::make_engine(shared, chosen); };
  return how;
}

namespace {
asyncfs::detail::memory::memory_world& memory_of(const detail::core& core) {
  if (core.memory == nullptr) throw std::logic_error("simulation: this one is of real files; look at those");
  return *core.memory;
}
}  // namespace

memory_files simulation::files() { return memory_files(memory_of(*core_).files()); }

memory_files simulation::files_after_power_loss(std::uint64_t choice) {
  if (!core_->power_is_cut) core_->coverage.mark(fault::power_loss);
  detail::generator random(core_->options.seed * 0x9e3779b97f4a7c15 + choice + 1);
  return memory_files(
      memory_of(*core_).files().after_power_loss([&random](std::uint64_t bound) { return random.below(bound); }));
}

const std::string& simulation::written_to(int fd) const { return memory_of(*core_).written_to(fd); }
std::size_t simulation::open_descriptors() const noexcept {
  return core_->memory == nullptr ? 0 : core_->memory->open_count();
}
std::vector<std::string> simulation::left_open() const {
  return core_->memory == nullptr ? std::vector<std::string>() : core_->memory->open_list();
}
int simulation::open(const std::string& path, int flags) {
  const int fd = memory_of(*core_).open_path(path, flags);
  if (fd < 0) throw std::system_error(-fd, std::system_category(), path);
  return fd;
}
std::array<int, 2> simulation::make_pipe(std::size_t capacity) { return memory_of(*core_).give_pipe(capacity); }
std::array<int, 2> simulation::make_socket_pair() { return memory_of(*core_).give_pair(); }
void simulation::cut_power_at(std::uint64_t operation) noexcept { core_->power_cut_at = operation; }
std::size_t simulation::stale_uses() const noexcept { return core_->memory == nullptr ? 0 : core_->memory->bad_uses(); }
bool simulation::power_is_cut() const noexcept { return core_->power_is_cut; }
std::uint64_t simulation::seed() const noexcept { return core_->options.seed; }
steady_time simulation::now() const noexcept { return core_->clock; }
std::uint64_t simulation::choose(std::uint64_t bound) { return core_->random.below(bound); }
const fault_coverage& simulation::coverage() const noexcept { return core_->coverage; }
std::uint64_t simulation::operations() const noexcept { return core_->operations; }
std::uint64_t simulation::trace_hash() const noexcept { return core_->log.hash(); }
std::string simulation::trace(std::size_t most) const { return core_->log.text(most); }

}  // namespace asyncfs::testing
