#include <asyncfs/testing/simulation.hpp>

#include <cinttypes>
#include <cstdio>
#include <stdexcept>

#include "testing/core.hpp"
#include "testing/real_world.hpp"

namespace asyncfs::testing {

namespace detail {

namespace {
constexpr std::uint64_t powers_of_two_before_power_loss = 11;  // as likely within 4 operations as within 2000
}

core::core(const simulation_options& chosen) : options(chosen), random(chosen.seed) {
  if (options.files == simulation_options::files_kind::memory) {
    auto made = std::make_unique<asyncfs::detail::memory::memory_world>();
    memory = made.get();
    world = std::move(made);
  } else {
    world = asyncfs::detail::make_real_world();
  }
  clock = steady_time(std::chrono::seconds(1));  // not zero, which would hide mistakes
  power_cut_at = options.cut_power_at;
  if (power_cut_at == 0 && random.happens(options.faults.of(fault::power_loss)))
    power_cut_at = 1 + random.below(std::uint64_t{2} << random.below(powers_of_two_before_power_loss));
}

std::string core::text(std::size_t most) const {
  std::string all;
  for (std::size_t i = trace_.size() - std::min(most, trace_.size()); i < trace_.size(); ++i) {
    const entry& one = trace_[i];
    const auto name = describe(one.code).name;
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(one.at.time_since_epoch()).count();
    char line[200];
    const auto put = [&](const char* what) {
      std::snprintf(line, sizeof line, "%10" PRId64 ".%06" PRId64 " #%" PRIu64 " %.*s %s %" PRId64 "\n", us / 1'000'000,
                    us % 1'000'000, one.operation, static_cast<int>(name.size()), name.data(), what, one.value);
    };
    switch (one.what) {
      case event::submitted: put("submitted, length"); break;
      case event::refused: put("refused"); break;
      case event::effect: put("takes effect, result"); break;
      case event::waits: put("waits for a peer"); break;
      case event::completed: put("completes with"); break;
      case event::cancel: put("is asked to cancel"); break;
      case event::fault_met:
        put(("meets " + std::string(name_of(static_cast<fault>(one.value))) + ", kind").c_str());
        break;
      case event::slept:
        std::snprintf(line, sizeof line, "%10" PRId64 ".%06" PRId64 " the loop slept until now\n", us / 1'000'000,
                      us % 1'000'000);
        break;
    }
    all += line;
  }
  return all;
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
  detail::generator random(core_->options.seed * 0x9e3779b97f4a7c15 + choice + 1);
  return memory_files(
      memory_of(*core_).files().after_power_loss([&random](std::uint64_t bound) { return random.below(bound); }));
}

const std::string& simulation::written_to(int fd) const { return memory_of(*core_).written_to(fd); }
std::size_t simulation::open_descriptors() const noexcept {
  return core_->memory == nullptr ? 0 : core_->memory->open_count();
}
std::size_t simulation::stale_uses() const noexcept { return core_->memory == nullptr ? 0 : core_->memory->bad_uses(); }
bool simulation::power_is_cut() const noexcept { return core_->power_is_cut; }
std::uint64_t simulation::seed() const noexcept { return core_->options.seed; }
steady_time simulation::now() const noexcept { return core_->clock; }
std::uint64_t simulation::choose(std::uint64_t bound) { return core_->random.below(bound); }
const fault_coverage& simulation::coverage() const noexcept { return core_->coverage; }
std::uint64_t simulation::operations() const noexcept { return core_->operations; }
std::uint64_t simulation::trace_hash() const noexcept { return core_->hash(); }
std::string simulation::trace(std::size_t most) const { return core_->text(most); }

}  // namespace asyncfs::testing
