// The container's answers to exits, over a fake machine and a recording mode.
#include "hv-mm/exits.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "fake_host.h"
#include "hv-mm/container/setup.h"
#include "hv-mm/launch.h"
#include "pvops/platform_ops.h"

namespace nopte::hv {
namespace {

constexpr u64 kRip = 0xffff'ffff'8010'0000;

class FakeMode final : public ModeHandler {
 public:
  std::vector<u8> code;
  u64 cr3 = 0x5000;
  std::vector<u64> invalidated;
  std::vector<u64> memory_calls;
  bool inject = false;

  u64 offered = 0;

  const char* name() const override { return "fake"; }
  u64 features() const override { return offered; }
  Result<void> write_msr(u32 msr, u64) override {
    return msr == 0x4b56'4d00 ? Result<void>() : Fail(Status::kPermission);
  }
  void on_page_fault(Vcpu& vcpu, Gva va, u64 error) override {
    if (inject) {
      vcpu.inject_page_fault(va, error);
    }
  }
  void on_nested_fault(Vcpu&, u64, u64) override {}
  Result<u64> read_cr3(Vcpu&) override { return cr3; }
  Result<void> write_cr3(Vcpu&, u64 value) override {
    if (value % 4096 != 0) {
      return Fail(Status::kInvalid);
    }
    cr3 = value;
    return {};
  }
  void on_invlpg(Vcpu&, Gva va) override { invalidated.push_back(va.value()); }
  CallResult on_memory_call(Vcpu&, u64 number, const abi::Registers& r) override {
    memory_calls.push_back(number);
    return {Status::kOk, r[0] + 1};
  }
  Result<void> read_guest(const Vcpu&, Gva va, std::span<u8> bytes) override {
    const u64 at = va.value() - kRip;
    if (at + bytes.size() > 4096) {
      return Fail(Status::kBadAddress);
    }
    std::memset(bytes.data(), 0x90, bytes.size());
    std::memcpy(bytes.data(), code.data(), std::min(code.size(), bytes.size()));
    return {};
  }
};

class Exits : public ::testing::Test {
 protected:
  Exits()
      : vmcb(std::make_unique<Vmcb>()), bitmaps(std::make_unique<PermissionBitmaps>()), vcpu(*vmcb, 0x1000) {
    set_up_container(vcpu, *bitmaps, 0x2000);
    set_entry_state(vcpu, kRip, 0x7000, 0x5000);
  }
  void exit(u64 code, u64 info1 = 0, u64 info2 = 0) {
    vmcb->exit_code = code;
    vmcb->exit_info1 = info1;
    vmcb->exit_info2 = info2;
    vmcb->event_injection = 0;
    handler.handle();
    vmcb->exit_int_info = 0;
  }
  void run(std::vector<u8> code, u64 exit_code) {
    mode.code = std::move(code);
    vmcb->rip = kRip;
    exit(exit_code);
  }
  u8 injected() const {
    return vmcb->event_injection & kEventValid ? static_cast<u8>(vmcb->event_injection) : 0xff;
  }
  Status call(abi::Call number, const abi::Registers& arguments) {
    vcpu.registers().arguments = arguments;
    vmcb->rax = static_cast<u64>(number);
    exit(exit_code::kVmmcall);
    return static_cast<Status>(vmcb->rax);
  }

