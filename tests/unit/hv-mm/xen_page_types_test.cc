// Direct paging: each rule of the validator, and what is refused changes nothing.
#include <gtest/gtest.h>

#include <random>

#include "tests/support/xen_machine.h"

namespace nopte::hv::testing {
namespace {

using abi::xen::Mmuext;
using Errno = XenErrno;

class XenPageTypes : public ::testing::Test {
 protected:
  void TearDown() override { machine.check(); }
  u64 frame(u64 n) { return machine.first_free() + n; }
  // Not writable any more, so that it can become a table.
  u64 hidden(u64 n) {
    EXPECT_EQ(machine.show(frame(n), 0), Errno::kNone);
    return frame(n);
  }
  // Memory and counts before a call that fails are those after it.
  void refused(Errno expected, const auto& attempt) {
    std::vector<u64> before;
    const auto snapshot = [&](std::vector<u64>& to) {
      for (u64 f = 0; f < machine.frames(); ++f) {
        if (f >= machine.first_list() && f < machine.first_free()) continue;
        for (u64 i = 0; i < 512; ++i) to.push_back(machine.raw(f, i));
        to.push_back(machine.info(f).references);
        to.push_back(machine.info(f).uses);
      }
    };
    snapshot(before);
    EXPECT_EQ(attempt(), expected);
    std::vector<u64> after;
    snapshot(after);
    EXPECT_EQ(before, after);
    machine.check();
  }

