// Names of system calls, for reports.
#pragma once

#include <string_view>

#include "pvops/base/types.h"

namespace nopte::guest {

std::string_view syscall_name(u64 number);

}  // namespace nopte::guest
