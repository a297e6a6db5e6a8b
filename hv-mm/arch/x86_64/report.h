// The hypervisor's last words: a bad start, or a bug of its own.
#pragma once

#include <string_view>

#include "hv-mm/arch/x86_64/traps.h"

namespace nopte::hv {

// Bad input: the message on the console and in a power_off line, status kStatusBadInput.
[[noreturn]] void refuse_to_start(std::string_view what);

// An exception in the hypervisor: registers and a backtrace of addresses (addr2line -e nopte-hv).
[[noreturn]] void report_trap(const TrapFrame& frame);

}  // namespace nopte::hv
