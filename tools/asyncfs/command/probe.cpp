// asyncfs probe: what this kernel gives to an asynchronous program, and where each operation runs.

#include <fmt/format.h>
#include <sys/utsname.h>

#include "cli/common_options.hpp"
#include "command/registry.hpp"
#include "message.hpp"

namespace tool {

namespace {

std::string_view words_for(asyncfs::runs where) {
  switch (where) {
    case asyncfs::runs::in_ring: return "ring";
    case asyncfs::runs::on_worker: return "worker";
    case asyncfs::runs::in_place: return "in place";
  }
  return "";
}

int probe(asyncfs::engine_kind engine, messages& say) {
  asyncfs::engine_options options;
  options.kind = engine;
  auto chosen = asyncfs::make_engine(options);
  if (!chosen) {
    say.failure(fmt::format("the engine cannot be used: {}", asyncfs::explain_uring_refusal(chosen.error())));
    return 1;
  }
  utsname system{};
  ::uname(&system);
  std::string text = fmt::format("kernel  {} {}\n", system.sysname, system.release);
  text += fmt::format("engine  {} ({})\n\n", chosen->engine->name(), chosen->reason);
  text += fmt::format("{:<18} {:>6}  {:<9} {:<9} {}\n", "operation", "since", "runs", "default", "instead");
  for (const asyncfs::opcode_info& row : asyncfs::opcode_table) {
    const bool in_kernel = row.since != asyncfs::kernel_version{};
    text += fmt::format("{:<18} {:>6}  {:<9} {:<9} {}\n", row.name,
                        in_kernel ? fmt::format("{}.{}", row.since.major, row.since.minor) : "-",
                        words_for(chosen->engine->where(row.code)), words_for(row.where),
                        row.twin.empty() ? "-" : row.twin);
  }
  return print(text, say) ? 0 : 1;
}

}  // namespace

command_line probe_command_line() {
  const auto engine = std::make_shared<asyncfs::engine_kind>(asyncfs::engine_kind::automatic);
  command_line made{.name = "probe",
                    .summary = "Show what this kernel offers, and where each operation runs",
                    .takes = {.synopsis = "", .help = "", .most = 0}};
  made.options = {engine_option(*engine, "What to look at")};
  made.take_operands = [](auto) {};
  made.run = [engine](messages& say) { return probe(*engine, say); };
  return made;
}

}  // namespace tool
