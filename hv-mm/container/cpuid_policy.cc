#include "hv-mm/container/cpuid_policy.h"

#include "pvops/abi/hypercalls.h"

namespace nopte::hv {
namespace {

constexpr u32 bit(unsigned number) { return u32{1} << number; }

constexpr u32 kMaxBasicLeaf = 0xd;
constexpr u32 kCr4Osxsave = bit(18);

// Leaf 1. Hidden because their registers are refused: APIC, MTRR, machine check, PAT, thermal.
constexpr u32 kHidden1Ecx = bit(2) | bit(3) | bit(5) | bit(6) | bit(7) | bit(8) | bit(15) | bit(17) /*PCID*/ |
                            bit(21) /*x2APIC*/ | bit(24) /*TSC deadline*/ | bit(27) /*OSXSAVE*/;
constexpr u32 kHidden1Edx = bit(7) /*MCE*/ | bit(9) /*APIC*/ | bit(12) /*MTRR*/ | bit(14) /*MCA*/ |
                            bit(16) /*PAT*/ | bit(21) | bit(22) | bit(28) | bit(29) | bit(31);
// Leaf 7. CR4 bits that the container keeps clear, and features with refused registers.
constexpr u32 kHidden7Ebx = bit(2) | bit(4) | bit(10) /*INVPCID*/ | bit(11) | bit(12) | bit(14) | bit(15) |
                            bit(20) /*SMAP*/ | bit(25);
constexpr u32 kHidden7Ecx = bit(2) /*UMIP*/ | bit(3) /*PKU*/ | bit(4) | bit(5) | bit(7) /*CET*/ |
                            bit(16) /*LA57*/ | bit(22) /*RDPID*/ | bit(24) | bit(29) | bit(30) | bit(31);
constexpr u32 kShown7Edx = bit(4);
// Leaf 0x80000001: SVM and what comes with it; performance counters; MONITORX; RDTSCP (its register is
// refused).
constexpr u32 kHiddenExt1Ecx = bit(2) /*SVM*/ | bit(3) | bit(10) | bit(12) | bit(13) | bit(15) | bit(19) |
                               bit(22) | bit(23) | bit(24) | bit(26) | bit(27) | bit(28) | bit(29);
constexpr u32 kHiddenExt1Edx = bit(7) | bit(9) | bit(12) | bit(14) | bit(16) | bit(27) /*RDTSCP*/;

}  // namespace

CpuidLeaf filter_cpuid(const CpuidRequest& request, const CpuidLeaf& processor) {
  CpuidLeaf r = processor;
  switch (request.leaf) {
    case 0:
      r.eax = r.eax < kMaxBasicLeaf ? r.eax : kMaxBasicLeaf;
      return r;
    case 1:
      r.ecx = (r.ecx & ~kHidden1Ecx) | bit(31);
      if (request.guest_cr4 & kCr4Osxsave) {
        r.ecx |= bit(27);
      }
      r.edx &= ~kHidden1Edx;
      return r;
    case 2:
    case 4:
      return r;
    case 7:
      if (request.subleaf != 0) {
        return {};
      }
      return {0, r.ebx & ~kHidden7Ebx, r.ecx & ~kHidden7Ecx, r.edx & kShown7Edx};
    case 0xd:
      if (request.subleaf == 0) {
        r.eax &= 0x7;  // x87, SSE, AVX
        r.edx = 0;
      } else if (request.subleaf == 1) {
        return {r.eax & 0x7 & ~bit(3), 0, 0, 0};
      } else if (request.subleaf != 2) {
        return {};
      }
      return r;
    case abi::kCpuidSignatureLeaf:
      return {abi::kCpuidFeatureLeaf, abi::kCpuidSignature[0], abi::kCpuidSignature[1],
              abi::kCpuidSignature[2]};
    case abi::kCpuidFeatureLeaf:
      return {static_cast<u32>(request.abi_version), static_cast<u32>(request.features), 0, 0};
    case 0x8000'0000:
      r.eax = r.eax < 0x8000'0008 ? r.eax : 0x8000'0008;
      return r;
    case 0x8000'0001:
      r.ecx &= ~kHiddenExt1Ecx;
      r.edx &= ~kHiddenExt1Edx;
      return r;
    case 0x8000'0002:
    case 0x8000'0003:
    case 0x8000'0004:
    case 0x8000'0005:
    case 0x8000'0006:
      return r;
    case 0x8000'0007:
      return {0, 0, 0, r.edx & bit(8)};  // invariant TSC
    case 0x8000'0008:
      return {r.eax, 0, 0, 0};
    default:
      return {};
  }
}

}  // namespace nopte::hv
