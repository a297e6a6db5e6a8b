// The image without paravirtualisation: the kernel's calls are the engine's and the bare machine's functions
// from the start. Takes the place of the hypercall backend and of every other interface.
#include "native-fallback/guest/arch/x86_64/native_home.h"
// Whole, so that the compiler binds its functions too.
#include "native-fallback/guest/arch/x86_64/native_platform.cc"
#include "native-fallback/sinks/store_sink.h"

namespace nopte {
namespace {

constinit pt::StoreSink<pt::NativeProcessor> g_sink(pt::g_frames, pt::g_processor);
using Own = pt::Plain<g_sink>;
constexpr const MmOps& kMm = Own::kOps;

}  // namespace

#define NOPTE_OP(result, name, parameters, arguments) \
  result MmCalls::name parameters { return kMm.name arguments; }
#include "pvops/mm_ops.def"

#define NOPTE_OP(result, name, parameters, arguments) \
  result PlatformCalls::name parameters { return pt::BarePlatform::name arguments; }
#define NOPTE_OP_NORETURN(name, parameters, arguments) \
  void PlatformCalls::name parameters { pt::BarePlatform::name arguments; }
#include "pvops/platform_ops.def"

extern "C" ViolationReason resolve_fault(u64 address, u64 error_code) {
  return Own::Engine::fault(address, error_code);
}

Result<pt::NativeBoot> pt::boot_bare(const NativeStart& start) { return Own::boot(start); }

}  // namespace nopte
