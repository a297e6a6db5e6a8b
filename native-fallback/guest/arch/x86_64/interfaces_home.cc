// The engine of the image that has page-table interfaces: one, for them and for the processor alone
// (sinks/either_sink.h), and the operations of each interface (sinks/table_ops.h).
#include "native-fallback/guest/arch/x86_64/native_home.h"
#include "native-fallback/guest/arch/x86_64/xenpv.h"
#include "native-fallback/sinks/either_sink.h"
#include "native-fallback/sinks/kvmpv_teller.h"
#include "native-fallback/sinks/lguest_teller.h"
#include "native-fallback/sinks/vmi_teller.h"
#include "native-fallback/sinks/xen_tables.h"
#include "pvops/guest/arch/x86_64/vmmcall.h"

namespace nopte::pt {
namespace {

// What the tellers call with.
void hypercall(u64 number, u64 a0, u64 a1, u64 a2) {
  static_cast<void>(pv::vmmcall(static_cast<abi::Call>(number), a0, a1, a2));
}
// As VMMCALL (xenpv_entry.S).
HypercallAnswer xen_hypercall(u64 number, u64 a0, u64 a1, u64 a2, u64 a3) {
  u64 status = number, value = a2;
  register u64 r10 asm("r10") = a3;
  asm volatile("call ask_xen" : "+a"(status), "+d"(value) : "D"(a0), "S"(a1), "r"(r10) : "memory");
  return {static_cast<Status>(status), value};
}
inline void take_interrupts_below() {
  if (EntrySites::is<Site::kTranslated>() && g_on_xen) [[unlikely]]
    return take_xen_events();
  take_interrupts();
}

// Of this file alone, and so is the engine's code: the compiler knows all who call it.
struct Processor final : NativeProcessor {};
constinit Processor g_own_processor;
constinit EitherSink<Processor> g_sink(g_frames, g_own_processor);

// `Own` adds kName, and a static `tables`.
template <class Own>
struct Interface : GuestInterface {
  using Engine = Home<g_sink, take_interrupts_below>;
  using GuestInterface::GuestInterface;
  static constexpr MmOps ops() { return Engine::ops(Own::kName); }
  static Result<NativeBoot> boot(const NativeStart& start) {
    static constinit Own interface;
    g_sink.use(Own::tables);
    return Engine::boot(start, interface);
  }
};

// KVM's paravirtual MMU.
constinit KvmPvBuffer g_kvmpv_buffer{};
struct KvmPv final : Interface<KvmPv> {
  static constexpr const char* kName = "kvmpv";
  static constinit KvmPvTeller<Processor, hypercall> tables;
  void start(FrameRange) override {
    cpu::wrmsr(abi::kvmpv::kBufferMsr, image_physical(&g_kvmpv_buffer).value() | abi::kvmpv::kBufferEnable);
  }
};
constinit KvmPvTeller<Processor, hypercall> KvmPv::tables(g_frames, g_kvmpv_buffer, g_own_processor);

// VMI.
constinit abi::vmi::Queue g_vmi_queue{};
struct Vmi final : Interface<Vmi> {
  static constexpr const char* kName = "vmi";
  static constexpr u64 kLinearBegin = FourLevel::kDirectRange.begin.value();
  static constinit VmiTeller<kLinearBegin, hypercall> tables;
  void start(FrameRange memory) override {
    vmi_call<hypercall>(abi::vmi::kSetQueue, image_physical(&g_vmi_queue).value());
    pv::vmmcall(static_cast<abi::Call>(abi::tagged(abi::Interface::kVmi, abi::vmi::kSetLinearMapping)), 0,
                kLinearBegin, memory.frames(), memory.begin.number(), 0, 0);
  }
};
constinit VmiTeller<Vmi::kLinearBegin, hypercall> Vmi::tables(g_frames, g_vmi_queue);

// lguest.
constinit abi::lguest::Ring g_lguest_ring{};
struct Lguest final : Interface<Lguest> {
  static constexpr const char* kName = "lguest";
  static constinit LguestTeller<hypercall> tables;
  void start(FrameRange) override { tables.start(image_physical(&g_lguest_ring)); }
};
constinit LguestTeller<hypercall> Lguest::tables(g_frames, g_lguest_ring);

// Xen's direct paging, on tables that the domain builder made.
constinit XenQueueMemory g_xen_queue{};
constinit XenTables<xen_hypercall> g_xen_tables(g_frames, g_xen_queue);
template <class Own>
struct OnXen : Interface<Own> {
  static constexpr auto& tables = g_xen_tables;
  constexpr OnXen() : Interface<Own>(abi::BootKind::kMachine) {}
  FrameRange built(const abi::BootBlock& block) override {
    tables.start({reinterpret_cast<const u64*>(block.machine_list),
                  reinterpret_cast<const u64*>(abi::xen::kMachineToPhysical), Frame(block.direct_table),
                  Frame(block.direct_leaves), Frame(block.user_roots)});
    return {Frame(block.built_begin), Frame(block.built_end)};
  }
  void leave_boot_tables(const abi::BootBlock& block) override {
    tables.unpin_foreign(Frame(block.boot_root));
  }
};
struct Xen final : OnXen<Xen> {
  static constexpr const char* kName = "xen";
};
// The same on Xen itself.
struct XenPv final : OnXen<XenPv> {
  static constexpr const char* kName = "xenpv";
  void leave_boot_tables(const abi::BootBlock& block) override {
    OnXen::leave_boot_tables(block);
    map_shared_page();
  }
};

template <class Interface>
constexpr MmOps kOps = Interface::ops();
template <class Interface>
constexpr NativeBackend kBackend{&kOps<Interface>, &Interface::Engine::fault, &Interface::boot};
using Bare = Plain<g_sink, take_interrupts_below>;
constexpr NativeBackend kPlain{&Bare::kOps, &Bare::Engine::fault, &Bare::boot};

}  // namespace

const NativeBackend& plain_backend() { return kPlain; }
const NativeBackend& kvmpv_backend() { return kBackend<KvmPv>; }
const NativeBackend& vmi_backend() { return kBackend<Vmi>; }
const NativeBackend& lguest_backend() { return kBackend<Lguest>; }
const NativeBackend& xen_backend() { return kBackend<Xen>; }
const NativeBackend& xenpv_backend() { return kBackend<XenPv>; }

}  // namespace nopte::pt
