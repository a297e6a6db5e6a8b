// Kinds of world whose tables are told to a hypervisor: the sinks, the hypervisor's side of the interfaces
// and the shadow MMU are the real ones. The processor walks the shadow; its TLB keeps what it has until the
// hypervisor flushes it at an exit. One CPU, as the hypervisor gives a guest.
#pragma once

#include "hv-mm/told/kvm_pv_calls.h"
#include "hv-mm/told/lguest_calls.h"
#include "hv-mm/told/vmi_calls.h"
#include "native-fallback/sinks/kvmpv_teller.h"
#include "native-fallback/sinks/lguest_teller.h"
#include "native-fallback/sinks/told_sink.h"
#include "native-fallback/sinks/vmi_teller.h"
#include "tests/model/host_tables.h"
#include "tests/model/kind.h"
#include "tests/model/walkers.h"

namespace nopte::model {

// The hypervisor below one guest, whose memory is the model's frames.
class ToldHost : public Walker {
 public:
  explicit ToldHost(Memory& memory) : memory_(memory) {
    const Frame boot_root = memory.range().end;
    std::memset(memory.alias(boot_root), 0, kPageBytes);
    NOPTE_ASSERT(mmu.set_root(boot_root.address().value()));
  }

  void set_machine(Machine& machine) { machine_ = &machine; }
  // Before the hypervisor looks at the guest's tables by itself.
  virtual void before_look() {}

  // After an exit, before the guest runs again.
  void resume() {
    ++exits;
    if (mmu.take_flush()) machine_->flush_everything();
    machine_->load_root(PhysAddr(mmu.guest_root()));
  }
  void write_cr3(PhysAddr root) {
    before_look();
    NOPTE_ASSERT(mmu.set_root(root.value()));
    resume();
  }

  Root load(PhysAddr root) override { return {root, {}}; }
  [[nodiscard]] unsigned leaf_table_shift() const override { return 21; }
  [[nodiscard]] bool faults_at_once() const override { return false; }
  // What is shown must be what the guest's own tables say.
  std::optional<Walk> look(const Root& root, Gva va) override {
    const auto shown = tables_.walk(va);
    const auto promised = guest_.look(root, va);
    if (!shown || !promised || promised->frame != shown->frame || !promised->perm.contains(shown->perm)) {
      return std::nullopt;
    }
    return shown;
  }
  std::optional<Walk> walk(const Root&, Gva va, Access access, Privilege privilege, u64&) override {
    const u64 bits = (access == Access::kWrite ? hv::kFaultWrite : 0) |
                     (access == Access::kExec ? hv::kFaultFetch : 0) |
                     (privilege == Privilege::kUser ? hv::kFaultUser : 0);
    constexpr int kMostExits = 6;
    for (int tries = 0; tries < kMostExits; ++tries) {
      const auto shown = tables_.walk(va);
      if (shown && permits(*shown, access, privilege)) return shown;
      before_look();
      const auto fault = mmu.on_page_fault(va, bits | (shown ? hv::kFaultPresent : 0));
      resume();
      if (fault.outcome == hv::ShadowMmu::Fault::Outcome::kReflect) return std::nullopt;
      NOPTE_ASSERT(fault.outcome == hv::ShadowMmu::Fault::Outcome::kResolved);
    }
    NOPTE_PANIC("the same access exits for ever");
  }

  // Behind the pool's frames: the root that the guest is started on, and the page that it shares.
  static constexpr u64 kSpareFrames = 2;
  [[nodiscard]] Frame shared_frame() const { return memory_.range().end + 1; }

  hv::ShadowMmu mmu;
  u64 exits = 0;

 private:
  Memory& memory_;
  LongModeWalker guest_{memory_, [](Frame frame) { return frame; }};
  HostTables tables_{memory_, mmu, hv::Tracking::kTold};
  Machine* machine_ = nullptr;
};

// The processor as the guest sees it: loading a root by CR3 is an exit; flushes are told, never made.
struct ToldProcessor {
  ToldHost& host;
  void load_root(PhysAddr root) { host.write_cr3(root); }
  [[nodiscard]] bool runs(PhysAddr) const { NOPTE_PANIC("the teller knows"); }
  void flush_page(Gva) { NOPTE_PANIC("INVLPG"); }
  void flush_user() { NOPTE_PANIC("a flush by CR3"); }
  void flush_everything() { NOPTE_PANIC("a flush by CR4"); }
  void zero_page(u8* page) { std::memset(page, 0, kPageBytes); }
  void copy_page(u8* to, const u8* from) { std::memcpy(to, from, kPageBytes); }
};

// What the kinds share. `Kind` adds a teller and the sink that it serves.
template <class Kind, class Host>
struct ToldKind : KindBase {
  static constexpr bool kDirectMap = false;
  using Sink = pt::ToldSink<ToldProcessor>;

