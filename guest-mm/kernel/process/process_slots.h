// Memory for processes: slots of kernel memory that hold a Process at the low end and its kernel stack above.
// Between the two lies a word that nobody writes but a stack that grew too long.
// Slots are reused without zeroing and never given back: fork and exit take and return one in a few
// instructions.
#pragma once

#include "pvops/base/addr.h"
#include "pvops/base/result.h"

namespace nopte::guest {

// 3 slots fit in the 16 pages that kernel memory is granted in.
inline constexpr u64 kSlotPages = 5;
inline constexpr u64 kSlotBytes = kSlotPages * kPageBytes;

// Of it the stack has what lies above this.
inline constexpr u64 kSlotStackBytes = 14 * 1024;
inline constexpr u64 kStackEndMark = 0x6b63'6174'7320'6f6e;
inline const u64& stack_end_mark(const void* slot) {
  return *reinterpret_cast<const u64*>(static_cast<const char*>(slot) + kSlotBytes - kSlotStackBytes -
                                       sizeof(u64));
}
// Nothing has grown out of the slot's stack. Where that is not so, what lies below is anything.
inline bool stack_is_whole(const void* slot) { return stack_end_mark(slot) == kStackEndMark; }

// The low end of a slot; its contents are arbitrary but for the mark. Errors: kNoMemory.
Result<void*> take_process_slot();
void give_process_slot(void* slot);

}  // namespace nopte::guest
