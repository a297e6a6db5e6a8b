// The entry primitive: the one place that loads, stores or exchanges a word of a page table. Sinks, shadow
// and the tests' machine go through it; tests/gates/only_the_cursor_stores.sh checks that.
//
// Concurrency: the processor may set A and D in a present entry at any moment, so an entry that was present
// is only ever replaced by exchange_entry.
#pragma once

#include <atomic>

#include "native-fallback/format/x86_entry.h"

namespace nopte::pt {

// `table` is a window onto a table frame.
inline Entry load_entry(const u8* table, unsigned index) {
  return Entry(__atomic_load_n(reinterpret_cast<const u64*>(table) + index, __ATOMIC_RELAXED));
}

// Precondition: the processor cannot set bits there now: the entry is not present, or the table is private.
inline void store_entry(u8* table, unsigned index, Entry entry) {
  __atomic_store_n(reinterpret_cast<u64*>(table) + index, entry.word(), __ATOMIC_RELEASE);
}

// Replaces `expected`, as it was read, by `desired`; A and D that the processor has set since are kept in a
// desired entry that holds a frame. Returns what was replaced.
inline Entry exchange_entry(u8* table, unsigned index, Entry expected, Entry desired) {
  u64* word = reinterpret_cast<u64*>(table) + index;
  u64 old = expected.word();
  const u64 kept = desired.holds_frame() ? Entry::kAccessed | Entry::kDirty : 0;
  u64 value = desired.word();
  while (!__atomic_compare_exchange_n(word, &old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
    value = desired.word() | (old & kept);
  }
  return Entry(old);
}

}  // namespace nopte::pt
