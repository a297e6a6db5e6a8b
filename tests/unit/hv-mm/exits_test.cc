// The container's answers to calls, and how events reach the guest.
#include "exits_fixture.h"
#include "pvops/platform_ops.h"

namespace nopte::hv {
namespace {

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

// What the guest is left for stays pending until the hypervisor opens an interrupt window: without it the
// next entry exits again, for ever.
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

TEST_F(Exits, APictureFollowsAMarkWhereItWasAskedFor) {
  EXPECT_EQ(call(abi::Call::mark, {1, 'm'}), Status::kOk);
  EXPECT_EQ(host.counters.find("picture"), std::string::npos);
  handler.limit({.pictures = true});
  mode.draws = false;  // the guest has the tables, and tells
  EXPECT_EQ(call(abi::Call::mark, {1, 'm'}), Status::kOk);
  EXPECT_EQ(host.counters.find("picture"), std::string::npos);
  mode.draws = true;
  EXPECT_EQ(call(abi::Call::mark, {1, 'm'}), Status::kOk);
  EXPECT_TRUE(host.counters.ends_with(
      "}}\n{\"event\":\"picture\",\"space\":7,\"regions\":[],\"runs\":[],\"whole\":1}\n"));
  // It is of the guest's budget: that holds the mark's line, not the picture.
  const u64 mark_bytes = host.counters.find('\n') + 1;
  handler.limit({.output_bytes = 3 * mark_bytes + 20, .pictures = true});
  EXPECT_EQ(call(abi::Call::mark, {1, 'm'}), Status::kLimit);
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

}  // namespace
}  // namespace nopte::hv
