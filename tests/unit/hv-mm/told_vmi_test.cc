// VMI over a told shadow: what is refused changes nothing, what is told or queued is shown at once.
#include "hv-mm/told/vmi_calls.h"
#include "told_test.h"

namespace nopte::hv::testing {
namespace {

using namespace abi::vmi;

constexpr u64 kGuestFrames = 2148,  // the last large page is not whole
    kQueueFrame = 5;
constexpr u64 kLinear = 0xffff'8000'0000'0000;
constexpr u64 kPml4Pae = kPagePml4 | kPagePae;

class Vmi : public ToldTest {
 protected:
  Vmi() : ToldTest(kGuestFrames) {
    EXPECT_EQ(call(kSetQueue, {kQueueFrame * 4096}).status, Status::kOk);
    EXPECT_EQ(call(kSetLinearMapping, {0, kLinear, kGuestFrames, 0}).status, Status::kOk);
  }
  CallResult call(u64 number, const abi::Registers& arguments) {
    const CallResult result = calls.call(number, arguments);
    machine.adopt_root();
    return result;
  }
  static u64 pointer(u64 table, u64 slot) { return kLinear + table * 4096 + slot * 8; }
  void queue(std::initializer_list<u64> words) {
    u64 count = 0;
    for (const u64 word : words) machine.guest().write(kQueueFrame * 4096 + 8 * ++count, word);
    machine.guest().write(kQueueFrame * 4096, count);
  }
  u64 queued() { return machine.guest().read(kQueueFrame * 4096); }
  static u64 release_word(u64 frame, u64 flags = kPml4Pae) {
    return frame << kWordPageShift | flags << kWordFlagsShift | kWordRelease;
  }
  static u64 allocate_word(u64 frame, u64 flags) {
    return frame << kWordPageShift | flags << kWordFlagsShift | kWordAllocate;
  }