  ToldKind(u64 frames_count, unsigned)
      : KindBase(0, frames_count, ToldHost::kSpareFrames), host(memory), machine(memory, host, 1) {
    host.set_machine(machine);
    current = static_cast<Kind*>(this);
  }
  // What the tellers call with.
  static void hypercall(u64 number, u64 a0, u64 a1, u64 a2) {
    NOPTE_ASSERT(current->host.calls.call(number & 0xffff'ffff, {a0, a1, a2}).status == Status::kOk);
    current->host.resume();
  }
  [[nodiscard]] u64 exits() const { return host.exits; }
  void check() { host.mmu.tables().check_invariants(); }
  inline static Kind* current = nullptr;

  Host host;
  Machine machine;
  ToldProcessor processor{host};
};

struct KvmPvHost : ToldHost {
  using ToldHost::ToldHost;
  hv::KvmPvCalls calls{mmu};
};
struct ToldByKvmPv : ToldKind<ToldByKvmPv, KvmPvHost> {
  static constexpr const char* kName = "told by kvmpv";
  static constexpr u64 kEntriesPerExit = abi::kvmpv::kSlots;
  using Teller = pt::KvmPvTeller<ToldProcessor, hypercall>;

  ToldByKvmPv(u64 frames_count, unsigned cpus) : ToldKind(frames_count, cpus) {
    NOPTE_ASSERT(host.calls.set_buffer(host.shared_frame().address().value() | abi::kvmpv::kBufferEnable));
  }

  Teller teller{*reinterpret_cast<pt::KvmPvBuffer*>(memory.page(host.shared_frame())), processor};
  Sink sink{frames, processor, &teller};
};

struct VmiHost : ToldHost {
  using ToldHost::ToldHost;
  void before_look() override { NOPTE_ASSERT(calls.drain()); }
  hv::VmiCalls calls{mmu};
};
struct ToldByVmi : ToldKind<ToldByVmi, VmiHost> {
  static constexpr const char* kName = "told by vmi";
  static constexpr u64 kEntriesPerExit = abi::vmi::kQueueWords - 1;  // a root may need two words
  static constexpr u64 kLinear = 0xffff'8000'0000'0000;
  using Teller = pt::VmiTeller<kLinear, hypercall>;

  ToldByVmi(u64 frames_count, unsigned cpus) : ToldKind(frames_count, cpus) {
    queue().count = 0;
    NOPTE_ASSERT(host.calls.call(abi::vmi::kSetQueue, {host.shared_frame().address().value()}).status ==
                 Status::kOk);
    NOPTE_ASSERT(host.calls.call(abi::vmi::kSetLinearMapping, {0, kLinear, frames_count, 0}).status ==
                 Status::kOk);
  }
  abi::vmi::Queue& queue() { return *reinterpret_cast<abi::vmi::Queue*>(memory.page(host.shared_frame())); }

  Teller teller{queue()};
  Sink sink{frames, processor, &teller};
};

struct LguestHost : ToldHost {
  using ToldHost::ToldHost;
  void before_look() override {
    calls.drain();
    NOPTE_ASSERT(calls.ends_guest() == nullptr);
  }
  hv::LguestCalls calls{mmu};
};
struct ToldByLguest : ToldKind<ToldByLguest, LguestHost> {
  static constexpr const char* kName = "told by lguest";
  static constexpr u64 kEntriesPerExit = abi::lguest::kRingSlots;
  using Teller = pt::LguestTeller<hypercall>;

  ToldByLguest(u64 frames_count, unsigned cpus) : ToldKind(frames_count, cpus) {
    teller.start(host.shared_frame().address());
  }

  Teller teller{*reinterpret_cast<abi::lguest::Ring*>(memory.page(host.shared_frame()))};
  Sink sink{frames, processor, &teller};
};

}  // namespace nopte::model
