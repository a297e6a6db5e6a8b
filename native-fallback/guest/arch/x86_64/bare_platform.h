// The bare machine as platform: COM1, the local APIC's timer, HLT, and the counters channel.
#pragma once

#include "pvops/platform_ops.h"

namespace nopte::pt {

struct BarePlatform {
#define NOPTE_OP(result, name, parameters, arguments) static result name parameters;
#include "pvops/platform_ops.def"
};

}  // namespace nopte::pt
