// The kind of world whose guest knows of no hypervisor, in mode shadow: the mode's own code, from the exit
// on. The engine stores plainly, into the kernel's view of memory, which is this guest's direct map: its
// pages are as open as the processor's TLB has them. A first access, and a store to a table that is
// protected, fault; the mode takes them as it takes a page fault of a guest, and executes the store or lets
// it happen.
//
//   engine -> StoreSink -> Memory::page()   -- closed? --> Machine's TLB -> shadow tables -- refused? -->
//   mode program ----------------------------------------------^
//
// One CPU, as the hypervisor gives a guest.
#pragma once

#include "hv-mm/shadow/shadow_mode.h"
#include "native-fallback/engine/engine.h"
#include "native-fallback/sinks/store_sink.h"
#include "pvops/arch/x86_64/cpu.h"
#include "tests/model/host_tables.h"
#include "tests/model/kind.h"
#include "tests/model/walkers.h"
#include "tests/support/arch/x86_64/memory_faults.h"

namespace nopte::model {

// The mode for a guest whose code is this process's.
class ShadowModeHere final : public hv::ShadowMode {
 public:
  Result<void> read_guest(const hv::Vcpu&, Gva va, std::span<u8> bytes) override {
    std::memcpy(bytes.data(), reinterpret_cast<const void*>(va.value()), bytes.size());
    return {};
  }
};

// The hypervisor below one guest, and what the guest's processor does there.
class ShadowHost final : public Walker, private MemoryFaultTaker {
 public:
  // Behind the pool's frames: the root that the guest is started on.
  static constexpr u64 kSpareFrames = 1;

  explicit ShadowHost(Memory& memory) : memory_(memory) {
    const Frame boot_root = memory.range().end;
    std::memset(memory.alias(boot_root), 0, kPageBytes);
    NOPTE_ASSERT(mode_.mmu().set_root(boot_root.address().value()));
  }
  void set_machine(Machine& machine) { machine_ = &machine; }

  // --- the processor's instructions that mode shadow intercepts ---
  void write_cr3(PhysAddr root) {
    // The first one leaves the tables that a guest boots on, by which all memory is open.
    if (std::exchange(on_boot_tables_, false)) close_everything();
    NOPTE_ASSERT(mode_.write_cr3(vcpu_, root.value()));
    exit_ends();
  }
  void write_cr4() {
    mode_.on_control_changed(vcpu_);
    exit_ends();
  }
  void invlpg(Gva va) {
    mode_.on_invlpg(vcpu_, va);
    exit_ends();
  }

  // --- Walker ---
  Root load(PhysAddr root) override { return {root, {}}; }
  [[nodiscard]] unsigned leaf_table_shift() const override { return 21; }
  [[nodiscard]] bool faults_at_once() const override { return false; }
  std::optional<Walk> walk(const Root&, Gva va, Access access, Privilege privilege, u64&) override {
    const u64 bits = (access == Access::kWrite ? hv::kFaultWrite : 0) |
                     (access == Access::kExec ? hv::kFaultFetch : 0) |
                     (privilege == Privilege::kUser ? hv::kFaultUser : 0);
    constexpr int kMostExits = 4;
    for (int tries = 0; tries < kMostExits; ++tries) {
      const auto shown = tables_.walk(va);
      if (shown && permits(*shown, access, privilege)) return shown;
      if (!page_fault(va, bits | (shown ? hv::kFaultPresent : 0))) return std::nullopt;
    }
    NOPTE_PANIC("the same access exits for ever");
  }
  // What is shown, where the guest's tables agree.
  std::optional<Walk> look(const Root&, Gva va) override {
    const auto shown = tables_.walk(va);
    if (!shown || !promised(va, *shown)) return std::nullopt;
    return shown;
  }

  // Between operations of the guest's, which flush what they take away: the current root shows nothing that
  // the guest's tables do not say.
  void check() {
    mode_.mmu().tables().check_invariants();
    tables_.for_each_shown([this](Gva va, const Walk& shown) { NOPTE_ASSERT(promised(va, shown)); });
  }

  [[nodiscard]] const hv::ShadowCounters& counters() { return mode_.mmu().counters(); }
  u64 exits = 0;

