// Memory for processes: slots of kernel memory that hold a Process at the low end and its kernel stack above.
// Slots are reused without zeroing and never given back: fork and exit take and return one in a few
// instructions.
#pragma once

#include "pvops/base/addr.h"
#include "pvops/base/result.h"

namespace nopte::guest {

// 3 slots fit in the 16 pages that kernel memory is granted in.
inline constexpr u64 kSlotPages = 5;
inline constexpr u64 kSlotBytes = kSlotPages * kPageBytes;

// The low end of a slot; its contents are arbitrary. Errors: kNoMemory.
Result<void*> take_process_slot();
void give_process_slot(void* slot);

}  // namespace nopte::guest
