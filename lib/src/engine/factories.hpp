// Private constructors of the engines; make_engine() chooses among them.
#pragma once

#include <memory>

#include <asyncfs/engine.hpp>

namespace asyncfs::detail {

[[nodiscard]] result<std::unique_ptr<engine>> make_uring_engine(const engine_options& options);
[[nodiscard]] std::unique_ptr<engine> make_threads_engine(const engine_options& options);
[[nodiscard]] std::unique_ptr<engine> make_sync_engine(const engine_options& options);

}  // namespace asyncfs::detail
