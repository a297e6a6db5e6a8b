#include "hv-mm/told/kvm_pv_calls.h"

#include <cstring>

namespace nopte::hv {

using namespace abi::kvmpv;

Result<void> KvmPvCalls::set_buffer(u64 value) {
  if (value == 0) {
    buffer_ = nullptr;
    return {};
  }
  const Gpa page(value & ~kBufferEnable);
  if (!(value & kBufferEnable) || !page.page_aligned() || !mmu_.guest().contains(page.page())) {
    return Fail(Status::kInvalid);
  }
  buffer_ = mmu_.guest().table(page.page());
  return {};
}

CallResult KvmPvCalls::call(u64 number, const abi::Registers& arguments) {
  switch (number) {
    case kSetPtes:
      return set_ptes(arguments[0], arguments[1], arguments[2]);
    case kReleasePt:
      return release_pt(arguments[0]);
    default:
      return refuse(Status::kUnsupported, kErrorNoSuchCall);
  }
}

CallResult KvmPvCalls::set_ptes(u64 first, u64 count, u64 flags) {
  if ((flags & kFlagBits & ~kKnownFlags) != 0 || (!(flags & kInvlpg) && (flags & ~kFlagBits) != 0) ||
      count > kSlots || first > kSlots - count || (count != 0 && buffer_ == nullptr)) {
    return refuse(Status::kInvalid, kErrorInvalid);
  }
  const auto slot = [this](u64 index) {
    u64 gpa;
    std::memcpy(&gpa, buffer_ + index * sizeof(gpa), sizeof(gpa));
    return Gpa(gpa);
  };
  for (u64 index = first; index < first + count; ++index) {
    if (!mmu_.entry_address(slot(index))) return refuse(Status::kBadAddress, kErrorFault);
  }
  ++counters_.set_ptes;
  counters_.entries_told += count;
  mmu_.entries_told(first, first + count, slot);
  mmu_.told_all();
  if (flags & kInvlpg) mmu_.invlpg(Gva(flags & ~kFlagBits));
  if (flags & (kTlbFlush | kTlbFlushCurrent)) mmu_.flush();
  return {};
}

CallResult KvmPvCalls::release_pt(u64 address) {
  const Gpa gpa(address);
  if (!gpa.page_aligned()) return refuse(Status::kInvalid, kErrorInvalid);
  if (!mmu_.guest().contains(gpa.page())) return refuse(Status::kBadAddress, kErrorFault);
  ++counters_.release_pts;
  mmu_.table_released(gpa.page());
  return {};
}

}  // namespace nopte::hv
