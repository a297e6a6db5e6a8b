// The interfaces that the engine can feed inside the guest, and the choice among them.
#include "native-fallback/guest/native_backend.h"

#include "native-fallback/guest/arch/x86_64/native_home.h"
#include "native-fallback/sinks/kvmpv_sink.h"
#include "native-fallback/sinks/lguest_sink.h"
#include "native-fallback/sinks/vmi_sink.h"
#include "native-fallback/sinks/xen_sink.h"
#include "pvops/guest/arch/x86_64/vmmcall.h"

namespace nopte::pt {
namespace {

// What the tellers of told shadows call with.
void hypercall(u64 number, u64 a0, u64 a1, u64 a2) {
  static_cast<void>(pv::vmmcall(static_cast<abi::Call>(number), a0, a1, a2));
}

// KVM's paravirtual MMU.
constinit KvmPvBuffer g_kvmpv_buffer{};
struct KvmPv {
  static constexpr const char* kName = "kvmpv";
  using Teller = KvmPvTeller<hypercall>;
  using Sink = ToldSink<NativeProcessor, Teller>;
  static constinit Teller teller;
  static constinit Sink sink;
  static void start(FrameRange) {
    cpu::wrmsr(abi::kvmpv::kBufferMsr, image_physical(&g_kvmpv_buffer).value() | abi::kvmpv::kBufferEnable);
  }
};
constinit KvmPv::Teller KvmPv::teller(g_kvmpv_buffer);
constinit KvmPv::Sink KvmPv::sink(g_frames, g_processor, KvmPv::teller);

// VMI.
constinit abi::vmi::Queue g_vmi_queue{};
struct Vmi {
  static constexpr const char* kName = "vmi";
  using Processor = VmiProcessor<NativeProcessor, hypercall>;
  using Teller = VmiTeller<Processor, FourLevel::kDirectRange.begin.value(), hypercall>;
  using Sink = ToldSink<Processor, Teller>;
  static constinit Processor processor;
  static constinit Teller teller;
  static constinit Sink sink;
  static void start(FrameRange memory) {
    vmi_call<hypercall>(abi::vmi::kSetQueue, image_physical(&g_vmi_queue).value());
    pv::vmmcall(static_cast<abi::Call>(abi::tagged(abi::Interface::kVmi, abi::vmi::kSetLinearMapping)), 0,
                FourLevel::kDirectRange.begin.value(), memory.frames(), memory.begin.number(), 0, 0);
  }
};
constinit Vmi::Processor Vmi::processor;
constinit Vmi::Teller Vmi::teller(g_vmi_queue, Vmi::processor);
constinit Vmi::Sink Vmi::sink(g_frames, Vmi::processor, Vmi::teller);

// lguest.
constinit abi::lguest::Ring g_lguest_ring{};
struct Lguest {
  static constexpr const char* kName = "lguest";
  using Processor = LguestProcessor<NativeProcessor, hypercall>;
  using Teller = LguestTeller<Processor, hypercall>;
  using Sink = ToldSink<Processor, Teller>;
  static constinit Processor processor;
  static constinit Teller teller;
  static constinit Sink sink;
  static void start(FrameRange) { teller.start(image_physical(&g_lguest_ring)); }
};
constinit Lguest::Processor Lguest::processor;
constinit Lguest::Teller Lguest::teller(g_lguest_ring, Lguest::processor);
constinit Lguest::Sink Lguest::sink(g_frames, Lguest::processor, Lguest::teller);

// Xen's direct paging, on tables that the domain builder made.
HypercallAnswer xen_hypercall(u64 number, u64 a0, u64 a1, u64 a2, u64 a3) {
  const auto result = pv::vmmcall(static_cast<abi::Call>(number), a0, a1, a2, a3, 0, 0);
  return {result.status, result.value};
}
constinit XenQueueMemory g_xen_queue{};
struct Xen {
  static constexpr const char* kName = "xen";
  using Sink = XenSink<NativeProcessor, xen_hypercall>;
  static constinit Sink sink;
  static FrameRange built(const abi::BootBlock& block) {
    sink.start({reinterpret_cast<const u64*>(block.machine_list),
                reinterpret_cast<const u64*>(abi::xen::kMachineToPhysical), Frame(block.direct_table),
                Frame(block.direct_leaves)});
    return {Frame(block.built_begin), Frame(block.built_end)};
  }
  static void start(FrameRange) {}
  static void leave_boot_tables(const abi::BootBlock& block) { sink.unpin_foreign(Frame(block.boot_root)); }
};
constinit Xen::Sink Xen::sink(g_frames, g_processor, g_xen_queue);

}  // namespace

const NativeBackend& native_backend(u64 features) {
  static constexpr NativeBackend kVmi = Home<Vmi>::backend();
  static constexpr NativeBackend kLguest = Home<Lguest>::backend();
  static constexpr NativeBackend kKvmPv = Home<KvmPv>::backend();
  static constexpr NativeBackend kXen = Home<Xen>::backend();
  if ((features & abi::kFeatureXen) != 0) return kXen;
  if ((features & abi::kFeatureVmi) != 0) return kVmi;
  if ((features & abi::kFeatureLguest) != 0) return kLguest;
  if ((features & abi::kFeatureKvmPv) != 0) return kKvmPv;
  return plain_backend();
}

}  // namespace nopte::pt
