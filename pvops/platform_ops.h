// Platform operations: the few things beside memory that depend on who runs the guest. In every
// hypervisor mode they are the same hypercalls; natively they are the machine's devices.
#pragma once

#include <optional>
#include <string_view>

#include "pvops/base/types.h"

namespace nopte {

// Interrupt vectors that the guest kernel sees, in every mode.
inline constexpr u8 kTimerVector = 0x20;
inline constexpr u8 kConsoleVector = 0x21;

struct PlatformOps {
  const char* name;
#define NOPTE_OP(result, name, parameters, arguments) result(*name) parameters;
#include "pvops/platform_ops.def"
};

// What the kernel calls, bound as MmCalls are (mm_ops.h): in the image the hypercall platform's functions
// until boot rewrites the calls.
struct PlatformCalls {
#define NOPTE_OP(result, name, parameters, arguments) static result name parameters;
#include "pvops/platform_ops.def"
};
constexpr PlatformCalls platform_ops() { return {}; }

}  // namespace nopte
