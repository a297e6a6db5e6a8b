#include "hv-mm/told/vmi_calls.h"

#include <cstring>

namespace nopte::hv {

using namespace abi::vmi;

namespace {

// A word of the queue that names an entry, of any level.
constexpr bool is_entry(u64 word) { return (word & kWordOp) - 1 < pt::kLevels; }

}  // namespace

CallResult VmiCalls::call(u64 number, const abi::Registers& arguments) {
  if (!drain()) return refuse(kErrorQueue);
  const auto& [a0, a1, a2, a3, a4, a5] = arguments;
  switch (number) {
    case kSetPxELong:
      return set_pxe(a0, a1, a2);
    case kUpdatePxELong:
      return update_pxe(a0, a1);
    case kSetCr3:
      return set_cr3(a0);
    case kGetCr3:
      return mmu_.guest_root();
    case kInvalPage:
      if (!pt::canonical(Gva(a0))) return refuse(kErrorPointer);
      ++counters_.inval_pages;
      mmu_.invlpg(Gva(a0));
      return {};
    case kFlushTlb:
      return flush_tlb(a0);
    case kAllocatePage: {
      const NewPage page{a0, a1, a2, a3, a4};
      if (const u64 error = check(page)) return refuse(error);
      allocate(page);
      return {};
    }
    case kReleasePage:
      if (const u64 error = check_release(a0, a1)) return refuse(error);
      ++counters_.released_pages;
      mmu_.table_released(a0);
      return {};
    case kSetLazyMode:
      if (a0 > kLazyMmu) return refuse(kErrorFlags);
      ++counters_.set_lazy_modes;  // what the guest may gather is already done
      return {};
    case kSetLinearMapping:
      return set_linear_mapping(a0, a1, a2, a3);
    case kSetQueue:
      return set_queue(a0);
    default:
      return refuse(kErrorNoSuchCall);
  }
}

CallResult VmiCalls::refuse(u64 error) {
  ++counters_.refused;
  switch (error) {
    case kErrorNoSuchCall:
      return {Status::kUnsupported, error};
    case kErrorPointer:
    case kErrorPage:
      return {Status::kBadAddress, error};
    default:
      return {Status::kInvalid, error};
  }
}

// --- entries -----------------------------------------------------------------------------------------------

std::optional<Gpa> VmiCalls::entry_at(u64 pointer) const {
  if (pointer % sizeof(u64) != 0) return std::nullopt;
  for (const LinearMapping& mapping : linear_) {
    if (pointer - mapping.va < mapping.bytes) return mapping.to + (pointer - mapping.va);
  }
  return std::nullopt;
}

u64 VmiCalls::check_update(u64 flags) {
  const u64 va = flags & ~kUpdateFlagBits;
  if ((flags & kUpdateFlagBits & ~kKnownUpdateFlags) != 0 || !one_page_type(flags)) return kErrorFlags;
  if (!(flags & kCurrentAs)) return va != 0 || (flags & kDefer) ? kErrorFlags : 0;
  return pt::canonical(Gva(va)) ? 0 : kErrorPointer;
}

CallResult VmiCalls::set_pxe(u64 entry, u64 pointer, u64 flags) {
  if (const u64 error = check_update(flags)) return refuse(error);
  const auto at = entry_at(pointer);
  if (!at) return refuse(kErrorPointer);
  ++counters_.set_pxes;
  mmu_.entry_set(*at, pt::Entry(entry));
  mmu_.told_all();
  return {};
}

CallResult VmiCalls::update_pxe(u64 pointer, u64 flags) {
  if (const u64 error = check_update(flags)) return refuse(error);
  const auto at = entry_at(pointer);
  if (!at) return refuse(kErrorPointer);
  ++counters_.update_pxes;
  mmu_.entry_told(*at);
  mmu_.told_all();
  return {};
}

// --- tables ------------------------------------------------------------------------------------------------

u64 VmiCalls::check_release(u64 page, u64 flags) const {
  if ((flags & ~(kPageTypes | kPagePae)) != 0 || !(flags & kPagePae) || !one_page_type(flags)) {
    return kErrorFlags;
  }
  return mmu_.guest().contains(page) ? 0 : kErrorPage;
}

u64 VmiCalls::check(const NewPage& page) const {
  if (const u64 error = check_release(page.page, page.flags & ~(kPageClone | kPageZeroed))) return error;
  if (!(page.flags & kPageClone)) return (page.clone_from | page.first | page.count) == 0 ? 0 : kErrorFlags;
  if (!(page.flags & kPagePml4) || page.count > pt::kEntriesPerTable ||
      page.first > pt::kEntriesPerTable - page.count) {
    return kErrorFlags;
  }
  return mmu_.guest().contains(page.clone_from) ? 0 : kErrorPage;
}

void VmiCalls::allocate(const NewPage& page) {
  ++counters_.allocated_pages;
  if (page.flags & kPageClone) {
    mmu_.root_cloned(page.page, page.clone_from, static_cast<unsigned>(page.first),
                     static_cast<unsigned>(page.count));
  } else {
    mmu_.table_released(page.page);  // what it was before is over
  }
}

// --- the queue ---------------------------------------------------------------------------------------------

VmiCalls::NewPage VmiCalls::new_page(u64 word, u64 second) {
  constexpr u64 kLow = (u64{1} << kWordPageShift) - 1;
  return {word >> kWordPageShift, (word & kLow) >> kWordFlagsShift, second >> kWordCloneShift,
          second >> kWordFirstShift & kLow, second & kLow};
}

bool VmiCalls::queue_refused() {
  ++counters_.refused;
  return false;
}

// First all that can be refused, then what cannot fail. The words are read again for that: the guest stands
// still, and nothing that is performed writes to its memory.
bool VmiCalls::drain(u64 count) {
  constexpr u64 kEmpty = 0;
  std::memcpy(queue_, &kEmpty, sizeof(kEmpty));
  if (count > kQueueWords) return queue_refused();
  u64 entries = 0;
  for (u64 i = 0; i < count; ++i) {
    const u64 word = queued(i);
    const u64 op = word & kWordOp;
    if (is_entry(word)) [[likely]] {
      if (!entry_at(word & ~kWordOp)) return queue_refused();
      ++entries;
    } else if (op == kWordAllocate) {
      if (++i == count || check(new_page(word, queued(i))) != 0) return queue_refused();
    } else if (const NewPage page = new_page(word, 0);
               op != kWordRelease || check_release(page.page, page.flags) != 0) {
      return queue_refused();
    }
  }
  ++counters_.queues;
  counters_.entries_told += entries;
  if (entries == count) [[likely]] {
    look_at_entries(0, count);
  } else {
    perform_in_order(count);
  }
  mmu_.told_all();
  return true;
}

void VmiCalls::look_at_entries(u64 first, u64 end) {
  mmu_.entries_told(first, end, [this](u64 i) { return *entry_at(queued(i) & ~kWordOp); });
}

// A queue that begins or ends tables, too.
void VmiCalls::perform_in_order(u64 count) {
  for (u64 i = 0; i < count; ++i) {
    const u64 first = i;
    while (i < count && is_entry(queued(i))) ++i;
    look_at_entries(first, i);
    if (i == count) break;
    const u64 word = queued(i);
    if ((word & kWordOp) == kWordAllocate) {
      allocate(new_page(word, queued(++i)));
    } else {
      ++counters_.released_pages;
      mmu_.table_released(word >> kWordPageShift);
    }
  }
}

CallResult VmiCalls::set_queue(u64 address) {
  const Gpa page(address);
  if (!page.page_aligned()) return refuse(kErrorPointer);
  if (!mmu_.guest().contains(page.page())) return refuse(kErrorPage);
  queue_ = address == 0 ? nullptr : mmu_.guest().table(page.page());
  return {};
}

// --- the rest ----------------------------------------------------------------------------------------------

CallResult VmiCalls::set_cr3(u64 value) {
  constexpr u64 kCacheBits = 0x18;  // PWT, PCD
  if ((value & ~(pt::Entry::kFrameMask | kCacheBits)) != 0) return refuse(kErrorFlags);
  if (!mmu_.set_root(value)) return refuse(kErrorPage);
  ++counters_.set_cr3s;
  return {};
}

CallResult VmiCalls::flush_tlb(u64 what) {
  if (what == 0 || (what & ~(kFlushTlbEntries | kFlushGlobal)) != 0) return refuse(kErrorFlags);
  ++counters_.flush_tlbs;
  mmu_.flush();
  return {};
}

CallResult VmiCalls::set_linear_mapping(u64 slot, u64 va, u64 pages, u64 page) {
  const u64 frames = mmu_.guest().frames;
  if (slot >= kLinearSlots) return refuse(kErrorFlags);
  if (page > frames || pages > frames - page) return refuse(kErrorPage);
  const u64 bytes = pages_to_bytes(pages);
  // The whole of it on one side of the addresses that are none.
  const bool wraps = bytes != 0 && va + (bytes - 1) < va;
  if (!Gva(va).page_aligned() || !pt::canonical(Gva(va)) || wraps ||
      (bytes != 0 && static_cast<i64>(va ^ (va + (bytes - 1))) < 0) ||
      (bytes != 0 && !pt::canonical(Gva(va + (bytes - 1))))) {
    return refuse(kErrorPointer);
  }
  linear_[slot] = {va, bytes, Gpa(pages_to_bytes(page))};
  return {};
}

}  // namespace nopte::hv
