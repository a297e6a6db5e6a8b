// The container: what happens at each exit, apart from memory (mode_handler.h). Everything that is not
// allowed by a list is refused with the exception that a processor without the feature would raise.
//
// A guest that cannot go on (shutdown, an invalid control block) is ended with a report, never the
// hypervisor. Concurrency: one CPU. Source: APM vol. 2, chapter 15.
#pragma once

#include "hv-mm/container/cr_policy.h"
#include "hv-mm/container/decode.h"
#include "hv-mm/platform_calls.h"

namespace nopte::hv {

// Exit statuses of the machine when it was not the guest that powered off.
inline constexpr u8 kStatusGuestDied = 125;
inline constexpr u8 kStatusBadInput = 126;

class ExitHandler {
 public:
  ExitHandler(Vcpu& vcpu, ModeHandler& mode, Host& host, Counters& counters)
      : vcpu_(vcpu),
        mode_(mode),
        host_(host),
        counters_(counters),
        platform_(host, mode, vcpu, counters),
        paging_(mode.paging_control()) {}

  // Handles the exit in the control block and prepares the next entry.
  void handle() {
    const u64 code = vcpu_.vmcb().exit_code;
    if (code == exit_code::kVmmcall) {
      handle_call(vcpu_);
    } else if (code == exit_code::kPageFault) {
      handle_page_fault(vcpu_);
    } else {
      vcpu_.collect_events();
      on_other(code);
      finish(vcpu_);
    }
  }
  // The same for the two exits that are in every figure; the run loop calls these directly. Precondition:
  // `vcpu` is this handler's, and the exit is a VMMCALL, or #PF.
  void handle_call(Vcpu& vcpu) {
    vcpu.collect_events_after_call();
    const u64 number = vcpu.vmcb().rax;
    if (number - 1 < hot_calls_ && vcpu.cpl() == 0) [[likely]] {
      ++counters_.calls[number];
      const CallResult result = mode_.on_memory_call(vcpu, number, vcpu.call_arguments());
      vcpu.complete_call(result.status, result.value);
    } else {
      on_platform_call(number);
    }
    finish(vcpu);
  }
  void handle_page_fault(Vcpu& vcpu) {
    vcpu.collect_events();
    ++counters_.exits[exit_code::kPageFault];
    mode_.on_page_fault(vcpu, Gva(vcpu.vmcb().exit_info2), vcpu.vmcb().exit_info1);
    finish(vcpu);
  }

  // Ends the machine with registers on the console.
  [[noreturn]] void die(std::string_view why);

  // Offers less: the calls of what is hidden are kUnsupported, its registers #GP(0). Before the guest starts.
  void limit(const Offer& offer);
  [[nodiscard]] Platform& platform() { return platform_; }

 private:
  static constexpr u64 kFirstPlatformCall = static_cast<u64>(abi::Call::console_write);

  static_assert(static_cast<u64>(abi::Call::query) == 0 && kFirstPlatformCall < Counters::kCallSlots);

  void finish(Vcpu& vcpu) {
    if (vcpu.anything_pending()) [[unlikely]] {
      on_pending();
    }
  }
  void on_platform_call(u64 number);
  [[nodiscard]] bool hidden(u64 number) const;
  void on_pending();
  void on_other(u64 code);
  void reflect(u8 vector);
  void on_cpuid();
  void on_msr();
  void on_port();
  void on_xsetbv();
  void on_halt();
  void on_decoded();
  void write_cr(unsigned cr, u64 value);
  void read_cr(unsigned cr, unsigned gpr);
  void store_machine_status(const DecodedInstruction& instruction);
  [[nodiscard]] Gva operand_address(const DecodedInstruction& instruction);
  // The bytes at rip as far as there are any; none in 32-bit code.
  [[nodiscard]] InstructionBytes fetch();
  // Goes on behind an instruction of this length and the prefixes before it, which no exit tells.
  void advance_past(u64 opcode_bytes);
  void general_protection() { vcpu_.inject_exception(kVectorGeneralProtection, 0); }

  Vcpu& vcpu_;
  ModeHandler& mode_;
  Host& host_;
  Counters& counters_;
  Platform platform_;
  PagingControl paging_;
  // Calls 1 to this go straight to the mode: the memory calls, or none where they are hidden.
  u64 hot_calls_ = kFirstPlatformCall - 1;
  bool hides_calls_ = false;
  bool interface_hidden_ = false;
  bool platform_hidden_ = false;
};

}  // namespace nopte::hv