  std::unique_ptr<Vmcb> vmcb;
  std::unique_ptr<PermissionBitmaps> bitmaps;
  Vcpu vcpu;
  FakeMode mode;
  FakeHost host;
  Counters counters;
  ExitHandler handler{vcpu, mode, host, counters};
};

TEST_F(Exits, MemoryCallsGoToTheMode) {
  EXPECT_EQ(call(abi::Call::space_clone, {41}), Status::kOk);
  EXPECT_EQ(vcpu.gpr(2), 42u);
  EXPECT_EQ(vmcb->rip, kRip + 3);
  EXPECT_EQ(mode.memory_calls, std::vector<u64>{2});
  EXPECT_EQ(counters.calls[2], 1u);
}

TEST_F(Exits, UnknownCallsAreUnsupported) {
  for (const u64 number : {71ull, 100ull, 0x1'0000'0040ull, ~0ull}) {
    EXPECT_EQ(call(abi::Call(number), {1, 2, 3}), Status::kUnsupported) << number;
  }
  EXPECT_TRUE(mode.memory_calls.empty());
}

TEST_F(Exits, CallsFromUserModeAreInvalidOpcodes) {
  vmcb->cpl = 3;
  vmcb->rax = 69;
  exit(exit_code::kVmmcall);
  EXPECT_EQ(injected(), kVectorInvalidOpcode);
  EXPECT_EQ(vmcb->rip, kRip);
}

TEST_F(Exits, ConsoleTravelsInRegisters) {
  u64 word;
  std::memcpy(&word, "hello\nxy", 8);
  EXPECT_EQ(call(abi::Call::console_write, {6, word}), Status::kOk);
  EXPECT_EQ(host.console, "hello\n");
  EXPECT_EQ(call(abi::Call::console_write, {0, word}), Status::kInvalid);
  EXPECT_EQ(call(abi::Call::console_write, {41, word}), Status::kInvalid);
  EXPECT_EQ(call(abi::Call::console_write, {~u64{0}, word}), Status::kInvalid);
  EXPECT_EQ(host.console, "hello\n");
  host.input = {'q'};
  EXPECT_EQ(call(abi::Call::console_read, {}), Status::kOk);
  EXPECT_EQ(vcpu.gpr(2), 0x100u + 'q');
  call(abi::Call::console_read, {});
  EXPECT_EQ(vcpu.gpr(2), 0u);
}

TEST_F(Exits, QueryKnowsItsItems) {
  EXPECT_EQ(call(abi::Call::query, {0}), Status::kOk);
  EXPECT_EQ(vcpu.gpr(2), abi::kAbiVersion);
  EXPECT_EQ(call(abi::Call::query, {1}), Status::kOk);
  EXPECT_EQ(vcpu.gpr(2), abi::kFeaturePlatform);
  EXPECT_EQ(call(abi::Call::query, {2}), Status::kInvalid);
}

TEST_F(Exits, IdleReturnsWithTheTimerPending) {
  EXPECT_EQ(call(abi::Call::timer_set, {5000}), Status::kOk);
  EXPECT_EQ(call(abi::Call::idle, {}), Status::kOk);
  EXPECT_EQ(host.now, 5000u);
  EXPECT_EQ(counters.idle_ticks, 4000u);
  EXPECT_EQ(counters.halts, 1u);
  EXPECT_TRUE(vmcb->virtual_interrupt & kVirq);
  EXPECT_EQ(vmcb->virtual_interrupt >> kVirqVectorShift & 0xff, kTimerVector);
  // Still pending: idle does not halt again.
  EXPECT_EQ(call(abi::Call::idle, {}), Status::kOk);
  EXPECT_EQ(counters.halts, 1u);
}

TEST_F(Exits, PowerOffCarriesTheWholeStatus) {
  EXPECT_EQ(call(abi::Call::power_off, {256}), Status::kInvalid);
  try {
    call(abi::Call::power_off, {200});
    FAIL();
  } catch (const PoweredOff& off) {
    EXPECT_EQ(off.status, 200);
  }
  EXPECT_NE(host.counters.find("{\"event\":\"power_off\",\"status\":200,"), std::string::npos);
  EXPECT_NE(host.counters.find("\"calls\":{\"power_off\":2}"), std::string::npos);
}

TEST_F(Exits, MarksLeaveTheirOwnCostOut) {
  u64 word;
  std::memcpy(&word, "a\"b\0\0\0\0", 8);
  EXPECT_EQ(call(abi::Call::mark, {3, word}), Status::kOk);
  EXPECT_EQ(call(abi::Call::mark, {3, word}), Status::kOk);
  EXPECT_NE(host.counters.find("\"text\":\"a\\u0022b\""), std::string::npos);
  // Both lines say 1000 although writing the first took time.
  EXPECT_GT(host.now, 1000u);
  const auto first = host.counters.find("\"tsc\":1000,");
  EXPECT_NE(first, std::string::npos);
  EXPECT_NE(host.counters.find("\"tsc\":1000,", first + 1), std::string::npos);
}

TEST_F(Exits, InterruptsWaitForEachOther) {
  host.raised = 3;
  exit(exit_code::kIntr);
  EXPECT_EQ(host.taken, 1u);
  EXPECT_EQ(vmcb->virtual_interrupt >> kVirqVectorShift & 0xff, kConsoleVector);
  EXPECT_TRUE(vmcb->virtual_interrupt & kVirqIgnoreTpr);
  exit(exit_code::kIntr);  // not taken yet
  EXPECT_EQ(vmcb->virtual_interrupt >> kVirqVectorShift & 0xff, kConsoleVector);
  vmcb->virtual_interrupt &= ~kVirq;  // taken
  exit(exit_code::kIntr);
  EXPECT_EQ(vmcb->virtual_interrupt >> kVirqVectorShift & 0xff, kTimerVector);
  vmcb->virtual_interrupt &= ~kVirq;
  exit(exit_code::kIntr);
  EXPECT_FALSE(vmcb->virtual_interrupt & kVirq);
  EXPECT_FALSE(vcpu.interrupt_pending());
}

TEST_F(Exits, InterruptedDeliveriesAreTriedAgain) {
  vmcb->exit_int_info = kEventValid | 3u << kEventTypeShift | kEventHasError | u64{5} << 32 | 13;
  const u64 interrupted = vmcb->exit_int_info;
  exit(exit_code::kPageFault, 0, 0x1000);
  EXPECT_EQ(vmcb->event_injection, interrupted);
  // An external interrupt, which TCG reports as type 3 too.
  vmcb->exit_int_info = kEventValid | 3u << kEventTypeShift | kTimerVector;
  exit(exit_code::kPageFault, 0, 0x1000);
  EXPECT_EQ(injected(), 0xff);
  EXPECT_EQ(vmcb->virtual_interrupt >> kVirqVectorShift & 0xff, kTimerVector);
  // A software interrupt is executed again, and INT3 and INTO, which are reported as exceptions.
  vmcb->virtual_interrupt &= ~kVirq;
  for (const u64 event :
       {4u << kEventTypeShift | 0x80, 3u << kEventTypeShift | 3, 3u << kEventTypeShift | 4}) {
    vmcb->exit_int_info = kEventValid | event;
    exit(exit_code::kPageFault, 0, 0x1000);
    EXPECT_EQ(injected(), 0xff) << event;
    EXPECT_EQ(vmcb->rip, kRip);
  }
}

// What the guest is left for stays pending until the hypervisor opens a window: without it the next entry
// exits again, for ever.
TEST_F(Exits, EventsOfTheMachineAreTaken) {
  unsigned taken = 0;
  for (const u64 code : {0x60, 0x61, 0x62, 0x63}) {
    exit(code);
    EXPECT_EQ(host.taken, ++taken) << code;
    EXPECT_EQ(injected(), 0xff) << code;
    EXPECT_EQ(vmcb->rip, kRip) << code;
  }
  EXPECT_EQ(host.console, "");
}

TEST_F(Exits, AnNmiIsReportedAndTheGuestGoesOn) {
  host.came = {.nmi = true};
  vmcb->cpl = 3;
  exit(exit_code::kNmi);
  EXPECT_EQ(host.console, "\nnopte-hv: NMI: the guest goes on at rip 0xffffffff80100000 (CPL 3)\n");
  EXPECT_NE(host.counters.find("{\"event\":\"nmi\","), std::string::npos);
  EXPECT_NE(host.counters.find("\"exits\":{"), std::string::npos);
  host.console.clear();
  host.came = {.init = true};
  vmcb->cpl = 0;
  exit(0x63);
  EXPECT_EQ(host.console, "\nnopte-hv: INIT: the guest goes on at rip 0xffffffff80100000 (CPL 0)\n");
  EXPECT_EQ(injected(), 0xff);
}

TEST_F(Exits, TimeOutsideTheGuestIsCountedOverALongWait) {
  vcpu.start_counting(host.now);
  const u64 begin = host.now;
  call(abi::Call::timer_set, {begin + (u64{5} << 32)});
  call(abi::Call::idle, {});
  EXPECT_EQ(vcpu.hypervisor_ticks(host.now + 7), (u64{5} << 32) + 7);
}

TEST_F(Exits, WhatIsHiddenIsRefused) {
  handler.limit({.hidden_features = abi::kFeatureMemory | abi::kFeaturePlatform});
  EXPECT_EQ(call(abi::Call::space_clone, {41}), Status::kUnsupported);
  EXPECT_EQ(call(abi::Call::kmem_alloc, {1}), Status::kUnsupported);
  EXPECT_EQ(call(abi::Call::console_write, {1, 'x'}), Status::kUnsupported);
  EXPECT_EQ(call(abi::Call::power_off, {0}), Status::kUnsupported);
  EXPECT_EQ(call(abi::Call::query, {0}), Status::kOk);
  EXPECT_TRUE(mode.memory_calls.empty());
  EXPECT_EQ(host.console, "");
}

TEST_F(Exits, AHiddenInterfaceIsRefused) {
  const auto tagged = abi::Call(abi::tagged(abi::Interface::kXen, 1));
  mode.offered = abi::kFeatureXen;
  EXPECT_EQ(call(tagged, {1}), Status::kOk);
  vcpu.gpr(1) = 0x4b56'4d00;  // an MSR of the mode's
  exit(0x7c, 1);
  EXPECT_EQ(injected(), 0xff);
  vmcb->rip = kRip;
  handler.limit({.hidden_features = abi::kFeatureXen});
  EXPECT_EQ(call(tagged, {1}), Status::kUnsupported);
  exit(0x7c, 1);
  EXPECT_EQ(injected(), kVectorGeneralProtection);
  EXPECT_EQ(mode.memory_calls.size(), 1u);
}

TEST_F(Exits, OutputHasABudget) {
  handler.limit({.output_bytes = 50});
  EXPECT_EQ(call(abi::Call::console_write, {40}), Status::kOk);
  EXPECT_EQ(call(abi::Call::console_write, {11}), Status::kLimit);
  EXPECT_EQ(call(abi::Call::console_write, {9}), Status::kOk);
  EXPECT_EQ(host.console.size(), 49u);
  EXPECT_EQ(call(abi::Call::mark, {1, 'm'}), Status::kOk);  // the line that crosses it is whole
  const std::string lines = host.counters;
  EXPECT_EQ(lines.back(), '\n');
  EXPECT_EQ(call(abi::Call::mark, {1, 'm'}), Status::kLimit);
  EXPECT_EQ(call(abi::Call::console_write, {1}), Status::kLimit);
  EXPECT_EQ(host.counters, lines);
  EXPECT_EQ(host.console.size(), 49u);
  // The end is always reported.
  EXPECT_THROW(call(abi::Call::power_off, {3}), PoweredOff);
  EXPECT_NE(host.counters.find("power_off"), std::string::npos);
}

TEST_F(Exits, FaultsWhileFaultingEndInADoubleFaultThenShutDown) {
  mode.inject = true;
  exit(exit_code::kPageFault, 2, 0x1234);
  EXPECT_EQ(injected(), kVectorPageFault);
  EXPECT_EQ(vmcb->cr2, 0x1234u);
  EXPECT_EQ(vmcb->event_injection >> 32, 2u);
  vmcb->exit_int_info = kEventValid | 3u << kEventTypeShift | kEventHasError | 14;
  exit(exit_code::kPageFault, 0, 0x2000);
  EXPECT_EQ(injected(), kVectorDoubleFault);
  vmcb->exit_int_info = kEventValid | 3u << kEventTypeShift | kEventHasError | 8;
  EXPECT_THROW(exit(exit_code::kPageFault, 0, 0x2000), PoweredOff);
  EXPECT_NE(host.console.find("double fault"), std::string::npos);
}

// Codes by their numbers: APM vol. 2, appendix C.
TEST_F(Exits, WhatIsRefusedRaisesWhatAProcessorWithoutItRaises) {
  for (const u64 code :
       {0x7a, 0x80, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x8a, 0x8b, 0x8c, 0x8e, 0xa0, 0xa2, 0xa3, 0xa4}) {
    exit(code);
    EXPECT_EQ(vmcb->event_injection, kEventValid | 3u << kEventTypeShift | kVectorInvalidOpcode) << code;
    EXPECT_EQ(vmcb->rip, kRip) << code;
  }
  for (const u64 code : {0x6f, 0x7d}) {
    exit(code);
    EXPECT_EQ(vmcb->event_injection,
              kEventValid | kEventHasError | 3u << kEventTypeShift | kVectorGeneralProtection)
        << code;
    EXPECT_EQ(vmcb->rip, kRip) << code;
  }
  exit(0x7b, 0x60 << 16 | 0x11);
  EXPECT_EQ(injected(), kVectorGeneralProtection);
  vcpu.gpr(1) = 0x1b;
  exit(0x7c, 0);
  EXPECT_EQ(injected(), kVectorGeneralProtection);
  EXPECT_EQ(vmcb->rip, kRip);
}

TEST_F(Exits, CachesAreLeftAlone) {
  for (const u64 code : {0x76, 0x89}) {
    vmcb->rip = kRip;
    exit(code);
    EXPECT_EQ(injected(), 0xff) << code;
    EXPECT_EQ(vmcb->rip, kRip + 2) << code;
  }
}

TEST_F(Exits, ExceptionsGoOnToTheGuest) {
  exit(0x41);
  EXPECT_EQ(vmcb->event_injection, kEventValid | 3u << kEventTypeShift | kVectorDebug);
  exit(0x51);
  EXPECT_EQ(vmcb->event_injection,
            kEventValid | kEventHasError | 3u << kEventTypeShift | kVectorAlignmentCheck);
  EXPECT_EQ(vmcb->rip, kRip);
  run({0xf1}, 0x88);  // ICEBP is a trap: its handler returns behind it
  EXPECT_EQ(vmcb->event_injection, kEventValid | 3u << kEventTypeShift | kVectorDebug);
  EXPECT_EQ(vmcb->rip, kRip + 1);
}

TEST_F(Exits, WhatCannotGoOnEndsTheGuest) {
  EXPECT_THROW(exit(0x52), PoweredOff);
  EXPECT_THROW(exit(0x7f), PoweredOff);
  EXPECT_THROW(exit(0x78), PoweredOff);  // HLT: interrupts are off
  EXPECT_THROW(exit(~u64{0}), PoweredOff);
  EXPECT_THROW(exit(0xffff'ffff), PoweredOff);  // VMEXIT_INVALID, as TCG has it
  EXPECT_THROW(exit(0x64), PoweredOff);         // of a bit that is not set
  EXPECT_THROW(exit(0xa5), PoweredOff);
}

TEST_F(Exits, ControlRegisters) {
  vcpu.registers().rbx = 0x9000;
  run({0x0f, 0x22, 0xdb}, 0x13);  // mov %rbx, %cr3
  EXPECT_EQ(mode.cr3, 0x9000u);
  EXPECT_EQ(vmcb->rip, kRip + 3);
  run({0x0f, 0x20, 0xd9}, 0x00);  // mov %cr3, %rcx, reported as CR0's
  EXPECT_EQ(vcpu.gpr(1), 0x9000u);
  vmcb->rax = 0x9001;
  run({0x0f, 0x22, 0xd8}, 0x13);
  EXPECT_EQ(injected(), kVectorGeneralProtection);
  EXPECT_EQ(vmcb->rip, kRip);
  vmcb->rax = abi::kEntryCr0 & ~u64{0x8000'0000};
  run({0x0f, 0x22, 0xc0}, 0x10);
  EXPECT_EQ(injected(), kVectorGeneralProtection);
  EXPECT_EQ(vmcb->cr0, abi::kEntryCr0);
  vmcb->rax = abi::kEntryCr0 | kCr0Ts;
  run({0x0f, 0x22, 0xc0}, 0x10);
  EXPECT_EQ(vmcb->cr0, abi::kEntryCr0 | kCr0Ts);
  run({0x0f, 0x06}, 0x10);  // clts
  EXPECT_EQ(vmcb->cr0, abi::kEntryCr0);
  EXPECT_EQ(vmcb->rip, kRip + 2);
  run({0x0f, 0x23, 0xf8}, 0x37);  // mov %rax, %dr7
  EXPECT_EQ(injected(), kVectorGeneralProtection);
  run({0x90}, 0x13);  // changed under our eyes
  EXPECT_EQ(injected(), kVectorInvalidOpcode);
  EXPECT_EQ(vmcb->rip, kRip);
}

TEST_F(Exits, InvlpgIsDecoded) {
  vmcb->fs.base = 0xf000;
  vcpu.registers().r12 = 0x1000;
  vcpu.registers().r13 = 0x10;
  run({0x64, 0x43, 0x0f, 0x01, 0x7c, 0xac, 0xf0}, exit_code::kInvlpg);
  EXPECT_EQ(mode.invalidated, std::vector<u64>{0xf000 + 0x1000 + 0x40 - 16});
  EXPECT_EQ(vmcb->rip, kRip + 7);
  // Code in a 32-bit segment is not decoded.
  vmcb->cs.attributes = 0xc9b;
  run({0x0f, 0x01, 0x38}, exit_code::kInvlpg);
  EXPECT_EQ(injected(), kVectorInvalidOpcode);
}

TEST_F(Exits, AnInstructionAtTheEndOfMappedMemoryDecodes) {
  mode.code = {0x0f, 0x06};
  vmcb->rip = kRip + 4094;
  vmcb->cr0 |= kCr0Ts;
  exit(0x10);
  EXPECT_EQ(vmcb->cr0, abi::kEntryCr0);
}

// The exit does not tell the instruction's length.
TEST_F(Exits, PrefixesAreStepped) {
  const auto length = [this](std::vector<u8> code, u64 exit_code) {
    vmcb->rip = kRip;
    run(std::move(code), exit_code);
    EXPECT_EQ(injected(), 0xff);
    return vmcb->rip - kRip;
  };
  EXPECT_EQ(length({0x0f, 0xa2}, exit_code::kCpuid), 2u);
  EXPECT_EQ(length({0x48, 0x0f, 0xa2}, exit_code::kCpuid), 3u);
  EXPECT_EQ(length({0x66, 0x2e, 0x48, 0x0f, 0x09}, 0x89), 5u);
  vcpu.gpr(1) = 0xc000'0080;  // EFER, read
  EXPECT_EQ(length({0x67, 0x0f, 0x32}, 0x7c), 3u);
  vmcb->rax = 7;
  vcpu.gpr(1) = vcpu.gpr(2) = 0;
  EXPECT_EQ(length({0x40, 0x0f, 0x01, 0xd1}, 0x8d), 4u);
  // Bytes that were changed meanwhile, or are not there, are not believed.
  EXPECT_EQ(length(std::vector<u8>(15, 0x66), exit_code::kCpuid), 2u);
  vmcb->cs.attributes = 0xc9b;  // 32-bit code: 0x48 is an instruction
  EXPECT_EQ(length({0x48, 0x0f, 0xa2}, exit_code::kCpuid), 2u);
}

TEST_F(Exits, XsetbvChecksItsValue) {
  vmcb->rax = 7;
  exit(0x8d);
  EXPECT_EQ(host.xcr0, 7u);
  EXPECT_EQ(vmcb->rip, kRip + 3);
  vmcb->rax = 5;
  exit(0x8d);
  EXPECT_EQ(injected(), kVectorGeneralProtection);
  EXPECT_EQ(host.xcr0, 7u);
}

TEST_F(Exits, CpuidIsFiltered) {
  vmcb->rax = 0x4000'0000;
  exit(exit_code::kCpuid);
  EXPECT_EQ(vcpu.gpr(3), abi::kCpuidSignature[0]);
  EXPECT_EQ(vmcb->rip, kRip + 2);
}

}  // namespace
}  // namespace nopte::hv
