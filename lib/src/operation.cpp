#include <asyncfs/operation.hpp>

#include <system_error>

namespace asyncfs::detail {

void throw_failure(const std::error_code& error, std::string_view what) {
  throw std::system_error(error, std::string(what));
}

}  // namespace asyncfs::detail
