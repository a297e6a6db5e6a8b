#include "hv-mm/container/msr_policy.h"

#include <cstring>

namespace nopte::hv {

void fill_msr_bitmap(std::span<u8, kMsrBitmapBytes> bitmap) {
  std::memset(bitmap.data(), 0xff, bitmap.size());
  for (const u32 msr : kDirectMsrs) {
    const u32 block = msr >= 0xc000'0000 ? 0x800 : 0;
    const u32 index = msr & 0x1fff;
    bitmap[block + index / 4] &= static_cast<u8>(~(3u << (index % 4 * 2)));
  }
}

Result<u64> read_msr(const Vcpu& vcpu, u32 msr, u64 ticks) {
  switch (msr) {
    case kMsrTsc:
      return ticks;
    case kMsrPat:
      return kResetPat;
    case kMsrEferNumber:
      return vcpu.vmcb().efer & ~kEferSvme;
    default:
      return Fail(Status::kPermission);
  }
}

Result<void> write_msr(Vcpu& vcpu, u32 msr, u64 value, u64 free_efer_bits) {
  switch (msr) {
    case kMsrPat:
      return value == kResetPat ? Result<void>() : Fail(Status::kPermission);
    case kMsrEferNumber: {
      const u64 now = vcpu.vmcb().efer & ~kEferSvme;
      // LMA is the processor's: a write of either value is not a change.
      if (((value ^ now) & ~(free_efer_bits | kEferLma)) != 0) {
        return Fail(Status::kPermission);
      }
      vcpu.vmcb().efer = (value & ~kEferLma) | (now & kEferLma) | kEferSvme;
      return {};
    }
    default:
      return Fail(Status::kPermission);
  }
}

}  // namespace nopte::hv
