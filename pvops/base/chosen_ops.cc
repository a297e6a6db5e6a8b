// The backends chosen at boot.
#include "pvops/chosen_ops.h"

namespace nopte {

constinit const MmOps* g_mm_ops = nullptr;
constinit const PlatformOps* g_platform_ops = nullptr;

}  // namespace nopte
