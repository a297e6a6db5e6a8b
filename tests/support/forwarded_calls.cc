// Hosted builds: the kernel's calls go through the tables that a test has chosen.
#include "pvops/chosen_ops.h"

namespace nopte {

#define NOPTE_OP(result, name, parameters, arguments) \
  result MmCalls::name parameters { return g_mm_ops->name arguments; }
#include "pvops/mm_ops.def"

#define NOPTE_OP(result, name, parameters, arguments) \
  result PlatformCalls::name parameters { return g_platform_ops->name arguments; }
#define NOPTE_OP_NORETURN(name, parameters, arguments) \
  void PlatformCalls::name parameters { g_platform_ops->name arguments; }
#include "pvops/platform_ops.def"

}  // namespace nopte
