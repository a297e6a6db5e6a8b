// The hypervisor below one guest with tables of its own, whose processor runs on a shadow of them: a mode as
// boot.cc starts it, and the processor, from exit to VMRUN. It walks the shadow tables in the hypervisor's
// memory, and its TLB and paging-structure caches keep what the control block leaves them (machine.h).
//
//   frames:  | the engine's and what is outside its pool | image, boot block, one to share | hypervisor's |
//
// One CPU, as the hypervisor gives a guest.
#pragma once

#include "hv-mm/shadow/shadow_mode.h"
#include "tests/model/entry.h"
#include "tests/model/launched.h"
#include "tests/model/walkers.h"

namespace nopte::model {

class ShadowHost : public LongModeWalker, public FaultIntercept {
 public:
  // Behind the frames of a guest.
  static constexpr u64 spare_of(u64 frames) { return kGuestSpare + own_of(frames) + kTraceFrames; }

  explicit ShadowHost(Memory& memory)
      : LongModeWalker(memory, [](Frame frame) { return Frame(frame.number() - (kGuestAt >> kPageShift)); }),
        memory_(memory),
        guest_frames_(memory.range().frames() + kGuestSpare),
        launched_(memory.alias(Frame(0)) - kGuestAt, {kGuestAt, pages_to_bytes(guest_frames_)},
                  {kGuestAt + pages_to_bytes(guest_frames_), pages_to_bytes(own_of(memory.range().frames()))},
                  memory.range().end.address().value()) {
    NOPTE_ASSERT(memory.range().begin == Frame(0));
  }

  // The guest starts. `start` is the mode's.
  void start(Machine& machine, FunctionRef<hv::StartResult(const hv::Launch&)> start) {
    machine_ = &machine;
    launched_.host.forget = [&machine](Gva va, u32 asid) { machine.invlpga(va, asid); };
    const u64 traces = pages_to_bytes(guest_frames_ + own_of(memory_.range().frames()));
    leave_traces(machine, memory_.alias(Frame::at(PhysAddr(traces))), kGuestAt + traces);
    const auto mode = start(launched_.launch);
    NOPTE_ASSERT(mode);
    mode_ = static_cast<hv::ShadowMode*>(*mode);
    machine.intercept_page_faults(*this);
    enter(machine, vmcb());
    NOPTE_ASSERT(machine.stale_translations() == 0);  // of the guest that ran before
  }
  [[nodiscard]] Frame shared_frame() const { return Frame(guest_frames_ - 1); }

  // --- the processor's instructions that exit ---
  void write_cr3(PhysAddr root) {
    const Exit exit(*this);
    NOPTE_ASSERT(mode_->write_cr3(vcpu(), root.value()));
  }
  void write_cr4() {
    const Exit exit(*this);
    mode_->on_control_changed(vcpu());
  }
  void invlpg(Gva va) {
    const Exit exit(*this);
    mode_->on_invlpg(vcpu(), va);
  }
  void write_msr(u32 msr, u64 value) {
    const Exit exit(*this);
    NOPTE_ASSERT(mode_->write_msr(msr, value));
  }
  Status call(u64 number, const abi::Registers& arguments) {
    const Exit exit(*this);
    return mode_->on_memory_call(vcpu(), number, arguments).status;
  }
  bool on_page_fault(Gva va, u64 error_code) override {
    const u64 rip = vcpu().rip();
    const Exit exit(*this);
    mode_->on_page_fault(vcpu(), va, error_code);
    const u64 event = std::exchange(vmcb().event_injection, 0);
    NOPTE_ASSERT(event == 0 || static_cast<u8>(event) == hv::kVectorPageFault);
    // Executed, it is not tried again.
    return event == 0 && vcpu().rip() == rip;
  }

  // --- Walker ---
  // The tables are the hypervisor's, who may use them for something else before the guest goes on.
  [[nodiscard]] std::optional<Frame> table_frame(u64) const override { return std::nullopt; }
  // What is shown, where the guest's own tables agree.
  std::optional<Walk> look(const Root& root, Gva va, Ways& ways) override {
    const auto shown = LongModeWalker::look(root, va, ways);
    if (!shown || !promised(va, *shown)) return std::nullopt;
    return shown;
  }

  void check() {
    mmu().tables().check_invariants();
    NOPTE_ASSERT(Frame::at(mmu().host_root()) == Frame::at(PhysAddr(vmcb().cr3)));
  }
  // visit(va, walk) for each page that the current root shows.
  template <class Visit>
  void for_each_shown(Visit visit) {
    visit_table(Frame::at(PhysAddr(vmcb().cr3)), pt::kLevels, 0, visit);
  }
  // The guest's tables allow what is shown.
  [[nodiscard]] bool promised(Gva va, const Walk& shown) {
    Ways ways;
    const auto guest = guest_.look({PhysAddr(mmu().guest_root()), {}}, va, ways);
    return guest && guest->frame == shown.frame && guest->perm.contains(shown.perm) &&
           (guest->user || !shown.user);
  }

  [[nodiscard]] hv::ShadowMmu& mmu() { return mode_->mmu(); }
  hv::Vcpu& vcpu() { return launched_.vcpu; }
  hv::Vmcb& vmcb() { return launched_.vmcb; }
  u64 exits = 0;

 protected:
  // Something that the guest knew is forgotten, or it runs under another ASID.
  virtual void flushed() {}
  [[nodiscard]] Machine& machine() { return *machine_; }

 private:
  static constexpr u64 kGuestAt = u64{1} << 30;
  static constexpr u64 kGuestSpare = hv::testing::GuestElf::kPages + 2;
  // As much as the hypervisor would have: tables for 2% of the guest's memory, and what it knows of frames.
  static constexpr u64 own_of(u64 frames) { return 512 + frames / 16; }

  class Exit {
   public:
    explicit Exit(ShadowHost& host) : host_(host), exit_(*host.machine_, host.vcpu()) { ++host.exits; }
    ~Exit() {
      NOPTE_ASSERT(!host_.vcpu().shutdown_pending());
      if (exit_.forgets()) host_.flushed();
    }
    Exit(const Exit&) = delete;
    Exit& operator=(const Exit&) = delete;

   private:
    ShadowHost& host_;
    GuestExit exit_;
  };
  template <class Visit>
  void visit_table(Frame table, unsigned level, u64 begin, Visit visit) {
    const u8* const entries = bytes(table.address().value());
    for (unsigned index = 0; index < pt::kEntriesPerTable; ++index) {
      const Entry entry = pt::load_entry(entries, index);
      if (!entry.present()) continue;
      const u64 at = begin + index * pt::entry_bytes(level);
      if (level > 1 && !entry.large()) {
        visit_table(entry.frame(), level - 1, at, visit);
        continue;
      }
      for (u64 offset = 0; offset < pt::entry_bytes(level); offset += kPageBytes) {
        const Gva va(static_cast<u64>(static_cast<i64>((at + offset) << 16) >> 16));  // canonical
        Ways ways;
        visit(va, *LongModeWalker::look({PhysAddr(vmcb().cr3), {}}, va, ways));
      }
    }
  }

  Memory& memory_;
  u64 guest_frames_;
  Launched launched_;
  LongModeWalker guest_{memory_, [](Frame frame) { return frame; }};
  Machine* machine_ = nullptr;
  hv::ShadowMode* mode_ = nullptr;
};

}  // namespace nopte::model
