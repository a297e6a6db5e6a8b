// The entry primitive: the one place that loads, stores or exchanges a word of a page table. Sinks, shadow
// and the tests' machine go through it; tests/gates/only_the_cursor_stores.sh checks that.
//
// Concurrency: the processor may set A and D in a present entry at any moment, so an entry that was present
// is only ever replaced by exchange_entry.
#pragma once

#include <atomic>

#include "native-fallback/format/x86_entry.h"

namespace nopte::pt {

// `table` points to a table frame of entries of type E.
template <class E = Entry>
inline E load_entry(const u8* table, unsigned index) {
  return E(__atomic_load_n(reinterpret_cast<const typename E::Word*>(table) + index, __ATOMIC_RELAXED));
}

// Precondition: the processor cannot set bits there now: the entry is not present, or the table is private.
template <class E>
inline void store_entry(u8* table, unsigned index, E entry) {
  __atomic_store_n(reinterpret_cast<typename E::Word*>(table) + index, entry.word(), __ATOMIC_RELEASE);
}

// Replaces `expected`, as it was read, by `desired`; A and D that the processor has set since are kept in a
// desired entry that holds a frame. Returns what was replaced.
template <class E>
inline E exchange_entry(u8* table, unsigned index, E expected, E desired) {
  using Word = typename E::Word;
  Word* word = reinterpret_cast<Word*>(table) + index;
  Word old = expected.word();
  Word value = desired.word();
  while (!__atomic_compare_exchange_n(word, &old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
      [[unlikely]] {
    const Word kept = desired.holds_frame() ? E::kAccessed | E::kDirty : 0;
    value = desired.word() | (old & kept);
  }
  return E(old);
}

}  // namespace nopte::pt
