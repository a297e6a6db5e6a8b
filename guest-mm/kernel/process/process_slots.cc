#include "guest-mm/kernel/process/process_slots.h"

#include "pvops/mm_ops.h"

namespace nopte::guest {

namespace {

constexpr u64 kGrantPages = 16;

struct FreeSlot {
  FreeSlot* next;
};
FreeSlot* g_free = nullptr;

}  // namespace

Result<void*> take_process_slot() {
  if (g_free == nullptr) {
    const Result<Gva> grant = mm_ops().kmem_alloc(kGrantPages);
    if (!grant) {
      return Fail(grant.error());
    }
    for (u64 slot = kGrantPages / kSlotPages; slot-- > 0;) {
      auto* const place = reinterpret_cast<void*>(grant->value() + slot * kSlotBytes);
      const_cast<u64&>(stack_end_mark(place)) = kStackEndMark;
      give_process_slot(place);
    }
  }
  FreeSlot* slot = g_free;
  g_free = slot->next;
  return slot;
}

void give_process_slot(void* slot) {
  auto* free = static_cast<FreeSlot*>(slot);
  free->next = g_free;
  g_free = free;
}

}  // namespace nopte::guest
