// The policies of the container: CPUID, MSRs, ports, control registers, and the instruction decoder.
#include <gtest/gtest.h>

#include <vector>

#include "hv-mm/container/cpuid_policy.h"
#include "hv-mm/container/cr_policy.h"
#include "hv-mm/container/decode.h"
#include "hv-mm/container/port_policy.h"
#include "hv-mm/container/setup.h"
#include "pvops/abi/hypercalls.h"

namespace nopte::hv {
namespace {

constexpr CpuidLeaf kAll{~0u, ~0u, ~0u, ~0u};

TEST(CpuidPolicy, HidesWhatTheContainerDoesNotOffer) {
  const CpuidLeaf leaf1 = filter_cpuid({1, 0, 0, 0}, kAll);
  for (const unsigned hidden : {3, 5, 17, 21, 24, 27}) {
    EXPECT_FALSE(leaf1.ecx >> hidden & 1) << hidden;
  }
  EXPECT_TRUE(leaf1.ecx >> 31 & 1);
  EXPECT_TRUE(leaf1.ecx >> 26 & 1);  // XSAVE
  EXPECT_TRUE(filter_cpuid({1, 0, kCr4Osxsave, 0}, kAll).ecx >> 27 & 1);
  const CpuidLeaf leaf7 = filter_cpuid({7, 0, 0, 0}, kAll);
  EXPECT_FALSE(leaf7.ebx >> 10 & 1);
  EXPECT_TRUE(leaf7.ebx >> 5 & 1);  // AVX2
  EXPECT_FALSE(leaf7.ecx >> 3 & 1);
  EXPECT_FALSE(leaf7.ecx >> 16 & 1);
  EXPECT_FALSE(filter_cpuid({0x8000'0001, 0, 0, 0}, kAll).ecx >> 2 & 1);
  EXPECT_EQ(filter_cpuid({0x8000'000a, 0, 0, 0}, kAll).edx, 0u);
  EXPECT_EQ(filter_cpuid({0xb, 0, 0, 0}, kAll).ebx, 0u);
  EXPECT_LE(filter_cpuid({0, 0, 0, 0}, kAll).eax, 0xdu);
}

TEST(CpuidPolicy, AnnouncesTheInterface) {
  const CpuidLeaf signature = filter_cpuid({abi::kCpuidSignatureLeaf, 0, 0, 0}, {});
  EXPECT_EQ(signature.eax, abi::kCpuidFeatureLeaf);
  EXPECT_EQ(signature.ebx, abi::kCpuidSignature[0]);
  EXPECT_EQ(signature.ecx, abi::kCpuidSignature[1]);
  EXPECT_EQ(signature.edx, abi::kCpuidSignature[2]);
  const CpuidLeaf features = filter_cpuid({abi::kCpuidFeatureLeaf, 0, 0, 3}, kAll);
  EXPECT_EQ(features.eax, abi::kAbiVersion);
  EXPECT_EQ(features.ebx, 3u);
  EXPECT_EQ(filter_cpuid({0x4000'0002, 0, 0, 3}, kAll).eax, 0u);
}

bool msr_exits(const PermissionBitmaps& bitmaps, u32 msr, bool write) {
  u64 bit;
  if (msr < 0x2000) {
    bit = u64{msr} * 2;
  } else if (msr >= 0xc000'0000 && msr < 0xc000'2000) {
    bit = 0x800 * 8 + u64{msr & 0x1fff} * 2;
  } else {
    return true;
  }
  bit += write;
  return bitmaps.msrs[bit / 8] >> (bit % 8) & 1;
}

TEST(Setup, OnlyTheDirectMsrsDoNotExit) {
  auto bitmaps = std::make_unique<PermissionBitmaps>();
  auto vmcb = std::make_unique<Vmcb>();
  Vcpu vcpu(*vmcb, 0x1000);
  set_up_container(vcpu, *bitmaps, 0x8000);
  std::vector<u32> direct;
  for (const u32 block : {0u, 0xc000'0000u, 0xc001'0000u}) {
    for (u32 i = 0; i < 0x2000; ++i) {
      EXPECT_EQ(msr_exits(*bitmaps, block + i, false), msr_exits(*bitmaps, block + i, true));
      if (!msr_exits(*bitmaps, block + i, true)) {
        direct.push_back(block + i);
      }
    }
  }
  EXPECT_EQ(direct, std::vector<u32>(kDirectMsrs.begin(), kDirectMsrs.end()));
  for (const u8 byte : bitmaps->ports) {
    ASSERT_EQ(byte, 0xff);
  }
  EXPECT_EQ(vmcb->iopm_base, 0x8000u);
  EXPECT_EQ(vmcb->msrpm_base, 0x8000u + 12288);
  EXPECT_NE(vmcb->asid, 0u);
}

// The words by their bits, written from APM vol. 2, table B-1.
TEST(Setup, InterceptsExactly) {
  auto bitmaps = std::make_unique<PermissionBitmaps>();
  auto vmcb = std::make_unique<Vmcb>();
  Vcpu vcpu(*vmcb, 0x1000);
  const auto bits = [](std::initializer_list<unsigned> numbers) {
    u32 mask = 0;
    for (const unsigned number : numbers) mask |= u32{1} << number;
    return mask;
  };
  set_up_container(vcpu, *bitmaps, 0x8000);
  EXPECT_EQ(vmcb->intercept_cr_read, bits({8}));
  EXPECT_EQ(vmcb->intercept_cr_write, bits({0, 4, 8}));
  EXPECT_EQ(vmcb->intercept_dr_read, 0u);
  EXPECT_EQ(vmcb->intercept_dr_write, 0xffffu);
  EXPECT_EQ(vmcb->intercept_exceptions, bits({1, 17, 18}));
  EXPECT_EQ(vmcb->intercept_misc1,
            bits({0 /*INTR*/, 1 /*NMI*/, 2 /*SMI*/, 3 /*INIT*/, 15 /*RDPMC*/, 18 /*CPUID*/, 22 /*INVD*/,
                  24 /*HLT*/, 26 /*INVLPGA*/, 27 /*IOIO*/, 28 /*MSR*/, 29 /*task switch*/, 31 /*shutdown*/}));
  EXPECT_EQ(vmcb->intercept_misc2,
            bits({0 /*VMRUN*/, 1 /*VMMCALL*/, 2 /*VMLOAD*/, 3 /*VMSAVE*/, 4 /*STGI*/, 5 /*CLGI*/,
                  6 /*SKINIT*/, 7 /*RDTSCP*/, 8 /*ICEBP*/, 9 /*WBINVD*/, 10 /*MONITOR*/, 11 /*MWAIT*/,
                  12 /*MWAIT, armed*/, 13 /*XSETBV*/, 14 /*RDPRU*/}));
  EXPECT_EQ(vmcb->intercept_misc3, bits({0 /*INVLPGB*/, 2 /*INVPCID*/, 3 /*MCOMMIT*/, 4 /*TLBSYNC*/}));

  intercept_paging(vcpu, PageFaults::kGuest);
  EXPECT_EQ(vmcb->intercept_cr_read, bits({0, 3, 8}));
  EXPECT_EQ(vmcb->intercept_cr_write, bits({0, 3, 4, 8}));
  EXPECT_EQ(vmcb->intercept_exceptions, bits({1, 17, 18}));
  EXPECT_EQ(vmcb->intercept_misc1, bits({0, 1, 2, 3, 15, 18, 22, 24, 25 /*INVLPG*/, 26, 27, 28, 29, 31}));
  intercept_paging(vcpu);
  EXPECT_EQ(vmcb->intercept_exceptions, bits({1, 14, 17, 18}));
}

TEST(MsrPolicy, EferKeepsPagingAndHidesSvme) {
  auto vmcb = std::make_unique<Vmcb>();
  Vcpu vcpu(*vmcb, 0);
  vmcb->efer = abi::kEntryEfer | kEferSvme;
  EXPECT_EQ(read_msr(vcpu, kMsrEferNumber, 0), abi::kEntryEfer);
  EXPECT_TRUE(write_msr(vcpu, kMsrEferNumber, abi::kEntryEfer & ~kEferSce, kEferSce));
  EXPECT_EQ(vmcb->efer, (abi::kEntryEfer & ~kEferSce) | kEferSvme);
  EXPECT_TRUE(write_msr(vcpu, kMsrEferNumber, abi::kEntryEfer & ~kEferLma, kEferSce));
  EXPECT_EQ(vmcb->efer, abi::kEntryEfer | kEferSvme);
  for (unsigned bit = 0; bit < 64; ++bit) {
    const u64 value = abi::kEntryEfer ^ u64 { 1 } << bit;
    const bool allowed = bit == 0 || bit == 10;
    EXPECT_EQ(write_msr(vcpu, kMsrEferNumber, value, kEferSce).has_value(), allowed) << bit;
    ASSERT_TRUE(write_msr(vcpu, kMsrEferNumber, abi::kEntryEfer, kEferSce));
  }
  EXPECT_EQ(read_msr(vcpu, kMsrTsc, 7), 7u);
  for (const u32 refused : {0x1bu, 0x3au, 0xfeu, 0x6e0u, 0xc001'0114u, 0xc001'0117u, 0xda0u, 0xffff'ffffu}) {
    EXPECT_FALSE(read_msr(vcpu, refused, 0)) << refused;
    EXPECT_FALSE(write_msr(vcpu, refused, 0, kEferSce)) << refused;
  }
}

TEST(PortPolicy, OnlyThePostCodePort) {
  unsigned allowed = 0;
  for (u32 port = 0; port < 0x10000; ++port) {
    allowed += port_allowed(decode_port_access(u64{port} << 16 | 0x10 | 1));
    EXPECT_FALSE(port_allowed(decode_port_access(u64{port} << 16 | 0x20)));
    EXPECT_FALSE(port_allowed(decode_port_access(u64{port} << 16 | 0x14)));
  }
  EXPECT_EQ(allowed, 1u);
}

TEST(CrPolicy, PagingBitsAreConstants) {
  for (unsigned bit = 0; bit < 64; ++bit) {
    const u64 flip = u64{1} << bit;
    const bool cr0_free = bit == 1 || bit == 2 || bit == 3 || bit == 18;
    EXPECT_EQ(cr0_allowed(abi::kEntryCr0 ^ flip, PagingControl::kHypervisor), cr0_free) << bit;
    EXPECT_EQ(cr0_allowed(abi::kEntryCr0 ^ flip, PagingControl::kGuest), cr0_free || bit == 16) << bit;
    const bool cr4_free = bit == 2 || bit == 3 || bit == 9 || bit == 10 || bit == 16 || bit == 18;
    EXPECT_EQ(cr4_allowed(abi::kEntryCr4 ^ flip, PagingControl::kHypervisor), cr4_free) << bit;
    EXPECT_EQ(cr4_allowed(abi::kEntryCr4 ^ flip, PagingControl::kGuest),
              cr4_free || bit == 4 || bit == 7 || bit == 20)
        << bit;
  }
  EXPECT_TRUE(xcr0_allowed(7, 7));
  EXPECT_FALSE(xcr0_allowed(0, 7));
  EXPECT_FALSE(xcr0_allowed(5, 7));
  EXPECT_FALSE(xcr0_allowed(7, 3));
  EXPECT_FALSE(xcr0_allowed(0x207, ~u64{0}));
}

DecodedInstruction decode(std::vector<u8> code) { return decode_instruction(InstructionBytes(code)); }
using Kind = DecodedInstruction::Kind;

TEST(Decode, ControlRegisterMoves) {
  const auto read = decode({0x0f, 0x20, 0xd8});  // mov %cr3, %rax
  EXPECT_EQ(read.kind, Kind::kCrRead);
  EXPECT_EQ(read.system_register, 3);
  EXPECT_EQ(read.general_register, 0);
  EXPECT_EQ(read.bytes, 3);
  const auto write = decode({0x41, 0x0f, 0x22, 0xdf});  // mov %r15, %cr3
  EXPECT_EQ(write.kind, Kind::kCrWrite);
  EXPECT_EQ(write.general_register, 15);
  EXPECT_EQ(write.bytes, 4);
  const auto cr8 = decode({0x44, 0x0f, 0x20, 0xc1});  // mov %cr8, %rcx
  EXPECT_EQ(cr8.system_register, 8);
  EXPECT_EQ(cr8.general_register, 1);
  EXPECT_EQ(decode({0x66, 0x0f, 0x22, 0x18}).general_register, 0);        // mod is ignored
  EXPECT_EQ(decode({0x41, 0x66, 0x0f, 0x22, 0xdf}).general_register, 7);  // REX not last: ignored
  EXPECT_EQ(decode({0x0f, 0x23, 0xf8}).kind, Kind::kDrWrite);
  EXPECT_EQ(decode({0x0f, 0x06}).kind, Kind::kClts);
  EXPECT_EQ(decode({0x0f, 0x01, 0xf0}).kind, Kind::kLmsw);
  EXPECT_EQ(decode({0x0f, 0x01, 0xe0}).kind, Kind::kSmsw);
}

TEST(Decode, InvlpgOperands) {
  auto i = decode({0x0f, 0x01, 0x38});  // (%rax)
  EXPECT_EQ(i.kind, Kind::kInvlpg);
  EXPECT_EQ(i.memory.base, 0);
  EXPECT_EQ(i.memory.index, MemoryOperand::kNone);
  EXPECT_EQ(i.bytes, 3);
  i = decode({0x43, 0x0f, 0x01, 0x7c, 0xac, 0xf0});  // -0x10(%r12,%r13,4)
  EXPECT_EQ(i.memory.base, 12);
  EXPECT_EQ(i.memory.index, 13);
  EXPECT_EQ(i.memory.scale_shift, 2);
  EXPECT_EQ(i.memory.displacement, -16);
  EXPECT_EQ(i.bytes, 6);
  i = decode({0x0f, 0x01, 0x3c, 0x25, 0x00, 0x10, 0x00, 0x80});  // 0xffffffff80001000
  EXPECT_EQ(i.memory.base, MemoryOperand::kNone);
  EXPECT_EQ(static_cast<u64>(i.memory.displacement), 0xffff'ffff'8000'1000u);
  i = decode({0x64, 0x0f, 0x01, 0x3d, 0x04, 0x00, 0x00, 0x00});  // %fs:4(%rip)
  EXPECT_TRUE(i.memory.rip_relative);
  EXPECT_EQ(i.memory.segment, MemoryOperand::Segment::kFs);
  EXPECT_EQ(i.bytes, 8);
  i = decode({0x49, 0x0f, 0x01, 0xbd, 0x00, 0x00, 0x00, 0x01});  // 0x1000000(%r13)
  EXPECT_EQ(i.memory.base, 13);
  EXPECT_EQ(i.memory.displacement, 0x0100'0000);
}

TEST(Decode, EverythingElseIsUnknown) {
  EXPECT_EQ(decode({}).kind, Kind::kUnknown);
  EXPECT_EQ(decode({0x0f}).kind, Kind::kUnknown);
  EXPECT_EQ(decode({0x0f, 0x22}).kind, Kind::kUnknown);
  EXPECT_EQ(decode({0x0f, 0x01, 0x3c, 0x25, 0x00}).kind, Kind::kUnknown);
  EXPECT_EQ(decode({0x0f, 0x01, 0xf8}).kind, Kind::kUnknown);  // swapgs
  EXPECT_EQ(decode({0xf0, 0x0f, 0x22, 0xd8}).kind, Kind::kUnknown);
  EXPECT_EQ(decode({0x90}).kind, Kind::kUnknown);
  EXPECT_EQ(decode(std::vector<u8>(100, 0x66)).kind, Kind::kUnknown);
  // A length of sixteen is none.
  std::vector<u8> long_one(16, 0x66);
  long_one[13] = 0x0f, long_one[14] = 0x22, long_one[15] = 0xd8;
  EXPECT_EQ(decode(long_one).kind, Kind::kUnknown);
}

}  // namespace
}  // namespace nopte::hv
