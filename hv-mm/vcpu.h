// One virtual CPU: the guest's registers, its control block, and what can be done to it between an exit and
// the next entry. Mode handlers (mode_handler.h) work on this class; it holds no policy.
//
// General registers: rax, rsp, rip and rflags are the control block's. The rest lies here. Exits for VMMCALL
// and #PF are the hot ones: for these the six registers that C++ preserves (rbx, rbp, r12-r15) stay in the
// processor, so gpr() of them is only meaningful at other exits (whole_registers()).
//
// x87, SSE and AVX state stays in the processor: the hypervisor is built for general registers only and has
// one guest. FS, GS, TR, LDTR and the system-call MSRs are the control block's too (VMSAVE at every exit).
//
// Concurrency: one CPU; only touched with the guest stopped. Source: APM vol. 2, chapter 15.
#pragma once

#include "hv-mm/container/vmcb.h"
#include "pvops/abi/hypercalls.h"
#include "pvops/base/addr.h"

namespace nopte::hv {

// Processor exceptions that the hypervisor raises or takes.
inline constexpr u8 kVectorDebug = 1;
inline constexpr u8 kVectorNmi = 2;
inline constexpr u8 kVectorBreakpoint = 3;
inline constexpr u8 kVectorOverflow = 4;
inline constexpr u8 kVectorInvalidOpcode = 6;
inline constexpr u8 kVectorDoubleFault = 8;
inline constexpr u8 kVectorGeneralProtection = 13;
inline constexpr u8 kVectorPageFault = 14;
inline constexpr u8 kVectorAlignmentCheck = 17;
inline constexpr u8 kVectorMachineCheck = 18;
inline constexpr u8 kVectorSecurity = 30;

// #PF error code bits.
inline constexpr u64 kFaultPresent = 1;
inline constexpr u64 kFaultWrite = 2;
inline constexpr u64 kFaultUser = 4;
inline constexpr u64 kFaultReserved = 8;
inline constexpr u64 kFaultFetch = 16;

// The order is arch/x86_64/vmrun.S's; the six arguments of a hypercall come first, so that a call's register
// form is this memory.
struct GuestRegisters {
  abi::Registers arguments{};  // rdi, rsi, rdx, r10, r8, r9
  u64 rcx = 0, r11 = 0;
  u64 rbx = 0, rbp = 0, r12 = 0, r13 = 0, r14 = 0, r15 = 0;
};

class Vcpu {
 public:
  static constexpr u32 kAsid = 1;

  // `vmcb` lies at physical address vmcb_physical; both outlive the vCPU.
  Vcpu(Vmcb& vmcb, u64 vmcb_physical) : vmcb_physical_(vmcb_physical), vmcb_(&vmcb) {}
  Vcpu(const Vcpu&) = delete;
  Vcpu& operator=(const Vcpu&) = delete;

  [[nodiscard]] Vmcb& vmcb() { return *vmcb_; }
  [[nodiscard]] const Vmcb& vmcb() const { return *vmcb_; }
  [[nodiscard]] GuestRegisters& registers() { return registers_; }
  [[nodiscard]] const abi::Registers& call_arguments() const { return registers_.arguments; }

  // Register by its number in instructions (0 rax, 1 rcx, 2 rdx, 3 rbx, 4 rsp, 5 rbp, 6 rsi, 7 rdi, 8-15).
  // Precondition: number < 16.
  [[nodiscard]] u64& gpr(unsigned number);
  // Whether rbx, rbp and r12-r15 are here at this exit.
  [[nodiscard]] bool whole_registers() const {
    return vmcb_->exit_code != exit_code::kVmmcall && vmcb_->exit_code != hot_fault_;
  }
  // From now on they are here at #PF too: for a mode that executes the instruction that faulted.
  void keep_whole_registers_at_faults() { hot_fault_ = kNoExitCode; }

  [[nodiscard]] u64 rip() const { return vmcb_->rip; }
  // The instruction at rip is done: go on behind it. Ends an interrupt shadow.
  void advance_rip(u64 bytes) {
    vmcb_->rip += bytes;
    vmcb_->interrupt_shadow = 0;
  }
  [[nodiscard]] u8 cpl() const { return vmcb_->cpl; }
  [[nodiscard]] bool in_64bit_code() const { return vmcb_->cs.attributes & kAttributeLong; }

  // Answers the hypercall of this exit: rax = status, rdx = value; goes on behind VMMCALL.
  void complete_call(Status status, u64 value) {
    vmcb_->rax = static_cast<u32>(status);
    registers_.arguments[2] = value;
    advance_rip(3);
  }