 private:
  // The kernel's view is an address of the direct map.
  Gva direct(u64 address) const {
    return pt::FourLevel::kDirectRange.begin + (address - memory_.direct_base());
  }
  bool take(MemoryFault& fault) override {
    const Frame frame((fault.address - memory_.direct_base()) >> kPageShift);
    if (!memory_.range().contains(frame)) return false;
    const pt::FrameRange page = pt::FrameRange::of(frame, 1);
    enter(fault);
    const Access access = fault.write ? Access::kWrite : Access::kRead;
    const bool done = machine_->access(0, direct(fault.address), access, Privilege::kKernel).has_value();
    if (done) {
      memory_.set_access(page, fault.write ? Memory::Allowed::kAll : Memory::Allowed::kLoads);
    } else {
      NOPTE_ASSERT(vcpu_.rip() != fault.rip);  // or the guest has no map of its own memory
      memory_.set_access(page, Memory::Allowed::kNothing);
    }
    leave(fault);
    return true;
  }
  // The instruction that faulted is the guest's.
  void enter(const MemoryFault& fault) {
    for (unsigned i = 0; i < 16; ++i) vcpu_.gpr(i) = fault.registers[i];
    vcpu_.vmcb().rip = fault.rip;
    vcpu_.vmcb().rflags = fault.rflags;
    vcpu_.vmcb().cs.attributes = hv::Vcpu::kAttributeLong;
  }
  void leave(MemoryFault& fault) {
    for (unsigned i = 0; i < 16; ++i) fault.registers[i] = vcpu_.gpr(i);
    fault.rip = vcpu_.rip();
    fault.rflags = vcpu_.vmcb().rflags;
    // Of a program's accesses only the effect is known: there is no instruction to decode.
    vcpu_.vmcb().cs.attributes = 0;
  }

  // An exit for a page fault. Whether the access may be tried again: it has not become the guest's fault, and
  // was not executed.
  bool page_fault(Gva va, u64 error_code) {
    const u64 rip = vcpu_.rip();
    mode_.on_page_fault(vcpu_, va, error_code);
    const u64 event = std::exchange(vcpu_.vmcb().event_injection, 0);
    exit_ends();
    NOPTE_ASSERT(event == 0 || static_cast<u8>(event) == hv::kVectorPageFault);
    return event == 0 && vcpu_.rip() == rip;
  }
  void exit_ends() {
    ++exits;
    if (vcpu_.vmcb().tlb_control != hv::kTlbKeep) {
      machine_->flush_everything();
      close_everything();
    }
    vcpu_.collect_events();
  }

  void close_everything() { memory_.set_access(memory_.range(), Memory::Allowed::kNothing); }

  [[nodiscard]] bool promised(Gva va, const Walk& shown) {
    const auto guest = guest_.look({PhysAddr(mode_.mmu().guest_root()), {}}, va);
    return guest && guest->frame == shown.frame && guest->perm.contains(shown.perm) &&
           (guest->user || !shown.user);
  }
  Memory& memory_;
  ShadowModeHere mode_;
  HostTables tables_{memory_, mode_.mmu(), hv::Tracking::kTrapped};
  LongModeWalker guest_{memory_, [](Frame frame) { return frame; }};
  hv::Vmcb vmcb_{};
  hv::Vcpu vcpu_{vmcb_, 0};
  Machine* machine_ = nullptr;
  bool on_boot_tables_ = true;
  MemoryFaultScope faults_{*this};
};

// The guest's processor as its sink sees it.
class ShadowedProcessor {
 public:
  explicit ShadowedProcessor(ShadowHost& host) : host_(host) {}

  void load_root(PhysAddr root) {
    if (root == root_) return;
    root_ = root;
    host_.write_cr3(root);
  }
  [[nodiscard]] bool runs(PhysAddr root) const { return root == root_; }
  void flush_page(Gva va) { host_.invlpg(va); }
  void flush_user() { host_.write_cr3(root_); }
  void flush_everything() {
    host_.write_cr4();
    host_.write_cr4();
  }
  void zero_page(u8* to) { cpu::rep_stosq(to, 0, kPageBytes / sizeof(u64)); }
  void copy_page(u8* to, const u8* from) { cpu::rep_movsq(to, from, kPageBytes / sizeof(u64)); }

 private:
  ShadowHost& host_;
  PhysAddr root_;
};

struct Shadowed : KindBase {
  static constexpr const char* kName = "shadowed";
  static constexpr bool kDirectMap = false;
  using Sink = pt::StoreSink<ShadowedProcessor>;

  Shadowed(u64 frames_count, unsigned)
      : KindBase(0, frames_count, ShadowHost::kSpareFrames), host(memory), machine(memory, host, 1) {
    host.set_machine(machine);
  }
  // The kernel sees its memory by a direct map.
  Result<void> init(pt::Engine<Sink>& engine) {
    NOPTE_TRY(engine.init());
    return engine.map_direct(memory.range());
  }
  [[nodiscard]] u64 exits() const { return host.exits; }
  void check() { host.check(); }

  ShadowHost host;
  Machine machine;
  ShadowedProcessor processor{host};
  Sink sink{frames, processor};
};

}  // namespace nopte::model
