// lguest's memory interface over a told shadow: what is refused changes nothing, nonsense in the ring ends
// the guest, and what is told is shown at once.
#include <cstring>

#include "hv-mm/told/lguest_calls.h"
#include "told_test.h"

namespace nopte::hv::testing {
namespace {

using namespace abi::lguest;

constexpr u64 kGuestFrames = 2048, kRing = 5 * 4096, kKernelVa = 0xffff'8000'0000'3000;

class Lguest : public ToldTest {
 protected:
  // The kernel's half leads to the same tables.
  Lguest() : ToldTest(kGuestFrames) {
    link(kRoot, 256, 2 * 4096);
    std::fill_n(machine.guest().data() + kRing, kRingSlots, kSlotFree);
    EXPECT_EQ(call(kInit, kRing).status, Status::kOk);
  }
  CallResult call(u64 number, u64 a0 = 0, u64 a1 = 0, u64 a2 = 0) {
    return calls.call(number, {a0, a1, a2, 0, 0, 0});
  }
  // As the guest fills a slot of the ring.
  void put(u64 slot, u64 number, u64 a0 = 0, u64 a1 = 0, u64 a2 = 0) {
    const RingCall made{number, {a0, a1, a2}};
    std::memcpy(machine.guest().data() + kRing + offsetof(Ring, calls) + slot * sizeof(made), &made,
                sizeof(made));
    machine.guest().data()[kRing + slot] = kSlotFilled;
  }
  [[nodiscard]] bool waits(u64 slot) { return machine.guest().data()[kRing + slot] != kSlotFree; }
  [[nodiscard]] bool shows(u64 va, u64 access = 4) { return machine.shadow_walk(va, access).ok; }
  // It is shown for writing, and the guest goes on.
  void refused(const CallResult& result, u64 error) {
    ToldTest::refused(result, error);
    EXPECT_TRUE(shows(0x3000, 6));
    EXPECT_EQ(calls.ends_guest(), nullptr);
  }

