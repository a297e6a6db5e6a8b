// Region calls without exits (feature region-queue): one queue for each space, in kernel memory that the
// hypervisor grants for good (region_queues) and both sides see. The guest puts calls there; the hypervisor
// takes them, in order, at any access, region call or switch that concerns the space.
//
//   head                         tail        a slot is calls[index % kQueueSlots]; head, tail, cost and limit
//    |  live  live  cancelled  live |        only grow, and wrap
//
// One producer at a time (the guest's lock of the space). Each slot's `state` is its lock between the sides:
//   guest        free -> live (number of the call, arguments first), then tail + 1
//                live -> cancelled: the call never happened
//                cancelled -> filling -> live: another takes its place, where nothing was put behind it
//   hypervisor   live -> taken, cancelled -> taken, then head + 1. It stops at `filling`.
// A call in a queue cannot fail: what it may need is paid for ahead. The guest puts one only while cost plus
// what that call costs is at most limit. A queue that is full or short is an ordinary call, which is after
// all that is queued.
//
// What takes rights away is called, but for the unmap of what nothing was ever installed in. With the feature
// untouched-words the hypervisor says so of ranges as they were mapped, each in one word:
//   hypervisor   any -> untouched (range), when it takes the map; untouched -> 0, before it installs a page,
//                or does a call that may, or changes what is promised there
//   guest        untouched -> dying: then region_unmap of that range is put, or called
// It installs nothing where a word is dying.
//
// papers/region_queue.pml is this as a model.
#pragma once

#include <array>

#include "pvops/base/addr.h"

namespace nopte::abi {

inline constexpr u32 kQueueSlots = 16;
inline constexpr u64 kQueueBytes = 1024;
// A block holds the queues of as many spaces, by their ids, and is as long as what kmem_alloc grants least.
inline constexpr u32 kQueuesPerBlock = 64;
inline constexpr u64 kQueueBlockPages = 16;
// Spaces beyond the last block have none.
inline constexpr u32 kQueueBlocks = 64;

inline constexpr u64 kQueuedFree = 0;
inline constexpr u64 kQueuedTaken = 0;
inline constexpr u64 kQueuedCancelled = ~u64{0};
inline constexpr u64 kQueuedFilling = ~u64{0} - 1;

// A call as in registers, less its first argument: that is the queue's space.
struct QueuedCall {
  u64 state = kQueuedFree;
  std::array<u64, 5> arguments{};
};

// Where the word of a range is that begins there, if it has one.
inline constexpr u32 kQueueWords = 16;
inline constexpr u64 kWordFactor = 0x9e37'79b9'7f4a'7c15;
constexpr u32 word_index(Gva begin) { return static_cast<u32>(begin.value() * kWordFactor >> 60); }
// Longer ones have none.
inline constexpr u64 kMostWordPages = (u64{1} << 26) - 1;
// Bits 28-63: the low bits of the first page's number; 2-27: pages; 0-1: 1.
constexpr u64 untouched_word(VaRange range) { return range.begin.page() << 28 | range.pages() << 2 | 1; }
constexpr u64 dying_word(u64 untouched) { return untouched + 1; }
struct RegionQueue {
  // The guest's.
  u32 tail = 0;  // calls put
  u32 cost = 0;  // what those put, and not cancelled, cost
  // The hypervisor's.
  u32 head = 0;   // calls taken
  u32 limit = 0;  // how far cost may go
  std::array<u64, 6> reserved{};
  std::array<QueuedCall, kQueueSlots> calls{};
  std::array<u64, kQueueWords> words{};
};
static_assert(sizeof(RegionQueue) <= kQueueBytes && (kQueueSlots & (kQueueSlots - 1)) == 0);
static_assert(kQueuesPerBlock * kQueueBytes == kQueueBlockPages << 12);

// How many regions more each may make.
inline constexpr u32 kQueuedMapCost = 1;
inline constexpr u32 kQueuedUnmapCost = 1;
inline constexpr u32 kQueuedProtectCost = 2;
// region_protect may be queued where it takes no right away; of so many pages at most, which bounds the
// regions that it is about. What is installed gains at its next fault.
inline constexpr u64 kQueuedProtectPages = 32;

#ifdef NOPTE_FREESTANDING
constexpr void let_other_side() {}
#else
// What a hosted test has the other side do behind a look at a word that it may write.
inline void (*g_other_side)() = nullptr;
inline void let_other_side() {
  if (g_other_side != nullptr) [[unlikely]]
    g_other_side();
}
#endif

// The other side may write at any moment: every word is read once, and whole.
template <class Word>
Word shared_load(const Word& word) {
  const Word value = __atomic_load_n(&word, __ATOMIC_ACQUIRE);
  let_other_side();
  return value;
}
// Says only whether shared_change is worth its while.
[[gnu::always_inline]] inline bool shared_glance(const u64& word, u64 wanted) {
  const bool is_it = word == wanted;
  let_other_side();
  return is_it;
}
template <class Word>
void shared_store(Word& word, Word value) {
  __atomic_store_n(&word, value, __ATOMIC_RELEASE);
}
// False: it was not `from`.
inline bool shared_change(u64& word, u64 from, u64 to) {
  return __atomic_compare_exchange_n(&word, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

}  // namespace nopte::abi