  // Raises an exception at the next entry; rip stays at the instruction that caused it. When this exit
  // interrupted the delivery of another exception, the result is a double fault as on the processor, and
  // after a double fault a shutdown (shutdown_pending()). Never fails.
  void inject_exception(u8 vector);
  void inject_exception(u8 vector, u32 error_code);
  // #PF with the guest's CR2 set. What the guest sees for an access that its own tables (or its regions)
  // refuse.
  void inject_page_fault(Gva va, u64 error_code);
  [[nodiscard]] bool shutdown_pending() const { return pending_ & kShutdown; }
  // Ends the guest instead of the next entry. `why` is a literal, for the user.
  void shut_down(const char* why) {
    pending_ |= kShutdown;
    shutdown_reason_ = why;
  }
  // Precondition: shutdown_pending().
  [[nodiscard]] const char* shutdown_reason() const { return shutdown_reason_; }

  // Raises an external interrupt as soon as the guest can take it. Several may be pending; raising one that
  // is pending changes nothing. Vectors 0x20 to 0x3f.
  void raise_interrupt(u8 vector) { pending_ |= u64{1} << (vector - kFirstInterrupt); }
  [[nodiscard]] bool interrupt_pending() const { return pending_ != 0; }

  // All TLB entries, of every ASID, are dropped at the next entry.
  void flush_tlb_at_entry() { vmcb_->tlb_control = kTlbFlushAll; }
  [[nodiscard]] u64 vmcb_physical() const { return vmcb_physical_; }

  // --- the run loop's part ---
  // After an exit: what was injected is now known to be taken or not. Re-injects what the exit interrupted,
  // unless the exit's handler raises something else later.
  void collect_events() {
    collect_events_after_call();
    if (vmcb_->exit_int_info & kEventValid) [[unlikely]] {
      requeue_interrupted_event();
    }
  }
  // The same after an exit for an instruction, which interrupts no delivery.
  void collect_events_after_call() {
    vmcb_->tlb_control = kTlbKeep;
    if (pending_ != 0) [[unlikely]] {
      collect_taken_interrupt();
    }
  }
  // Before an entry, when something is pending: offers the most urgent interrupt.
  [[nodiscard]] bool anything_pending() const { return pending_ != 0; }
  void offer_interrupt();

  static constexpr u16 kAttributeLong = 0x200;
  static constexpr u8 kFirstInterrupt = 0x20;

 private:
  static constexpr u64 kShutdown = u64{1} << 63;

  void collect_taken_interrupt();
  void requeue_interrupted_event();
  void inject(u8 vector, u64 event);

  static constexpr u64 kNoExitCode = ~u64{0} - 1;

  // The first six members are known to vmrun.S.
  GuestRegisters registers_;
  u64 vmcb_physical_;
  Vmcb* vmcb_;
  u64 hypervisor_ticks_ = 0;  // up to the last entry
  u64 hot_fault_ = exit_code::kPageFault;
  u32 left_at_ = 0;  // the TSC's low half at the last exit
  u64 pending_ = 0;  // bit n: vector kFirstInterrupt + n, or kShutdown: one test on the way in and out
  u64 offered_ = 0;  // the bit that the control block holds
  const char* shutdown_reason_ = nullptr;

  friend struct VcpuLayout;

 public:
  // Executed instructions (TSC ticks) spent outside the guest, as it is `now`, inside a handler.
  [[nodiscard]] u64 hypervisor_ticks(u64 now) const {
    return hypervisor_ticks_ + static_cast<u32>(static_cast<u32>(now) - left_at_);
  }
  // Before the first entry: what happened up to now is not counted.
  void start_counting(u64 now) { left_at_ = static_cast<u32>(now); }
  // The handler halted from `begin` to `end`, which may be longer than 2^32 ticks: nothing else in a handler
  // is.
  void waited(u64 begin, u64 end) {
    hypervisor_ticks_ = hypervisor_ticks(begin) + (end - begin);
    left_at_ = static_cast<u32>(end);
  }
};

// What vmrun.S knows.
struct VcpuLayout {
  static_assert(__builtin_offsetof(Vcpu, registers_) == 0);
  static_assert(__builtin_offsetof(Vcpu, vmcb_physical_) == 0x70);
  static_assert(__builtin_offsetof(Vcpu, vmcb_) == 0x78);
  static_assert(__builtin_offsetof(Vcpu, hypervisor_ticks_) == 0x80);
  static_assert(__builtin_offsetof(Vcpu, hot_fault_) == 0x88);
  static_assert(__builtin_offsetof(Vcpu, left_at_) == 0x90);
};

}  // namespace nopte::hv