  LguestCalls calls{machine.mmu};
};

TEST_F(Lguest, ALossIsShownWhenItIsTold) {
  machine.access(0x3000, 6);
  link(4 * 4096, 3, 100 * 4096, kFlags & ~kW);
  EXPECT_TRUE(shows(0x3000, 6));
  (void)machine.mmu.take_flush();
  EXPECT_EQ(call(kSetPte, kRoot, 0x3000, 100 * 4096 | (kFlags & ~kW)).status, Status::kOk);
  EXPECT_FALSE(shows(0x3000, 6));
  EXPECT_TRUE(shows(0x3000, 4));
  EXPECT_TRUE(machine.mmu.take_flush());
}

TEST_F(Lguest, AnEntryOfZeroIsAnInvlpg) {
  machine.access(0x3000, 4);
  EXPECT_EQ(call(kSetPte, kRoot, 0x3000, 0).status, Status::kOk);
  EXPECT_FALSE(shows(0x3000));
  EXPECT_EQ(machine.access(0x3000, 4).exits, 1u);  // the guest's table has it still
  EXPECT_TRUE(shows(0x3000));
}

TEST_F(Lguest, AGainAfterAFaultNeedsNoSecondFault) {
  machine.access(0x3000, 4);
  EXPECT_EQ(machine.access(0x4000, 6).end, ToldMachine::Access::End::kReflected);
  link(4 * 4096, 4, 101 * 4096);
  EXPECT_EQ(call(kSetPte, kRoot, 0x4000, 101 * 4096 | kFlags).status, Status::kOk);
  EXPECT_TRUE(shows(0x4000, 6));
  // With new tables at every level.
  u64 table = 6;
  for (const unsigned level : {2u, 3u, 4u}) {
    const u64 va = u64{1} << (12 + 9 * (level - 1));
    EXPECT_EQ(machine.access(va, 6).end, ToldMachine::Access::End::kReflected);
    for (unsigned l = 1; l < level; ++l) {
      link(table * 4096, 0, l == 1 ? 102 * 4096 : (table - 1) * 4096);
      ++table;
    }
    link((5 - level) * 4096, 1, (table - 1) * 4096);
    EXPECT_EQ((level == 4 ? call(kSetPgd, kRoot, 1) : call(kSetPmd, kRoot, va | level)).status, Status::kOk);
    EXPECT_TRUE(shows(va, 6)) << level;
  }
}

TEST_F(Lguest, AnUnlinkedTableIsForgotten) {
  for (const unsigned level : {2u, 3u, 4u}) {
    machine.access(0x3000, 4);
    machine.guest().write((5 - level) * 4096, 0);
    EXPECT_EQ((level == 4 ? call(kSetPgd, kRoot, 0) : call(kSetPmd, kRoot, level)).status, Status::kOk);
    (void)machine.mmu.take_flush();  // the exit ends
    for (u64 gfn = 6 - level; gfn <= 4; ++gfn) EXPECT_EQ(machine.mmu.tables().first_mirror(gfn), 0u);
    // It comes back with other contents, untold.
    machine.guest().write(4 * 4096 + 3 * 8, 0);
    link(4 * 4096, 5, 103 * 4096);
    link((5 - level) * 4096, 0, (6 - level) * 4096);
    EXPECT_EQ(machine.access(0x3000, 4).end, ToldMachine::Access::End::kReflected);
    EXPECT_EQ(machine.access(0x5000, 4).gpa, 103u * 4096);
    link(4 * 4096, 3, 100 * 4096);
  }
  machine.mmu.tables().check_invariants();
}

TEST_F(Lguest, AnotherRootsEntryIsAnotherEntry) {
  link(10 * 4096, 0, 11 * 4096);
  link(11 * 4096, 0, 12 * 4096);
  link(12 * 4096, 0, 13 * 4096);
  link(13 * 4096, 3, 104 * 4096);
  machine.access(0x3000, 4);
  machine.load_root(10 * 4096);
  machine.access(0x3000, 4);
  EXPECT_EQ(call(kSetPte, kRoot, 0x3000, 0).status, Status::kOk);
  EXPECT_TRUE(shows(0x3000));
  machine.load_root(kRoot);
  EXPECT_FALSE(shows(0x3000));
}

TEST_F(Lguest, KernelAddressesConcernEveryRoot) {
  // 10 leads to the same kernel tables, 20 to tables of its own.
  link(10 * 4096, 256, 2 * 4096);
  link(20 * 4096, 256, 21 * 4096);
  link(21 * 4096, 0, 22 * 4096);
  link(22 * 4096, 0, 23 * 4096);
  link(23 * 4096, 3, 100 * 4096);
  constexpr u64 kRoots[] = {kRoot, 10 * 4096, 20 * 4096};
  const auto use_all = [&] {
    for (const u64 root : kRoots) {
      machine.load_root(root);
      machine.access(kKernelVa, 0);
    }
  };
  const auto none_shows = [&] {
    for (const u64 root : kRoots) {
      machine.load_root(root);
      EXPECT_FALSE(shows(kKernelVa, 0)) << root;
    }
  };
  use_all();
  EXPECT_EQ(call(kSetPte, 9 * 4096, kKernelVa, 0).status, Status::kOk);
  none_shows();
  use_all();
  EXPECT_EQ(call(kSetPmd, kRoot, (kKernelVa & ~u64{4095}) | 2).status, Status::kOk);
  none_shows();
  use_all();
  EXPECT_EQ(call(kSetPmd, kRoot, (kKernelVa & ~u64{4095}) | 3).status, Status::kOk);
  none_shows();
  use_all();
  EXPECT_EQ(call(kSetPgd, kRoot, 256).status, Status::kOk);
  none_shows();
  use_all();
  EXPECT_EQ(call(kFlushTlb, 1).status, Status::kOk);
  none_shows();
  machine.mmu.tables().check_invariants();
}

TEST_F(Lguest, AFlushOfTheUserForgetsTheRootInUse) {
  machine.access(0x3000, 4);
  machine.access(kKernelVa, 0);
  (void)machine.mmu.take_flush();
  EXPECT_EQ(call(kFlushTlb, 0).status, Status::kOk);
  EXPECT_FALSE(shows(0x3000));
  EXPECT_TRUE(shows(kKernelVa, 0));
  EXPECT_TRUE(machine.mmu.take_flush());
}

TEST_F(Lguest, ANewRootIsLoaded) {
  EXPECT_EQ(call(kNewPgtable, 10 * 4096).status, Status::kOk);
  EXPECT_EQ(machine.mmu.guest_root(), 10u * 4096);
}

TEST_F(Lguest, TheRingIsPerformedInOrderBeforeACall) {
  machine.access(0x3000, 6);
  put(0, kSetPte, kRoot, 0x3000, 101 * 4096 | kFlags);
  put(1, kSetPte, kRoot, 0x3000, 102 * 4096 | kFlags);
  put(3, kSetPte, kRoot, 0x3000, 103 * 4096 | kFlags);  // behind a free slot: not yet
  EXPECT_EQ(call(kFlushAsync).status, Status::kOk);
  EXPECT_EQ(machine.shadow_walk(0x3000, 4).physical, 102 * 4096 + kHostBase);
  EXPECT_FALSE(waits(0) || waits(1));
  EXPECT_TRUE(waits(3));
  put(2, kFlushTlb);
  EXPECT_EQ(call(kSetPte, kRoot, 0x4000, 0).status, Status::kOk);
  EXPECT_FALSE(shows(0x3000));
  EXPECT_FALSE(waits(3));
  EXPECT_EQ(calls.counters().ring_calls, 4u);
}

TEST_F(Lguest, TheRingGoesRoundAndEachExitPerformsAtMostItsSlots) {
  machine.access(0x3000, 6);
  put(0, kSetPte, kRoot, 0x3000, 0);
  EXPECT_EQ(call(kFlushAsync).status, Status::kOk);
  for (u64 slot = 0; slot < kRingSlots; ++slot) put(slot, kSetPte, kRoot, 0x3000, 0);
  calls.drain();
  EXPECT_EQ(calls.counters().ring_calls, 1 + kRingSlots);
  for (u64 slot = 0; slot < kRingSlots; ++slot) EXPECT_FALSE(waits(slot));
  put(1, kSetPte, kRoot, 0x3000, 0);  // where it went on
  calls.drain();
  EXPECT_FALSE(waits(1));
}

TEST_F(Lguest, BadCallsAreRefusedAndChangeNothing) {
  machine.access(0x3000, 6);
  for (const u64 bad : {kGuestFrames * 4096, u64{1} << 52, u64{1} << 63, ~u64{4095}}) {
    refused(call(kNewPgtable, bad), kErrorFault);
    refused(call(kSetPte, bad, 0x3000, 0), kErrorFault);
    refused(call(kSetPmd, bad, 2), kErrorFault);
    refused(call(kSetPgd, bad, 0), kErrorFault);
  }
  refused(call(kSetPte, kRoot, 0x3000, kGuestFrames * 4096 | kFlags), kErrorFault);
  refused(call(kSetPte, kRoot, 0x3000, (u64{1} << 51) | kFlags), kErrorFault);
  for (const u64 root : {u64{1}, kRoot + 8, kRoot | u64{1} << 11}) {
    refused(call(kNewPgtable, root), kErrorInvalid);
    refused(call(kSetPte, root, 0x3000, 0), kErrorInvalid);
    refused(call(kSetPmd, root, 2), kErrorInvalid);
    refused(call(kSetPgd, root, 0), kErrorInvalid);
  }
  refused(call(kSetPte, kRoot, 0x3001, 0), kErrorInvalid);
  for (const u64 va : {u64{0x8000'0000'0000}, u64{0xffff'7fff'ffff'f000}}) {
    refused(call(kSetPte, kRoot, va, 0), kErrorInvalid);
    refused(call(kSetPmd, kRoot, va | 2), kErrorInvalid);
  }
  for (const u64 level : {0, 1, 4, 5, 0x802, 0xfff}) refused(call(kSetPmd, kRoot, level), kErrorInvalid);
  for (const u64 index : {u64{512}, ~u64{0}, u64{1} << 32}) {
    refused(call(kSetPgd, kRoot, index), kErrorInvalid);
  }
  for (const u64 number : {2ull, 3ull, 6ull, 12ull, 16ull, 17ull, 0xffff'ffffull}) {
    refused(call(number, kRoot, 0x3000), kErrorNoSuchCall);
  }
  refused(call(kInit, 6 * 4096), kErrorExists);
  EXPECT_EQ(calls.counters().entries_told, 0u);
}

TEST_F(Lguest, ABadRingIsRefused) {
  LguestCalls fresh(machine.mmu);
  EXPECT_EQ(fresh.call(kInit, {kRing + 8}).value, kErrorInvalid);
  EXPECT_EQ(fresh.call(kInit, {kGuestFrames * 4096}).value, kErrorFault);
  EXPECT_EQ(fresh.call(kInit, {~u64{4095}}).value, kErrorFault);
  put(0, kSetPte, kRoot, 0x3000, 0);  // none of its business
  EXPECT_EQ(fresh.call(kFlushAsync, {}).status, Status::kOk);
  EXPECT_TRUE(waits(0));
}

TEST_F(Lguest, NonsenseInTheRingEndsTheGuest) {
  struct Nonsense {
    u64 number, a0, a1, a2;
    const char* says;
  };
  for (const Nonsense& bad : {Nonsense{99, 0, 0, 0, "does not take"},
                              {u64{1} << 32 | kSetPte, kRoot, 0x3000, 0, "does not take"},
                              {kInit, kRing, 0, 0, "does not take"},
                              {kFlushAsync, 0, 0, 0, "does not take"},
                              {kNewPgtable, kRoot, 0, 0, "does not take"},
                              {kSetPte, kGuestFrames * 4096, 0x3000, 0, "does not have"},
                              {kSetPte, kRoot, 0x3000, kGuestFrames * 4096 | kFlags, "does not have"},
                              {kSetPte, kRoot, 0x3001, 0, "no sense"},
                              {kSetPmd, kRoot, 1, 0, "no sense"},
                              {kSetPgd, kRoot, 512, 0, "no sense"}}) {
    LguestCalls fresh(machine.mmu);
    ASSERT_EQ(fresh.call(kInit, {kRing}).status, Status::kOk);
    machine.access(0x3000, 6);
    put(0, bad.number, bad.a0, bad.a1, bad.a2);
    put(1, kSetPte, kRoot, 0x3000, 0);
    EXPECT_NE(fresh.call(kNewPgtable, {10 * 4096}).status, Status::kOk);
    ASSERT_NE(fresh.ends_guest(), nullptr);
    EXPECT_NE(std::string_view(fresh.ends_guest()).find(bad.says), std::string_view::npos)
        << fresh.ends_guest();
    EXPECT_TRUE(shows(0x3000, 6));  // nothing behind it is performed, nor the call
    EXPECT_EQ(machine.mmu.guest_root(), kRoot);
    fresh.drain();
    EXPECT_TRUE(waits(1));
    std::fill_n(machine.guest().data() + kRing, kRingSlots, kSlotFree);
  }
}

// Random tables that share nothing, each edit told, at once or later: when the ring is empty, the shadow
// shows nothing that the guest's tables do not say.
TEST_F(Lguest, WhatIsToldIsNeverShownLonger) {
  std::mt19937_64 random(1);
  constexpr u64 kFirst = 16, kRoots = 3, kTablesPerLevel = 4, kMine = 4;
  // Tables by root and place, so that none serves two.
  const auto table = [&](u64 root, unsigned level, u64 number) {
    return (kFirst + (root * 4 + level - 1) * kTablesPerLevel + (level == 4 ? 0 : number)) * 4096;
  };
  u64 next = 0, shown_pages = 0, running = 0;
  machine.load_root(table(0, 4, 0));
  for (unsigned step = 0; step < 200'000; ++step) {
    const u64 root = random() % kRoots;
    const unsigned dice = random() % 100;
    // Table `number` of each level lies below entry `number` of the only table that has children; the others
    // are empty but for leaves.
    const u64 number = random() % kMine;
    const u64 page = random() % kMine;
    if (dice < 40) {
      machine.access(number << 21 | page << 12, random() % 2 * 2 | 4);
    } else if (dice < 85) {
      const unsigned level = 1 + random() % 4;
      const u64 at = level == 1 ? table(root, 1, number) + page * 8
                                : table(root, level, 0) + (level == 2 ? number : 0) * 8;
      u64 value = 0;
      if (random() % 4 != 0) {
        value = (level == 1   ? (1000 + random() % 500) * 4096
                 : level == 2 ? table(root, 1, number)
                              : table(root, level - 1, 0)) |
                kFlags;
        if (random() % 4 == 0) value &= level == 1 ? ~u64{kW} : ~u64{kU};
        if (random() % 8 == 0) value &= ~u64{kA};
      }
      machine.guest().write(at, value);
      const u64 cr3 = table(root, 4, 0);
      const u64 va = number << 21 | page << 12;
      const RingCall made = level == 1 ? RingCall{kSetPte, {cr3, va, value}}
                            : level == 4
                                ? RingCall{kSetPgd, {cr3, 0, 0}}
                                : RingCall{kSetPmd, {cr3, (level == 2 ? va & ~u64{4095} : 0) | level, 0}};
      if (random() % 2 == 0 || waits(next)) {
        ASSERT_EQ(call(made.number, made.arguments[0], made.arguments[1], made.arguments[2]).status,
                  Status::kOk);
      } else {
        put(next, made.number, made.arguments[0], made.arguments[1], made.arguments[2]);
        next = (next + 1) % kRingSlots;
      }
    } else if (dice < 92) {
      ASSERT_EQ(call(kNewPgtable, table(root, 4, 0)).status, Status::kOk);
      running = root;
      machine.load_root(table(running, 4, 0));
    } else if (dice < 94) {
      (void)call(kFlushTlb, random() % 2);
    } else {
      (void)call(random() % 18, random() >> random() % 64, random() >> random() % 64,
                 random() >> random() % 64);
    }
    ASSERT_EQ(calls.ends_guest(), nullptr);
    if (machine.mmu.guest_root() != machine.cr3()) machine.load_root(machine.mmu.guest_root());
    if (waits((next + kRingSlots - 1) % kRingSlots)) continue;
    for (unsigned probe = 0; probe < 4; ++probe) {
      const u64 va = random() % kMine << 21 | random() % kMine << 12;
      shown_pages += shown_as_said(va);
    }
    ASSERT_FALSE(HasFailure()) << "at step " << step;
    if (step % 1000 == 0) machine.mmu.tables().check_invariants();
  }
  EXPECT_GT(shown_pages, 5'000u);
}

}  // namespace
}  // namespace nopte::hv::testing