  XenMachine machine{128};
};

TEST_F(XenPageTypes, AWritableFrameIsNoTable) {
  refused(Errno::kInval, [&] { return machine.pin(frame(0), 1); });
  hidden(0);
  EXPECT_EQ(machine.pin(frame(0), 1), Errno::kNone);
  EXPECT_EQ(machine.info(frame(0)).type, FrameType::kL1);
  EXPECT_TRUE(machine.info(frame(0)).pinned);
}

// What is no root is not given the hypervisor's slots, and so does not lose what it has there.
TEST_F(XenPageTypes, ARefusedRootIsAsItWas) {
  const u64 page = hidden(0);
  for (u64 slot = 250; slot < 280; ++slot) machine.raw(page, slot) = slot << 1;
  machine.raw(page, 3) = machine.entry(page);  // a root below itself
  refused(Errno::kInval, [&] { return machine.pin(page, 4); });
}

TEST_F(XenPageTypes, ATableIsNeverWritable) {
  const u64 table = hidden(0);
  ASSERT_EQ(machine.pin(table, 1), Errno::kNone);
  refused(Errno::kBusy, [&] { return machine.show(table, kXW); });
  // Nor by its own entry, nor by that of a table that is checked later.
  refused(Errno::kBusy, [&] { return machine.update(table, 5, machine.entry(table)); });
  machine.raw(frame(1), 7) = machine.entry(table);
  hidden(1);
  refused(Errno::kInval, [&] { return machine.pin(frame(1), 1); });
  // Read-only it may be seen.
  EXPECT_EQ(machine.update(table, 5, machine.entry(table, 0)), Errno::kNone);
  EXPECT_FALSE(machine.store(machine.address(table), 1));
}

TEST_F(XenPageTypes, ATypeChangesAtZeroOnly) {
  const u64 table = hidden(0);
  ASSERT_EQ(machine.pin(table, 2), Errno::kNone);
  refused(Errno::kInval, [&] { return machine.pin(table, 2); });  // pinned already
  const u64 upper = hidden(1);
  machine.raw(upper, 0) = machine.entry(table);
  refused(Errno::kInval, [&] { return machine.pin(upper, 2); });  // names a table of level 2 as level 1
  EXPECT_EQ(machine.pin(upper, 3), Errno::kNone);
  EXPECT_EQ(machine.info(table).uses, 2u);
  ASSERT_EQ(machine.unpin(table), Errno::kNone);
  refused(Errno::kInval, [&] { return machine.pin(table, 1); });  // in use by `upper`
  refused(Errno::kBusy, [&] { return machine.show(table, kXW); });
  ASSERT_EQ(machine.unpin(upper), Errno::kNone);
  EXPECT_EQ(machine.info(table).uses, 0u);
  EXPECT_EQ(machine.pin(table, 1), Errno::kNone);
  ASSERT_EQ(machine.unpin(table), Errno::kNone);
  EXPECT_EQ(machine.show(table, kXW), Errno::kNone);
  EXPECT_TRUE(machine.store(machine.address(table), 1));
}

TEST_F(XenPageTypes, CyclesAreRefused) {
  // A table of level 2 that names itself, and two that name each other.
  const u64 a = hidden(0), b = hidden(1);
  machine.raw(a, 0) = machine.entry(a);
  refused(Errno::kInval, [&] { return machine.pin(a, 2); });
  machine.raw(a, 0) = machine.entry(b);
  machine.raw(b, 0) = machine.entry(a);
  for (unsigned level = 2; level <= 4; ++level) refused(Errno::kInval, [&] { return machine.pin(a, level); });
  machine.raw(b, 0) = 0;
  ASSERT_EQ(machine.pin(a, 2), Errno::kNone);
  refused(Errno::kInval, [&] { return machine.update(a, 1, machine.entry(a)); });
  refused(Errno::kBusy, [&] { return machine.update(b, 1, machine.entry(a)); });
}

TEST_F(XenPageTypes, LinearTablesAreRefused) {
  // A root as its own table of level 3, even read-only.
  refused(Errno::kInval,
          [&] { return machine.update(XenMachine::kRoot, 5, machine.entry(XenMachine::kRoot, 0)); });
  const u64 other = hidden(0);
  ASSERT_EQ(machine.pin(other, 4), Errno::kNone);
  refused(Errno::kInval, [&] { return machine.update(other, 5, machine.entry(XenMachine::kRoot, 0)); });
}

TEST_F(XenPageTypes, ForeignAndHugeFramesAreRefused) {
  const u64 table = hidden(0);
  ASSERT_EQ(machine.pin(table, 1), Errno::kNone);
  for (const u64 foreign : {u64{0}, XenMachine::kBegin - 1, XenMachine::kBegin + machine.frames(),
                            (u64{1} << 40) - 1, u64{1} << 39}) {
    refused(Errno::kPerm, [&] { return machine.update(table, 1, foreign << 12 | kXP); });
    refused(Errno::kPerm, [&] { return machine.update(table, 1, foreign << 12 | kXP | kXW); });
    refused(Errno::kInval, [&] { return machine.update(XenMachine::kRoot, 1, foreign << 12 | kXP); });
    refused(Errno::kPerm, [&] { return machine.update(foreign - XenMachine::kBegin, 1, 0); });
    refused(Errno::kInval, [&] { return machine.pin(foreign - XenMachine::kBegin, 1); });
    refused(Errno::kInval, [&] { return machine.unpin(foreign - XenMachine::kBegin); });
    refused(Errno::kInval, [&] { return machine.set_base(foreign - XenMachine::kBegin); });
  }
  const u64 unchecked = frame(1);
  machine.raw(unchecked, 511) = u64{5} << 12 | kXP;
  hidden(1);
  for (unsigned level = 1; level <= 4; ++level) {
    refused(Errno::kInval, [&] { return machine.pin(unchecked, level); });
  }
}

TEST_F(XenPageTypes, DangerousBitsAreRefused) {
  const u64 leaf = hidden(0), upper = hidden(1), data = frame(2);
  ASSERT_EQ(machine.pin(leaf, 1), Errno::kNone);
  ASSERT_EQ(machine.pin(upper, 2), Errno::kNone);
  for (unsigned bit = 0; bit < 64; ++bit) {
    if (bit >= 12 && bit < 52) continue;
    const u64 extra = u64{1} << bit;
    const bool shared = bit <= 2 || bit == 5 || bit == 6 || (bit >= 9 && bit < 12) || bit == 63;
    const auto leaf_result = machine.update(leaf, 1, machine.entry(data, 0) | extra);
    EXPECT_EQ(leaf_result, shared || bit == 8 || bit >= 53 ? Errno::kNone : Errno::kInval) << bit;
    const auto upper_result = machine.update(upper, 1, machine.entry(leaf, 0) | extra);
    EXPECT_EQ(upper_result, shared ? Errno::kNone : Errno::kInval) << bit;
    // What is not present may say anything.
    EXPECT_EQ(machine.update(leaf, 2, extra & ~kXP), Errno::kNone) << bit;
    EXPECT_EQ(machine.update(upper, 2, extra & ~kXP), Errno::kNone) << bit;
  }
}

// Xen's do_mmu_update: what can be had as a writable page is written, whatever the value.
TEST_F(XenPageTypes, WhatIsNoTableInUseIsWrittenLikeMemory) {
  for (const u64 value : {~u64{0}, u64{5} << 12 | kXP | kXW, u64{0}}) {
    EXPECT_EQ(machine.update(frame(0), 7, value), Errno::kNone);
    EXPECT_EQ(machine.raw(frame(0), 7), value);
  }
  hidden(0);
  EXPECT_EQ(machine.update(frame(0), 7, 77), Errno::kNone);
  EXPECT_EQ(machine.raw(frame(0), 7), 77u);
}

TEST_F(XenPageTypes, TheHypervisorsSlotsAreItsOwn) {
  constexpr unsigned kFirst = abi::xen::kReservedSlot, kEnd = kFirst + abi::xen::kReservedSlots;
  const u64 root = frame(0);
  for (unsigned slot = kFirst; slot < kEnd; ++slot) {
    refused(Errno::kInval, [&] { return machine.update(XenMachine::kRoot, slot, 0); });
    machine.raw(root, slot) = u64{5} << 12 | kXP | kXW;  // overwritten, not looked at
  }
  hidden(0);
  ASSERT_EQ(machine.pin(root, 4), Errno::kNone);
  for (unsigned slot = kFirst; slot < kEnd; ++slot) {
    EXPECT_EQ(machine.raw(root, slot), slot == kFirst ? XenMachine::kReserved : 0u);
  }
  for (const unsigned slot : {kFirst - 1, kEnd}) EXPECT_EQ(machine.update(root, slot, 0), Errno::kNone);
  ASSERT_EQ(machine.unpin(root), Errno::kNone);
  EXPECT_EQ(machine.raw(root, kFirst), 0u);
}

TEST_F(XenPageTypes, AFailedPinLeavesNoCount) {
  // The last entry of the second table is wrong: what was counted before it goes again.
  const u64 top = frame(0), first = frame(1), second = frame(2);
  machine.raw(first, 0) = machine.entry(frame(3));
  machine.raw(second, 511) = machine.entry(frame(4)) | kXPs;
  machine.raw(top, 0) = machine.entry(first);
  machine.raw(top, 1) = machine.entry(second);
  for (u64 i = 0; i < 3; ++i) hidden(i);
  refused(Errno::kInval, [&] { return machine.pin(top, 2); });
  EXPECT_EQ(machine.info(frame(3)).uses, 1u);  // the direct map's
}

TEST_F(XenPageTypes, TheBaseIsARoot) {
  refused(Errno::kInval, [&] { return machine.set_base(frame(0)); });
  refused(Errno::kInval, [&] { return machine.set_base(XenMachine::kLevel3); });
  const u64 root = frame(0);
  machine.raw(root, XenMachine::kDirect >> 39 & 511) = machine.entry(XenMachine::kLevel3);
  hidden(0);
  EXPECT_EQ(machine.set_base(root), Errno::kNone);
  machine.check();
  // Its pin may go while it is loaded; the old one lives by its pin.
  EXPECT_EQ(machine.set_base(XenMachine::kRoot), Errno::kNone);
  EXPECT_EQ(machine.info(root).uses, 0u);
  ASSERT_EQ(machine.unpin(XenMachine::kRoot), Errno::kNone);
  machine.check();
  EXPECT_EQ(machine.info(XenMachine::kRoot).uses, 1u);
  refused(Errno::kInval, [&] { return machine.unpin(XenMachine::kRoot); });
}

TEST_F(XenPageTypes, AccessedAndDirtyAreKeptOnRequest) {
  const u64 table = hidden(0);
  ASSERT_EQ(machine.pin(table, 1), Errno::kNone);
  ASSERT_EQ(machine.update(table, 0, machine.entry(frame(1)) | kXD), Errno::kNone);
  ASSERT_EQ(machine.update(table, 0, (machine.entry(frame(1), 0)) & ~kXA, abi::xen::kPreserveAd),
            Errno::kNone);
  EXPECT_EQ(machine.raw(table, 0), machine.entry(frame(1), 0) | kXA | kXD);
  EXPECT_EQ(machine.info(frame(1)).uses, 1u);  // the direct map's alone
  ASSERT_EQ(machine.update(table, 0, machine.entry(frame(1), 0) & ~kXA), Errno::kNone);
  EXPECT_EQ(machine.raw(table, 0), machine.entry(frame(1), 0) & ~kXA);
}

// Invariant 4: what could still be written through a TLB is flushed before it is trusted.
TEST_F(XenPageTypes, AFrameIsFlushedBeforeItChangesItsType) {
  const u64 table = frame(0);
  ASSERT_TRUE(machine.store(machine.address(table), 0));  // now in the TLB
  ASSERT_EQ(machine.show(table, 0), Errno::kNone);
  EXPECT_TRUE(machine.store(machine.address(table), 0));  // stale, and harmless yet
  const u64 flushes = machine.types.counters().type_flushes;
  ASSERT_EQ(machine.pin(table, 1), Errno::kNone);
  EXPECT_EQ(machine.types.counters().type_flushes, flushes + 1);
  EXPECT_FALSE(machine.store(machine.address(table), 0));
  machine.check();
  // And back: while a table may be walked still, nobody writes to it.
  const u64 upper = XenMachine::kLevel2;
  ASSERT_EQ(machine.update(upper, 100, machine.entry(table)), Errno::kNone);
  ASSERT_EQ(machine.update(table, 0, machine.entry(frame(1))), Errno::kNone);
  ASSERT_TRUE(machine.load(XenMachine::kDirect + 100 * (u64{2} << 20)));
  ASSERT_EQ(machine.update(upper, 100, 0), Errno::kNone);
  ASSERT_EQ(machine.unpin(table), Errno::kNone);
  ASSERT_EQ(machine.show(table, kXW), Errno::kNone);
  EXPECT_EQ(machine.types.counters().type_flushes, flushes + 2);
  machine.check();
}

// --- work is bounded ---------------------------------------------------------------------------------------

class XenBounded : public ::testing::Test {
 protected:
  static constexpr u64 kTables = 300;
  // A table of level 2 over kTables leaf tables, each of which shows `data` writable.
  u64 make_tree() {
    const u64 top = machine.first_free();
    const u64 data = top + 1 + kTables;
    for (u64 i = 0; i < kTables; ++i) {
      machine.raw(top, i) = machine.entry(top + 1 + i);
      machine.raw(top + 1 + i, i) = machine.entry(data);
    }
    for (u64 i = 0; i <= kTables; ++i) EXPECT_EQ(machine.show(top + i, 0), Errno::kNone);
    return top;
  }
  u64 until_done(const auto& attempt, Errno expected) {
    for (u64 tries = 1;; ++tries) {
      const Errno error = attempt();
      machine.check();
      if (error != Errno::kRestart) {
        EXPECT_EQ(error, expected);
        return tries;
      }
    }
  }
  XenMachine machine{600};
};

TEST_F(XenBounded, APinGoesOnWhereItStopped) {
  const u64 top = make_tree(), data = top + 1 + kTables;
  const u64 tries = until_done([&] { return machine.pin(top, 2); }, Errno::kNone);
  constexpr u64 kTablesPerCall = PageTypes::kEntriesPerLook / PageTypes::kTableCost;
  EXPECT_GE(tries, kTables / kTablesPerCall);
  EXPECT_LE(tries, kTables / (kTablesPerCall - 3));  // the upper one and groups are paid for again
  EXPECT_EQ(machine.info(data).uses, kTables + 1);
  // The unpin is done at once for the guest; what remains of it is done before anything else.
  ASSERT_EQ(machine.unpin(top), Errno::kNone);
  EXPECT_FALSE(machine.types.unfinished().empty());
  until_done([&] { return machine.pin(data, 1); }, Errno::kInval);
  EXPECT_TRUE(machine.types.unfinished().empty());
  EXPECT_EQ(machine.info(data).uses, 1u);
}

TEST_F(XenBounded, WhereNoInterruptWaitsItGoesOn) {
  const u64 top = make_tree();
  machine.stop = {.interrupt = false};
  ASSERT_EQ(machine.pin(top, 2), Errno::kNone);
  EXPECT_GE(machine.stop.looks, kTables * PageTypes::kTableCost / PageTypes::kEntriesPerLook);
  machine.stop.looks = 0;
  ASSERT_EQ(machine.unpin(top), Errno::kNone);
  EXPECT_GE(machine.stop.looks, kTables * PageTypes::kTableCost / PageTypes::kEntriesPerLook);
  EXPECT_TRUE(machine.types.unfinished().empty());
  machine.check();
}

// Tables that are full: amidst one is a look, too.
TEST_F(XenBounded, AFullTableIsMoreThanOneLook) {
  const u64 table = machine.first_free(), data = table + 1;
  for (u64 i = 0; i < pt::kEntriesPerTable; ++i) machine.raw(table, i) = machine.entry(data);
  ASSERT_EQ(machine.show(table, 0), Errno::kNone);
  EXPECT_EQ(until_done([&] { return machine.pin(table, 1); }, Errno::kNone), 2u);
  EXPECT_EQ(machine.info(data).uses, pt::kEntriesPerTable + 1);
  ASSERT_EQ(machine.unpin(table), Errno::kNone);
  EXPECT_FALSE(machine.types.unfinished().empty());
  EXPECT_EQ(until_done([&] { return machine.show(data, kXW); }, Errno::kNone), 1u);
  EXPECT_EQ(machine.info(data).uses, 1u);
}

TEST_F(XenBounded, APinThatFailsLateLeavesNoCount) {
  const u64 top = make_tree(), data = top + 1 + kTables;
  machine.raw(top + kTables, 511) = u64{5} << 12 | kXP;
  until_done([&] { return machine.pin(top, 2); }, Errno::kInval);
  until_done([&] { return machine.update(XenMachine::kRoot, 0, 0); }, Errno::kNone);
  EXPECT_EQ(machine.info(data).uses, 1u);
  EXPECT_EQ(machine.info(top).uses, 0u);
}

TEST_F(XenBounded, APinThatIsGivenUpIsCountedOut) {
  const u64 top = make_tree(), data = top + 1 + kTables;
  ASSERT_EQ(machine.pin(top, 2), Errno::kRestart);
  EXPECT_GT(machine.info(data).uses, 1u);
  EXPECT_EQ(machine.info(top).uses, 0u);
  until_done([&] { return machine.show(top, kXW); }, Errno::kNone);
  EXPECT_EQ(machine.info(data).uses, 1u);
}

TEST_F(XenBounded, AListSaysHowFarItCame) {
  const u64 top = make_tree();
  std::vector<XenMachine::Operation> list;
  for (u64 i = 0; i < kTables; ++i) {
    list.push_back(XenMachine::operation(Mmuext::kPinL1, machine.machine(top + 1 + i)));
  }
  constexpr u64 kPinsPerCall = PageTypes::kEntriesPerLook / (PageTypes::kTableCost + PageTypes::kGroup);
  u64 done = 0;
  while (done < kTables) {
    const Errno error = machine.operate(std::span(list).subspan(done));
    EXPECT_EQ(machine.done, std::min(kPinsPerCall, kTables - done));
    done += machine.done;
    EXPECT_EQ(error, done < kTables ? Errno::kRestart : Errno::kNone);
  }
  machine.learn_pins();
  machine.check();
}

}  // namespace
}  // namespace nopte::hv::testing
