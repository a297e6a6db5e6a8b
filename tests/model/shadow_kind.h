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

#include "hv-mm/shadow/trapped/trapped_mode.h"
#include "native-fallback/engine/engine.h"
#include "native-fallback/sinks/store_sink.h"
#include "pvops/arch/x86_64/cpu.h"
#include "tests/model/kind.h"
#include "tests/model/shadow_host.h"
#include "tests/support/arch/x86_64/memory_faults.h"

namespace nopte::model {

// The mode for a guest whose code is this process's.
class ShadowModeHere final : public hv::TrappedMode {
 public:
  Result<void> read_guest(const hv::Vcpu&, Gva va, std::span<u8> bytes) override {
    std::memcpy(bytes.data(), reinterpret_cast<const void*>(va.value()), bytes.size());
    return {};
  }
};

// The hypervisor below one guest, and what the guest's processor does there.
class TrappedHost final : public ShadowHost, private MemoryFaultTaker {
 public:
  explicit TrappedHost(Memory& memory) : ShadowHost(memory), memory_(memory) {}
  void start(Machine& machine) {
    ShadowHost::start(machine, [this](const hv::Launch& launch) { return hv::start_trapped(launch, mode_); });
  }
  void load_root(PhysAddr root) {
    // The first one leaves the tables that a guest boots on, by which all memory is open.
    if (std::exchange(on_boot_tables_, false)) close_everything();
    write_cr3(root);
  }

  // Between operations of the guest's, which flush what they take away: the current root shows nothing that
  // the guest's tables do not say.
  void check() {
    ShadowHost::check();
    for_each_shown([this](Gva va, const Walk& shown) { NOPTE_ASSERT(promised(va, shown)); });
  }
  [[nodiscard]] const hv::ShadowCounters& counters() { return mmu().counters(); }

 private:
  // The kernel's view is an address of the direct map.
  Gva direct(u64 address) const {
    return pt::FourLevel::kDirectRange.begin + (address - memory_.direct_base());
  }
  bool take(MemoryFault& fault) override {
    const Frame frame((fault.address - memory_.direct_base()) >> kPageShift);
    if (!memory_.range().contains(frame)) return false;
    const pt::FrameRange page = pt::FrameRange::of(frame, 1);
    begin(fault);
    const Access access = fault.write ? Access::kWrite : Access::kRead;
    const bool done = machine().access(0, direct(fault.address), access, Privilege::kKernel).has_value();
    if (done) {
      memory_.set_access(page, fault.write ? Memory::Allowed::kAll : Memory::Allowed::kLoads);
    } else {
      NOPTE_ASSERT(vcpu().rip() != fault.rip);  // or the guest has no map of its own memory
      memory_.set_access(page, Memory::Allowed::kNothing);
    }
    end(fault);
    return true;
  }
  // The instruction that faulted is the guest's.
  void begin(const MemoryFault& fault) {
    for (unsigned i = 0; i < 16; ++i) vcpu().gpr(i) = fault.registers[i];
    vmcb().rip = fault.rip;
    vmcb().rflags = fault.rflags;
    vmcb().cs.attributes = hv::Vcpu::kAttributeLong;
  }
  void end(MemoryFault& fault) {
    for (unsigned i = 0; i < 16; ++i) fault.registers[i] = vcpu().gpr(i);
    fault.rip = vcpu().rip();
    fault.rflags = vmcb().rflags;
    // Of a program's accesses only the effect is known: there is no instruction to decode.
    vmcb().cs.attributes = 0;
  }
  void flushed() override { close_everything(); }
  void close_everything() { memory_.set_access(memory_.range(), Memory::Allowed::kNothing); }

  Memory& memory_;
  ShadowModeHere mode_;
  bool on_boot_tables_ = true;
  MemoryFaultScope faults_{*this};
};

// The guest's processor as its sink sees it.
class ShadowedProcessor {
 public:
  explicit ShadowedProcessor(TrappedHost& host) : host_(host) {}

  void load_root(PhysAddr root) {
    if (root == root_) return;
    root_ = root;
    host_.load_root(root);
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
  TrappedHost& host_;
  PhysAddr root_;
};

struct Shadowed : KindBase {
  static constexpr const char* kName = "shadowed";
  static constexpr bool kDirectMap = false;
  using Sink = pt::StoreSink<ShadowedProcessor>;

  Shadowed(u64 frames_count, unsigned)
      : KindBase(0, frames_count, ShadowHost::spare_of(frames_count)),
        host(memory),
        machine(memory, host, 1) {
    host.start(machine);
  }
  // The kernel sees its memory by a direct map.
  Result<void> init(pt::Engine<Sink>& engine) {
    NOPTE_TRY(engine.init());
    return engine.map_direct(memory.range());
  }
  [[nodiscard]] u64 exits() const { return host.exits; }
  void check() { host.check(); }

  TrappedHost host;
  Machine machine;
  ShadowedProcessor processor{host};
  Sink sink{frames, processor};
};

}  // namespace nopte::model
