// The engine under a shadow that is told: one, and a teller for each interface. Compiled by itself, as
// plain_home.cc.
#include "native-fallback/guest/arch/x86_64/native_home.h"
#include "native-fallback/sinks/kvmpv_teller.h"
#include "native-fallback/sinks/lguest_teller.h"
#include "native-fallback/sinks/told_sink.h"
#include "native-fallback/sinks/vmi_teller.h"
#include "pvops/guest/arch/x86_64/vmmcall.h"

namespace nopte::pt {
namespace {

// What the tellers call with.
void hypercall(u64 number, u64 a0, u64 a1, u64 a2) {
  static_cast<void>(pv::vmmcall(static_cast<abi::Call>(number), a0, a1, a2));
}

// Of this file alone, and so is the engine's code: the compiler knows all who call it.
struct Told final : NativeProcessor {};
constinit Told g_told_processor;
constinit ToldSink<Told> g_told_sink(g_frames, g_told_processor);

// `Own` adds kName, a static `teller` and start().
template <class Own>
struct ToldInterface : GuestInterface {
  using Engine = Home<g_told_sink>;
  static constexpr MmOps ops() { return Engine::ops(Own::kName); }
  static Result<NativeBoot> boot(const NativeStart& start) {
    static constinit Own interface;
    g_told_sink.use(Own::teller);
    return Engine::boot(start, interface);
  }
};

// KVM's paravirtual MMU.
constinit KvmPvBuffer g_kvmpv_buffer{};
struct KvmPv final : ToldInterface<KvmPv> {
  static constexpr const char* kName = "kvmpv";
  static constinit KvmPvTeller<Told, hypercall> teller;
  void start(FrameRange) override {
    cpu::wrmsr(abi::kvmpv::kBufferMsr, image_physical(&g_kvmpv_buffer).value() | abi::kvmpv::kBufferEnable);
  }
};
constinit KvmPvTeller<Told, hypercall> KvmPv::teller(g_kvmpv_buffer, g_told_processor);

// VMI.
constinit abi::vmi::Queue g_vmi_queue{};
struct Vmi final : ToldInterface<Vmi> {
  static constexpr const char* kName = "vmi";
  static constexpr u64 kLinearBegin = FourLevel::kDirectRange.begin.value();
  static constinit VmiTeller<kLinearBegin, hypercall> teller;
  void start(FrameRange memory) override {
    vmi_call<hypercall>(abi::vmi::kSetQueue, image_physical(&g_vmi_queue).value());
    pv::vmmcall(static_cast<abi::Call>(abi::tagged(abi::Interface::kVmi, abi::vmi::kSetLinearMapping)), 0,
                kLinearBegin, memory.frames(), memory.begin.number(), 0, 0);
  }
};
constinit VmiTeller<Vmi::kLinearBegin, hypercall> Vmi::teller(g_vmi_queue);

// lguest.
constinit abi::lguest::Ring g_lguest_ring{};
struct Lguest final : ToldInterface<Lguest> {
  static constexpr const char* kName = "lguest";
  static constinit LguestTeller<hypercall> teller;
  void start(FrameRange) override { teller.start(image_physical(&g_lguest_ring)); }
};
constinit LguestTeller<hypercall> Lguest::teller(g_lguest_ring);

template <class Interface>
constexpr MmOps kOps = Interface::ops();
template <class Interface>
constexpr NativeBackend kBackend{&kOps<Interface>, &Interface::Engine::fault, &Interface::boot};

}  // namespace

const NativeBackend& kvmpv_backend() { return kBackend<KvmPv>; }
const NativeBackend& vmi_backend() { return kBackend<Vmi>; }
const NativeBackend& lguest_backend() { return kBackend<Lguest>; }

}  // namespace nopte::pt
