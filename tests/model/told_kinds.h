// Kinds of world whose tables are told to a hypervisor: sinks, tellers, and the modes from their start on are
// the real ones.
#pragma once

#include "native-fallback/sinks/either_sink.h"
#include "native-fallback/sinks/kvmpv_teller.h"
#include "native-fallback/sinks/lguest_teller.h"
#include "native-fallback/sinks/vmi_teller.h"
#include "tests/model/kind.h"
#include "tests/model/shadow_host.h"

namespace nopte::model {

// The processor as the guest sees it: loading a root by CR3 is an exit; flushes are told, never made.
struct ToldProcessor {
  ShadowHost& host;
  void load_root(PhysAddr root) { host.write_cr3(root); }
  [[nodiscard]] bool runs(PhysAddr) const { NOPTE_PANIC("the teller knows"); }
  void flush_page(Gva) { NOPTE_PANIC("INVLPG"); }
  void flush_user() { NOPTE_PANIC("a flush by CR3"); }
  void flush_everything() { NOPTE_PANIC("a flush by CR4"); }
  void zero_page(u8* page) { std::memset(page, 0, kPageBytes); }
  void copy_page(u8* to, const u8* from) { std::memcpy(to, from, kPageBytes); }
};

// What the kinds share. `Kind` adds a teller and the sink that it serves.
template <class Kind>
struct ToldKind : KindBase {
  static constexpr bool kDirectMap = false;
  using Sink = pt::EitherSink<ToldProcessor>;

  ToldKind(u64 frames_count, hv::StartResult (*start)(const hv::Launch&))
      : KindBase(0, frames_count, ShadowHost::spare_of(frames_count)),
        host(memory),
        machine(memory, host, 1) {
    host.start(machine, start);
    current = static_cast<Kind*>(this);
  }
  // What the tellers call with.
  static void hypercall(u64 number, u64 a0, u64 a1, u64 a2) {
    NOPTE_ASSERT(current->host.call(number, {a0, a1, a2}) == Status::kOk);
  }
  [[nodiscard]] u64 exits() const { return host.exits; }
  void check() { host.check(); }
  inline static Kind* current = nullptr;

  ShadowHost host;
  Machine machine;
  ToldProcessor processor{host};
};

struct ToldByKvmPv : ToldKind<ToldByKvmPv> {
  static constexpr const char* kName = "told by kvmpv";
  static constexpr u64 kEntriesPerExit = abi::kvmpv::kSlots;
  using Teller = pt::KvmPvTeller<ToldProcessor, hypercall>;

  ToldByKvmPv(u64 frames_count, unsigned) : ToldKind(frames_count, hv::start_kvmpv) {
    host.write_msr(abi::kvmpv::kBufferMsr, host.shared_frame().address().value() | abi::kvmpv::kBufferEnable);
  }

  Teller teller{frames, *reinterpret_cast<pt::KvmPvBuffer*>(memory.page(host.shared_frame())), processor};
  Sink sink{frames, processor, teller};
};

struct ToldByVmi : ToldKind<ToldByVmi> {
  static constexpr const char* kName = "told by vmi";
  static constexpr u64 kEntriesPerExit = abi::vmi::kQueueWords - 1;  // a root may need two words
  static constexpr u64 kLinear = 0xffff'8000'0000'0000;
  using Teller = pt::VmiTeller<kLinear, hypercall>;

  ToldByVmi(u64 frames_count, unsigned) : ToldKind(frames_count, hv::start_vmi) {
    queue().count = 0;
    pt::vmi_call<hypercall>(abi::vmi::kSetQueue, host.shared_frame().address().value());
    hypercall(abi::tagged(abi::Interface::kVmi, abi::vmi::kSetLinearMapping), 0, kLinear, frames_count);
  }
  abi::vmi::Queue& queue() { return *reinterpret_cast<abi::vmi::Queue*>(memory.page(host.shared_frame())); }

  Teller teller{frames, queue()};
  Sink sink{frames, processor, teller};
};

struct ToldByLguest : ToldKind<ToldByLguest> {
  static constexpr const char* kName = "told by lguest";
  static constexpr u64 kEntriesPerExit = abi::lguest::kRingSlots;
  using Teller = pt::LguestTeller<hypercall>;

  ToldByLguest(u64 frames_count, unsigned) : ToldKind(frames_count, hv::start_lguest) {
    teller.start(host.shared_frame().address());
  }

  Teller teller{frames, *reinterpret_cast<abi::lguest::Ring*>(memory.page(host.shared_frame()))};
  Sink sink{frames, processor, teller};
};

}  // namespace nopte::model
