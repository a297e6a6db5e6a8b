// The engine under Xen's direct paging. Compiled by itself, as plain_home.cc.
#include "native-fallback/guest/arch/x86_64/native_home.h"
#include "native-fallback/sinks/xen_sink.h"
#include "pvops/guest/arch/x86_64/vmmcall.h"

namespace nopte::pt {
namespace {

HypercallAnswer xen_hypercall(u64 number, u64 a0, u64 a1, u64 a2, u64 a3) {
  const auto result = pv::vmmcall(static_cast<abi::Call>(number), a0, a1, a2, a3, 0, 0);
  return {result.status, result.value};
}
constinit XenQueueMemory g_xen_queue{};
constinit XenSink<NativeProcessor, xen_hypercall> g_xen_sink(g_frames, g_processor, g_xen_queue);
// On tables that the domain builder made.
struct Xen final : GuestInterface {
  using Engine = Home<g_xen_sink>;
  static constexpr MmOps kOps = Engine::ops("xen");
  static Result<NativeBoot> boot(const NativeStart& start);

  constexpr Xen() : GuestInterface(abi::BootKind::kMachine) {}
  FrameRange built(const abi::BootBlock& block) override {
    g_xen_sink.start({reinterpret_cast<const u64*>(block.machine_list),
                      reinterpret_cast<const u64*>(abi::xen::kMachineToPhysical), Frame(block.direct_table),
                      Frame(block.direct_leaves)});
    return {Frame(block.built_begin), Frame(block.built_end)};
  }
  void leave_boot_tables(const abi::BootBlock& block) override {
    g_xen_sink.unpin_foreign(Frame(block.boot_root));
  }
};
constinit Xen g_xen;
Result<NativeBoot> Xen::boot(const NativeStart& start) { return Engine::boot(start, g_xen); }

constexpr NativeBackend kBackend{&Xen::kOps, &Xen::Engine::fault, &Xen::boot};

}  // namespace

const NativeBackend& xen_backend() { return kBackend; }

}  // namespace nopte::pt
