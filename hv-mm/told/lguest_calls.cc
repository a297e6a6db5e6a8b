#include "hv-mm/told/lguest_calls.h"

#include <cstring>

namespace nopte::hv {

using namespace abi::lguest;

namespace {

constexpr CallResult kNoSuchCall{Status::kUnsupported, kErrorNoSuchCall};
constexpr CallResult kInvalidCall{Status::kInvalid, kErrorInvalid};
constexpr CallResult kOutside{Status::kBadAddress, kErrorFault};

constexpr const char* end_of_guest(u64 error) {
  switch (error) {
    case kErrorNoSuchCall:
      return "lguest: the ring holds a call that it does not take";
    case kErrorFault:
      return "lguest: a call in the ring names memory that the guest does not have";
    default:
      return "lguest: a call in the ring makes no sense";
  }
}

}  // namespace

CallResult LguestCalls::call(u64 number, const abi::Registers& a) {
  drain();
  if (ends_guest_ != nullptr) return kInvalidCall;
  ++counters_.calls;
  CallResult result;
  switch (number) {
    case kFlushAsync:
      break;
    case kInit:
      result = set_ring(Gpa(a[0]));
      break;
    case kNewPgtable:
      result = new_pgtable(a[0]);
      break;
    default:
      result = change(number, a[0], a[1], a[2]);
  }
  if (result.status != Status::kOk) {
    ++counters_.refused;
  } else {
    mmu_.told_all();
  }
  return result;
}

void LguestCalls::drain() {
  if (ring_ == nullptr || ends_guest_ != nullptr) return;
  for (u64 performed = 0; performed < kRingSlots; ++performed) {
    u8* const status = ring_ + offsetof(Ring, status) + next_;
    if (*status == kSlotFree) return;
    RingCall made;
    std::memcpy(&made, ring_ + offsetof(Ring, calls) + next_ * sizeof(made), sizeof(made));
    next_ = (next_ + 1) % kRingSlots;
    ++counters_.ring_calls;
    const CallResult result = change(made.number, made.arguments[0], made.arguments[1], made.arguments[2]);
    if (result.status != Status::kOk) {
      ++counters_.refused;
      ends_guest_ = end_of_guest(result.value);
      return;
    }
    *status = kSlotFree;
  }
}

CallResult LguestCalls::set_ring(Gpa page) {
  if (ring_ != nullptr) return {Status::kBusy, kErrorExists};
  if (!page.page_aligned()) return kInvalidCall;
  if (!mmu_.guest().contains(page.page())) return kOutside;
  ring_ = mmu_.guest().table(page.page());
  next_ = 0;
  return {};
}

CallResult LguestCalls::new_pgtable(u64 root) {
  const Gpa table(root);
  if (!table.page_aligned()) return kInvalidCall;
  if (!mmu_.guest().contains(table.page()) || !mmu_.set_root(root)) return kOutside;
  return {};
}

CallResult LguestCalls::change(u64 number, u64 a0, u64 a1, u64 a2) {
  switch (number) {
    case kFlushTlb:
      mmu_.forget(a0 != 0 ? ToldMmu::Forget::kEverything : ToldMmu::Forget::kUser);
      return {};
    case kSetPte:
    case kSetPmd:
    case kSetPgd:
      break;
    default:
      return kNoSuchCall;
  }
  const Gpa root(a0);
  if (!root.page_aligned()) return kInvalidCall;
  if (!mmu_.guest().contains(root.page())) return kOutside;
  switch (number) {
    case kSetPte:
      return set_pte(root.page(), Gva(a1), pt::Entry(a2));
    case kSetPmd:
      return set_pmd(root.page(), a1);
    default:
      return set_pgd(root.page(), a1);
  }
}

CallResult LguestCalls::set_pte(u64 root, Gva va, pt::Entry entry) {
  if (!va.page_aligned() || !pt::canonical(va)) return kInvalidCall;
  if (entry.present() && !mmu_.guest().contains(entry.frame().number())) return kOutside;
  ++counters_.entries_told;
  mmu_.leaf_told(root, va, entry);
  return {};
}

CallResult LguestCalls::set_pmd(u64 root, u64 place) {
  const u64 level = place & kSetPmdLevel;
  const Gva va(place & ~kSetPmdLevel);
  if ((level != 2 && level != 3) || !pt::canonical(va)) return kInvalidCall;
  ++counters_.entries_told;
  mmu_.table_told(root, va, static_cast<unsigned>(level));
  return {};
}

CallResult LguestCalls::set_pgd(u64 root, u64 index) {
  if (index >= pt::kEntriesPerTable) return kInvalidCall;
  ++counters_.entries_told;
  // The address's top bits repeat the index's.
  const u64 va = static_cast<u64>(static_cast<i64>(index << (pt::level_shift(pt::kLevels) + 16)) >> 16);
  mmu_.table_told(root, Gva(va), pt::kLevels);
  return {};
}

}  // namespace nopte::hv
