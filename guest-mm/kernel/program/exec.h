// Starting programs.
#pragma once

#include <span>
#include <string_view>

#include "pvops/base/types.h"

namespace nopte::guest {

// Makes the running process, which has no program yet, execute `path`. 0 or a negative errno.
i64 exec_first_program(std::string_view path, std::span<const std::string_view> arguments,
                       std::span<const std::string_view> environment);

}  // namespace nopte::guest
