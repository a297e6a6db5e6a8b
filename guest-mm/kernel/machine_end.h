// The end of the machine.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

// Names what programs asked for in vain, then powers off with this exit status.
[[noreturn]] void end_machine(u8 status);

}  // namespace nopte::guest