  VmiCalls calls{machine.mmu};
};

TEST_F(Vmi, AnUpdateIsShown) {
  machine.access(0x3000, 6);
  machine.guest().write(4 * 4096 + 3 * 8, 0);
  EXPECT_TRUE(machine.shadow_walk(0x3000, 4).ok);
  (void)machine.mmu.take_flush();
  EXPECT_EQ(call(kUpdatePxELong, {pointer(4, 3), kPagePt}).status, Status::kOk);
  EXPECT_FALSE(machine.shadow_walk(0x3000, 4).ok);
  EXPECT_TRUE(machine.mmu.take_flush());
}

TEST_F(Vmi, ASetWritesTheEntryAndShowsIt) {
  machine.access(0x3000, 4);
  EXPECT_EQ(machine.access(0x4000, 6).end, ToldMachine::Access::End::kReflected);
  EXPECT_EQ(
      call(kSetPxELong, {101 * 4096 | kFlags, pointer(4, 4), kPagePt | kCurrentAs | kDefer | 0x4000}).status,
      Status::kOk);
  EXPECT_EQ(machine.guest().read(4 * 4096 + 4 * 8), 101 * 4096 | kFlags);
  EXPECT_TRUE(machine.shadow_walk(0x4000, 6).ok);
  // With a table that is new.
  EXPECT_EQ(machine.access(0x200000, 6).end, ToldMachine::Access::End::kReflected);
  link(6 * 4096, 0, 102 * 4096);
  EXPECT_EQ(call(kSetPxELong, {6 * 4096 | kFlags, pointer(3, 1), kPagePd | kCurrentAs | 0x200000}).status,
            Status::kOk);
  EXPECT_TRUE(machine.shadow_walk(0x200000, 6).ok);
}

TEST_F(Vmi, WhatIsQueuedComesBeforeEveryCallAndEveryLook) {
  const auto lose = [&] {
    link(4 * 4096, 3, 100 * 4096);
    EXPECT_EQ(machine.access(0x3000, 6).gpa, 100u * 4096);
    machine.guest().write(4 * 4096 + 3 * 8, 0);
    queue({pointer(4, 3) | 1});
    EXPECT_TRUE(machine.shadow_walk(0x3000, 4).ok);
  };
  const auto gone = [&] { return queued() == 0 && !machine.shadow_walk(0x3000, 4).ok; };
  const abi::Registers none{};
  for (const u64 number : {u64{kInvalPage}, u64{kSetLazyMode}, u64{kGetCr3}, u64{9999}}) {
    lose();
    (void)call(number, none);
    EXPECT_TRUE(gone()) << number;
  }
  lose();
  EXPECT_EQ(call(kFlushTlb, {kFlushTlbEntries}).status, Status::kOk);
  EXPECT_TRUE(gone());
  lose();
  EXPECT_EQ(call(kSetCr3, {4096}).status, Status::kOk);
  EXPECT_TRUE(gone());
  lose();
  EXPECT_TRUE(calls.drain());  // a fault
  EXPECT_TRUE(gone());
  EXPECT_EQ(calls.counters().queues, 7u);
  EXPECT_EQ(calls.counters().entries_told, 7u);
}

TEST_F(Vmi, ANewRootShowsWhatItClones) {
  link(4096, 256, 7 * 4096);
  link(4096, 300, 7 * 4096);
  link(4096, 511, 7 * 4096);
  link(7 * 4096, 0, 8 * 4096);
  link(8 * 4096, 0, 9 * 4096);
  link(9 * 4096, 0, 103 * 4096);
  for (const u64 slot : {256, 300, 511}) machine.access(~u64{0} << 48 | slot << 39, 0);
  machine.access(0x3000, 4);
  // The new root in frame 10: 256 as it was, 300 another table, user entries its own.
  link(10 * 4096, 256, 7 * 4096);
  link(10 * 4096, 300, 11 * 4096);
  link(10 * 4096, 511, 7 * 4096);
  link(10 * 4096, 0, 2 * 4096);
  const u64 clone = 1 << kWordCloneShift | 256 << kWordFirstShift | 255;
  queue({allocate_word(10, kPml4Pae | kPageClone | kPageZeroed), clone});
  EXPECT_EQ(call(kSetCr3, {10 * 4096}).status, Status::kOk);
  EXPECT_EQ(call(kGetCr3, {}).value, 10u * 4096);
  EXPECT_TRUE(machine.shadow_walk(~u64{0} << 48 | u64{256} << 39, 0).ok);
  EXPECT_FALSE(machine.shadow_walk(~u64{0} << 48 | u64{300} << 39, 0).ok);
  EXPECT_FALSE(machine.shadow_walk(~u64{0} << 48 | u64{511} << 39, 0).ok);  // beyond the count
  EXPECT_FALSE(machine.shadow_walk(0x3000, 0).ok);
  EXPECT_EQ(machine.mmu.counters().root_misses, 1u);  // the first root of all
  machine.mmu.tables().check_invariants();
}

TEST_F(Vmi, AStaleEntryIsNotCloned) {
  const u64 va = ~u64{0} << 48 | u64{256} << 39;
  link(4096, 256, 7 * 4096);
  link(7 * 4096, 0, 8 * 4096);
  link(8 * 4096, 0, 9 * 4096);
  link(9 * 4096, 0, 103 * 4096);
  machine.access(va, 0);
  // Both roots have another table by now; what is shown of the first is older.
  link(4096, 256, 11 * 4096);
  link(10 * 4096, 256, 11 * 4096);
  queue({allocate_word(10, kPml4Pae | kPageClone), 1 << kWordCloneShift | 256 << kWordFirstShift | 256});
  EXPECT_EQ(call(kSetCr3, {10 * 4096}).status, Status::kOk);
  EXPECT_FALSE(machine.shadow_walk(va, 0).ok);
}

TEST_F(Vmi, AnInvalidationInsideALargeLeafLeavesIt) {
  constexpr u64 kVa = 4 << 21;
  machine.guest().write(3 * 4096 + 4 * 8, u64{4} << 21 | kFlags | kPs);
  EXPECT_EQ(machine.access(kVa + 0x2000, 4).gpa, kVa + 0x2000);
  machine.guest().write(kVa + 2 * 8, 50 * 4096 | kFlags);  // what lies there is no table
  EXPECT_EQ(call(kInvalPage, {kVa + 0x2000}).status, Status::kOk);
  EXPECT_EQ(machine.shadow_walk(kVa + 0x2000, 4).physical, kHostBase + kVa + 0x2000);
}

TEST_F(Vmi, AnAllocatedPageIsWhatItWasNoMore) {
  machine.access(0x3000, 4);
  ASSERT_NE(machine.mmu.tables().first_mirror(4), 0u);
  EXPECT_EQ(call(kAllocatePage, {4, kPagePt | kPagePae | kPageZeroed}).status, Status::kOk);
  EXPECT_EQ(machine.mmu.tables().first_mirror(4), 0u);
}

TEST_F(Vmi, AReleasedRootGoesWithAllBelow) {
  machine.access(0x3000, 4);
  link(10 * 4096, 511, 11 * 4096);
  ASSERT_EQ(call(kSetCr3, {10 * 4096}).status, Status::kOk);
  queue({release_word(1)});
  EXPECT_EQ(call(kFlushTlb, {kFlushTlbEntries | kFlushGlobal}).status, Status::kOk);
  (void)machine.mmu.take_flush();  // the exit ends
  for (u64 gfn = 1; gfn <= 4; ++gfn) EXPECT_EQ(machine.mmu.tables().first_mirror(gfn), 0u);
  // The root in use stays, empty; so it does when it is allocated anew from itself.
  EXPECT_EQ(call(kReleasePage, {10, kPml4Pae}).status, Status::kOk);
  EXPECT_EQ(call(kAllocatePage, {10, kPml4Pae | kPageClone, 10, 0, 512}).status, Status::kOk);
  EXPECT_NE(machine.mmu.tables().first_mirror(10), 0u);
  machine.mmu.tables().check_invariants();
}

TEST_F(Vmi, ARefusedCallChangesNothing) {
  machine.access(0x3000, 4);
  machine.guest().write(4 * 4096 + 3 * 8, 0);  // would be seen if anything were done
  const u64 entry = pointer(4, 3);
  // Numbers: 4-byte entries, those of VMI that are not for memory, and none at all.
  for (const u64 number :
       {0ull, 1ull, 16ull, 18ull, 38ull, 40ull, 42ull, 43ull, 49ull, 72ull, 74ull, 0xffff'ffffull}) {
    refused(call(number, {entry, entry, kPagePt}), kErrorNoSuchCall);
  }
  // Flags of an update.
  const u64 some = kPagePt;
  for (const u64 bad :
       {u64{0}, kPagePt | kPagePd, kPageTypes, some | 0x40, some | 0x80, some | 0x100, some | 0x200,
        some | 0x400, some | 0x800, some | 0x1000, some | kDefer, kCurrentAs | 0x3000}) {
    refused(call(kUpdatePxELong, {entry, bad}), kErrorFlags);
    refused(call(kSetPxELong, {0, entry, bad}), kErrorFlags);
  }
  refused(call(kUpdatePxELong, {entry, some | kCurrentAs | u64{1} << 62}), kErrorPointer);
  // Pointers.
  for (const u64 bad :
       {u64{4 * 4096 + 24}, entry + 1, entry + 4, kLinear - 8, pointer(kGuestFrames, 0), ~u64{7}, u64{0}}) {
    refused(call(kUpdatePxELong, {bad, some}), kErrorPointer);
    refused(call(kSetPxELong, {0, bad, some}), kErrorPointer);
  }
  // Pages.
  for (const u64 number : {u64{kAllocatePage}, u64{kReleasePage}}) {
    for (const u64 bad : {u64{0}, u64{kPagePae}, u64{kPagePt}, kPagePae | kPageTypes,
                          kPagePae | kPagePt | 0x80, kPagePae | kPagePt | u64{1} << 63}) {
      refused(call(number, {4, bad}), kErrorFlags);
    }
    for (const u64 bad : {kGuestFrames, ~u64{0}, u64{1} << 52}) {
      refused(call(number, {bad, kPagePt | kPagePae}), kErrorPage);
    }
  }
  refused(call(kReleasePage, {1, kPml4Pae | kPageClone}), kErrorFlags);
  refused(call(kReleasePage, {1, kPml4Pae | kPageZeroed}), kErrorFlags);
  refused(call(kAllocatePage, {4, kPagePt | kPagePae | kPageClone, 1, 0, 1}), kErrorFlags);
  refused(call(kAllocatePage, {4, kPml4Pae, 1, 0, 0}), kErrorFlags);
  refused(call(kAllocatePage, {4, kPml4Pae | kPageClone, 1, 0, 513}), kErrorFlags);
  refused(call(kAllocatePage, {4, kPml4Pae | kPageClone, 1, 512, 1}), kErrorFlags);
  refused(call(kAllocatePage, {4, kPml4Pae | kPageClone, 1, ~u64{0}, 2}), kErrorFlags);
  refused(call(kAllocatePage, {4, kPml4Pae | kPageClone, kGuestFrames, 0, 1}), kErrorPage);
  // Roots, invalidations, modes.
  refused(call(kSetCr3, {kGuestFrames * 4096}), kErrorPage);
  refused(call(kSetCr3, {1 << 12 | 1}), kErrorFlags);
  refused(call(kSetCr3, {1 << 12 | u64{1} << 63}), kErrorFlags);
  refused(call(kInvalPage, {u64{1} << 63}), kErrorPointer);
  for (const u64 bad : {u64{0}, u64{4}, u64{7}, ~u64{0}}) refused(call(kFlushTlb, {bad}), kErrorFlags);
  for (const u64 bad : {u64{2}, ~u64{0}}) refused(call(kSetLazyMode, {bad}), kErrorFlags);
  // Linear mappings: the old one stays.
  refused(call(kSetLinearMapping, {kLinearSlots, kLinear, 1, 0}), kErrorFlags);
  refused(call(kSetLinearMapping, {0, kLinear, kGuestFrames + 1, 0}), kErrorPage);
  refused(call(kSetLinearMapping, {0, kLinear, ~u64{0}, 0}), kErrorPage);
  refused(call(kSetLinearMapping, {0, kLinear, 1, kGuestFrames}), kErrorPage);
  refused(call(kSetLinearMapping, {0, kLinear, 2, ~u64{0}}), kErrorPage);
  refused(call(kSetLinearMapping, {0, kLinear + 1, 1, 0}), kErrorPointer);
  refused(call(kSetLinearMapping, {0, u64{1} << 63, 1, 0}), kErrorPointer);
  refused(call(kSetLinearMapping, {0, 0x7fff'ffff'f000, 2, 0}), kErrorPointer);
  refused(call(kSetLinearMapping, {0, ~u64{4095}, 2, 0}), kErrorPointer);
  // The queue: the old one stays.
  refused(call(kSetQueue, {1}), kErrorPointer);
  refused(call(kSetQueue, {kGuestFrames * 4096}), kErrorPage);
  EXPECT_EQ(calls.counters().update_pxes + calls.counters().set_pxes, 0u);
  queue({entry | 1});
  EXPECT_EQ(call(kSetLazyMode, {kLazyMmu}).status, Status::kOk);
  EXPECT_FALSE(machine.shadow_walk(0x3000, 4).ok);
}

TEST_F(Vmi, ARefusedQueueIsDroppedWhole) {
  machine.access(0x3000, 4);
  machine.guest().write(4 * 4096 + 3 * 8, 0);
  const u64 good = pointer(4, 3) | 1;
  const u64 bad_words[] = {0,
                           7,
                           pointer(4, 3),
                           pointer(4, 3) | 7,
                           pointer(kGuestFrames, 0) | 1,
                           3 * 8 | 1,
                           release_word(kGuestFrames),
                           release_word(1, kPagePml4),
                           release_word(1, kPml4Pae | 0x80),
                           allocate_word(4, kPml4Pae)};  // its second word is missing
  for (const u64 bad : bad_words) {
    queue({good, bad});
    refused(call(kFlushTlb, {kFlushTlbEntries}), kErrorQueue);
    EXPECT_EQ(queued(), 0u);
    queue({good, bad});
    EXPECT_FALSE(calls.drain());
    EXPECT_EQ(queued(), 0u);
  }
  queue({good, allocate_word(10, kPml4Pae | kPageClone), kGuestFrames << kWordCloneShift});
  refused(call(kSetCr3, {10 * 4096}), kErrorQueue);
  queue({good, allocate_word(10, kPml4Pae), 1});
  refused(call(kSetCr3, {10 * 4096}), kErrorQueue);
  for (const u64 count : {kQueueWords + 1, u64{1} << 32, ~u64{0}}) {
    queue({good});
    machine.guest().write(kQueueFrame * 4096, count);
    refused(call(kFlushTlb, {kFlushTlbEntries}), kErrorQueue);
  }
  EXPECT_EQ(calls.counters().entries_told, 0u);
  EXPECT_EQ(calls.counters().flush_tlbs, 0u);
}

TEST_F(Vmi, WithoutAQueueNothingIsRead) {
  machine.access(0x3000, 4);
  machine.guest().write(4 * 4096 + 3 * 8, 0);
  ASSERT_EQ(call(kSetQueue, {0}).status, Status::kOk);
  queue({pointer(4, 3) | 1});
  machine.guest().write(0, ~u64{0});
  EXPECT_EQ(call(kFlushTlb, {kFlushTlbEntries}).status, Status::kOk);
  EXPECT_TRUE(machine.shadow_walk(0x3000, 4).ok);
  EXPECT_EQ(machine.guest().read(0), ~u64{0});
}

// Random tables, each edit told by a call or by the queue: once the queue is read, the shadow never shows
// what the guest's tables do not say now.
TEST_F(Vmi, WhatIsToldIsNeverShownLonger) {
  RandomTables tables;
  auto& random = tables.random;
  ASSERT_EQ(call(kSetCr3, {RandomTables::kFirst * 4096}).status, Status::kOk);
  u64 shown_pages = 0, words = 0;
  const auto add = [&](u64 word) {
    machine.guest().write(kQueueFrame * 4096 + 8 * ++words, word);
    machine.guest().write(kQueueFrame * 4096, words);
  };
  const auto edit = [&] {
    const u64 table = tables.frame(), slot = tables.slot(), value = tables.entry(kGuestFrames);
    const unsigned level = 1 + random() % 4;
    if (random() % 4 == 0) {
      ASSERT_EQ(call(kSetPxELong, {value, pointer(table, slot), page_type(level)}).status, Status::kOk);
      words = 0;
      return;
    }
    link(table * 4096, slot, value, 0);
    add(pointer(table, slot) | level);
  };
  for (unsigned step = 0; step < 100'000; ++step) {
    for (u64 left = random() % 4; left != 0; --left) edit();
    if (random() % 16 == 0) add(release_word(tables.frame()));
    if (random() % 16 == 0) {
      add(allocate_word(tables.frame(), kPml4Pae | kPageClone));
      add(tables.frame() << kWordCloneShift | random() % 256 << kWordFirstShift | random() % 256);
    }
    if (random() % 16 == 0) {
      ASSERT_EQ(call(kSetCr3, {tables.frame() * 4096}).status, Status::kOk);
    } else if (random() % 16 == 0) {
      (void)call(random() % 80, {random() >> random() % 64, random() >> random() % 64, random() >> 52});
    } else {
      ASSERT_TRUE(calls.drain());
    }
    words = 0;
    for (unsigned accesses = 0; accesses < 2; ++accesses) {
      machine.access(tables.address(), random() % 2 * 2 | random() % 2 * 4);
    }
    (void)machine.mmu.take_flush();
    for (unsigned probe = 0; probe < 4; ++probe) shown_pages += shown_as_said(tables.address());
    ASSERT_FALSE(HasFailure()) << "at step " << step;
    if (step % 1000 == 0) machine.mmu.tables().check_invariants();
  }
  EXPECT_GT(shown_pages, 5'000u);
}

}  // namespace
}  // namespace nopte::hv::testing
