// The container's answers to intercepted instructions and exceptions.
#include "exits_fixture.h"

namespace nopte::hv {
namespace {

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
    vmcb->rip = kRip;
    vmcb->cpl = 3;
    exit(code);
    EXPECT_EQ(injected(), kVectorGeneralProtection) << code;
    EXPECT_EQ(vmcb->rip, kRip) << code;
    vmcb->cpl = 0;
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
