// On to the next leaf table or large leaf, over what is empty. Included by cursor.h.
#pragma once

namespace nopte::pt {

template <PageTableSink Sink>
bool Cursor<Sink>::seek_further(Gva end) {
  for (;;) {
    if (kept()) {
      walk_on();
      if (path_.level == 1 || at_large_page()) return true;
    }
    // Nothing lies below this entry.
    if (entry_end() > end - 1) return false;
    const Gva here = next_address();
    // Wrapped at the top of the address space, or past the end.
    if (here <= va_ || here >= end) return false;
    walk(here);
    if (path_.level == 1 || at_large_page()) return true;
  }
}

}  // namespace nopte::pt
