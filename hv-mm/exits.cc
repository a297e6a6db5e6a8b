#include "hv-mm/exits.h"

#include "hv-mm/abi/dispatch.h"
#include "hv-mm/container/cpuid_policy.h"
#include "hv-mm/container/intercepts.h"
#include "hv-mm/container/msr_policy.h"
#include "hv-mm/container/port_policy.h"
#include "hv-mm/hex_text.h"

namespace nopte::hv {
namespace {

constexpr u64 kRflagsInterrupt = u64{1} << 9;

}  // namespace

void ExitHandler::on_platform_call(u64 number) {
  if (vcpu_.cpl() != 0) {
    ++counters_.refused_calls;
    vcpu_.inject_exception(kVectorInvalidOpcode);
    return;
  }
  ++counters_.calls[Counters::call_slot(number)];
  if (hides_calls_ && hidden(number)) [[unlikely]] {
    vcpu_.complete_call(Status::kUnsupported, 0);
    return;
  }
  const CallResult result = abi::is_tagged(number)
                                ? mode_.on_memory_call(vcpu_, number, vcpu_.call_arguments())
                                : dispatch(platform_, number, vcpu_.call_arguments());
  vcpu_.complete_call(result.status, result.value);
}

bool ExitHandler::hidden(u64 number) const {
  if (abi::is_tagged(number)) return interface_hidden_;
  return platform_hidden_ && number != static_cast<u64>(abi::Call::query);
}

void ExitHandler::limit(const Offer& offer) {
  platform_.limit(offer);
  if (offer.hidden_features & abi::kFeatureMemory) hot_calls_ = 0;
  interface_hidden_ = (offer.hidden_features & mode_.features() & abi::kFeatureInterfaces) != 0;
  platform_hidden_ = (offer.hidden_features & abi::kFeaturePlatform) != 0;
  hides_calls_ = interface_hidden_ || platform_hidden_;
}

void ExitHandler::on_pending() {
  if (vcpu_.shutdown_pending()) {
    die(vcpu_.shutdown_reason());
  }
  vcpu_.offer_interrupt();
}

void ExitHandler::on_other(u64 code) {
  ++counters_.exits[Counters::exit_slot(code)];
  if (code == exit_code::kNestedFault) {
    mode_.on_nested_fault(vcpu_, vcpu_.vmcb().exit_info2, vcpu_.vmcb().exit_info1);
    return;
  }
  switch (exit_answer(code)) {
    case ExitAnswer::kUndefined:
      vcpu_.inject_exception(kVectorInvalidOpcode);
      return;
    case ExitAnswer::kProtection:
      general_protection();
      return;
    case ExitAnswer::kReflected:
      reflect(static_cast<u8>(code - exit_code::kException0));
      return;
    case ExitAnswer::kDebugTrap:
      advance_past(1);
      vcpu_.inject_exception(kVectorDebug);
      return;
    case ExitAnswer::kNothing:
      // The processor checks the privilege before the intercept (APM vol. 2, 15.9); QEMU 10's TCG does not.
      if (vcpu_.cpl() != 0) {
        general_protection();
      } else {
        advance_past(2);
      }
      return;
    case ExitAnswer::kDecoded:
      on_decoded();
      return;
    case ExitAnswer::kHostEvent:
      host_.take_interrupts();
      platform_.collect_host_interrupts();
      return;
    case ExitAnswer::kCpuid:
      on_cpuid();
      return;
    case ExitAnswer::kMsr:
      on_msr();
      return;
    case ExitAnswer::kPort:
      on_port();
      return;
    case ExitAnswer::kHalt:
      on_halt();
      return;
    case ExitAnswer::kXsetbv:
      on_xsetbv();
      return;
    case ExitAnswer::kMachineCheck:
      die("machine check");
    case ExitAnswer::kShutdown:
      die("the guest shut down (triple fault)");
    case ExitAnswer::kNone:
    case ExitAnswer::kHot:  // the caller's
      die("the processor refused the guest's state, or left it for an unknown reason");
  }
}

void ExitHandler::reflect(u8 vector) {
  if (vector == kVectorAlignmentCheck) {
    vcpu_.inject_exception(vector, 0);
  } else {
    vcpu_.inject_exception(vector);
  }
}

// Each dynamic program's ld.so asks 36 times: the registers are taken by name.
void ExitHandler::on_cpuid() {
  Vmcb& vmcb = vcpu_.vmcb();
  GuestRegisters& registers = vcpu_.registers();
  const u32 leaf = static_cast<u32>(vmcb.rax);
  const u32 subleaf = static_cast<u32>(registers.rcx);
  const CpuidLeaf r = filter_cpuid({leaf, subleaf, vmcb.cr4, platform_.features(), platform_.abi_version()},
                                   host_.cpuid(leaf, subleaf));
  vmcb.rax = r.eax;
  registers.rbx = r.ebx;
  registers.rcx = r.ecx;
  registers.arguments[2] = r.edx;
  advance_past(2);
}

void ExitHandler::on_msr() {
  if (vcpu_.cpl() != 0) {
    general_protection();
    return;
  }
  const u32 msr = static_cast<u32>(vcpu_.gpr(1));
  if (vcpu_.vmcb().exit_info1 & 1) {
    const u64 value = vcpu_.gpr(2) << 32 | (vcpu_.gpr(0) & 0xffff'ffff);
    const u64 free_efer_bits = kEferSce | (paging_ == PagingControl::kGuest ? kEferNxe : 0);
    if (!write_msr(vcpu_, msr, value, free_efer_bits) &&
        (interface_hidden_ || !mode_.write_msr(msr, value))) {
      general_protection();
      return;
    }
  } else {
    const auto value = read_msr(vcpu_, msr, host_.ticks());
    if (!value) {
      general_protection();
      return;
    }
    vcpu_.gpr(0) = *value & 0xffff'ffff;
    vcpu_.gpr(2) = *value >> 32;
  }
  advance_past(2);
}

void ExitHandler::on_port() {
  const PortAccess access = decode_port_access(vcpu_.vmcb().exit_info1);
  if (!port_allowed(access)) {
    general_protection();
    return;
  }
  if (access.input) {
    vcpu_.gpr(0) = (vcpu_.gpr(0) & ~u64{0xff}) | 0xff;
  }
  vcpu_.vmcb().rip = vcpu_.vmcb().exit_info2;
  vcpu_.advance_rip(0);
}

void ExitHandler::on_xsetbv() {
  const u64 value = vcpu_.gpr(2) << 32 | (vcpu_.gpr(0) & 0xffff'ffff);
  const CpuidLeaf offered = host_.cpuid(0xd, 0);
  if (vcpu_.cpl() != 0 || static_cast<u32>(vcpu_.gpr(1)) != 0 || !(vcpu_.vmcb().cr4 & kCr4Osxsave) ||
      !xcr0_allowed(value, u64{offered.edx} << 32 | offered.eax)) {
    general_protection();
    return;
  }
  host_.set_xcr0(value);
  advance_past(3);
}

void ExitHandler::on_halt() {
  if (!(vcpu_.vmcb().rflags & kRflagsInterrupt)) {
    die("the guest halted with interrupts off");
  }
  platform_.wait();
  advance_past(1);
}

InstructionBytes ExitHandler::fetch() {
  if (!vcpu_.in_64bit_code()) return {};
  return InstructionBytes::fetch(Gva(vcpu_.rip()), [this](Gva va, std::span<u8> bytes) {
    return mode_.read_guest(vcpu_, va, bytes).has_value();
  });
}

// One byte tells that there is no prefix: most of these instructions begin with 0F, and HLT is F4.
void ExitHandler::advance_past(u64 opcode_bytes) {
  u8 first = 0;
  const bool plain = vcpu_.in_64bit_code() && mode_.read_guest(vcpu_, Gva(vcpu_.rip()), {&first, 1}) &&
                     (first == 0x0f || first == 0xf4);
  vcpu_.advance_rip((plain ? 0 : prefix_bytes(fetch())) + opcode_bytes);
}

Gva ExitHandler::operand_address(const DecodedInstruction& instruction) {
  const MemoryOperand& operand = instruction.memory;
  u64 address =
      operand.offset(vcpu_.rip() + instruction.bytes, [this](u8 number) { return vcpu_.gpr(number); });
  if (operand.segment != MemoryOperand::Segment::kFlat) {
    const Vmcb& v = vcpu_.vmcb();
    address += operand.segment == MemoryOperand::Segment::kFs ? v.fs.base : v.gs.base;
  }
  return Gva(address);
}

// The exit code's register number is not trusted: some TCG versions report every read as CR0's.
void ExitHandler::on_decoded() {
  using Kind = DecodedInstruction::Kind;
  const DecodedInstruction instruction = decode_instruction(fetch());
  if (vcpu_.cpl() != 0 && instruction.kind != Kind::kSmsw) {
    general_protection();
    return;
  }
  const u64 rip = vcpu_.rip();
  const u64 event = vcpu_.vmcb().event_injection;
  switch (instruction.kind) {
    case Kind::kInvlpg:
      mode_.on_invlpg(vcpu_, operand_address(instruction));
      break;
    case Kind::kCrRead:
      read_cr(instruction.system_register, instruction.general_register);
      break;
    case Kind::kCrWrite:
      write_cr(instruction.system_register, vcpu_.gpr(instruction.general_register));
      break;
    case Kind::kClts:
      vcpu_.vmcb().cr0 &= ~kCr0Ts;
      break;
    case Kind::kDrRead:
    case Kind::kDrWrite:
    case Kind::kLmsw:
      general_protection();
      break;
    case Kind::kSmsw:
      store_machine_status(instruction);
      break;
    case Kind::kUnknown:
      vcpu_.inject_exception(kVectorInvalidOpcode);
      break;
  }
  if (vcpu_.rip() == rip && vcpu_.vmcb().event_injection == event) {
    vcpu_.advance_rip(instruction.bytes);
  }
}

void ExitHandler::read_cr(unsigned cr, unsigned gpr) {
  switch (cr) {
    case 0:
      vcpu_.gpr(gpr) = vcpu_.vmcb().cr0;
      return;
    case 2:
      vcpu_.gpr(gpr) = vcpu_.vmcb().cr2;
      return;
    case 3:
      if (const auto value = mode_.read_cr3(vcpu_)) {
        vcpu_.gpr(gpr) = *value;
      } else {
        general_protection();
      }
      return;
    case 4:
      vcpu_.gpr(gpr) = vcpu_.vmcb().cr4;
      return;
    case 8:
      vcpu_.gpr(gpr) = 0;
      return;
    default:
      vcpu_.inject_exception(kVectorInvalidOpcode);
  }
}

// SMSW is open to CPL 3. Only its register form is executed here.
void ExitHandler::store_machine_status(const DecodedInstruction& instruction) {
  if (instruction.has_memory) {
    general_protection();
    return;
  }
  u64& to = vcpu_.gpr(instruction.general_register);
  const u64 cr0 = vcpu_.vmcb().cr0;
  to = instruction.operand_16bit ? (to & ~u64{0xffff}) | (cr0 & 0xffff) : cr0;
}

void ExitHandler::write_cr(unsigned cr, u64 value) {
  switch (cr) {
    case 0:
      if (!cr0_allowed(value, paging_)) {
        general_protection();
        return;
      }
      vcpu_.vmcb().cr0 = value;
      mode_.on_control_changed(vcpu_);
      return;
    case 2:
      vcpu_.vmcb().cr2 = value;
      return;
    case 3:
      if (!mode_.write_cr3(vcpu_, value)) {
        general_protection();
      }
      return;
    case 4:
      if (!cr4_allowed(value, paging_)) {
        general_protection();
        return;
      }
      vcpu_.vmcb().cr4 = value;
      mode_.on_control_changed(vcpu_);
      return;
    case 8:  // the task priority has no effect: interrupts are injected past it
      if (value > 15) {
        general_protection();
      }
      return;
    default:
      vcpu_.inject_exception(kVectorInvalidOpcode);
  }
}

void ExitHandler::die(std::string_view why) {
  const Vmcb& v = vcpu_.vmcb();
  const auto print = [&](std::string_view name, u64 value) {
    host_.console_write(name);
    host_.console_write(HexText(value).view());
  };
  host_.console_write("\nnopte-hv: ");
  host_.console_write(why);
  print("\n  rip ", v.rip);
  print("  rsp ", v.rsp);
  print("  rflags ", v.rflags);
  print("\n  cr0 ", v.cr0);
  print("  cr2 ", v.cr2);
  print("  cr3    ", v.cr3);
  print("\n  cr4 ", v.cr4);
  print("  rax ", v.rax);
  print("  efer   ", v.efer);
  print("\n  exit ", v.exit_code);
  print(" ", v.exit_info1);
  print(" ", v.exit_info2);
  print(" ", v.exit_int_info);
  host_.console_write("\n");
  platform_.end(kStatusGuestDied, why);
}

}  // namespace nopte::hv
