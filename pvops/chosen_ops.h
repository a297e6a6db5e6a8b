// The chosen backends as tables, for who needs a table: boot, hosted builds (whose calls go through it) and
// the conformance suite. The guest kernel calls mm_ops() and platform_ops().
#pragma once

#include "pvops/mm_ops.h"
#include "pvops/platform_ops.h"

namespace nopte {

// Set once at boot before any other use.
extern const MmOps* g_mm_ops;
extern const PlatformOps* g_platform_ops;

}  // namespace nopte
