// asyncfs probe: what this kernel gives to an asynchronous program, and where each operation runs.

#include <fmt/format.h>
#include <sys/utsname.h>

#include "command/commands.hpp"

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

}  // namespace

int run(const probe_command& command) {
  messages say("asyncfs probe");
  asyncfs::engine_options options;
  options.kind = *asyncfs::parse_engine_kind(command.engine);
  auto chosen = asyncfs::make_engine(options);
  if (!chosen) {
    say.failure(fmt::format("the engine {} cannot be used: {}", command.engine,
                            asyncfs::explain_uring_refusal(chosen.error())));
    return 1;
  }
  utsname system{};
  ::uname(&system);
  fmt::print("kernel  {} {}\n", system.sysname, system.release);
  fmt::print("engine  {} ({})\n\n", chosen->engine->name(), chosen->reason);
  fmt::print("{:<18} {:>6}  {:<9} {:<9} {}\n", "operation", "since", "runs", "default", "instead");
  for (const asyncfs::opcode_info& row : asyncfs::opcode_table) {
    const bool in_kernel = row.since != asyncfs::kernel_version{};
    fmt::print("{:<18} {:>6}  {:<9} {:<9} {}\n", row.name,
               in_kernel ? fmt::format("{}.{}", row.since.major, row.since.minor) : "-",
               words_for(chosen->engine->where(row.code)), words_for(row.where), row.twin.empty() ? "-" : row.twin);
  }
  return 0;
}

}  // namespace tool
