// The guest's side of Xen's interface: changes of entries of tables that are Xen's to check, which wait in a
// queue, are read as if they had happened, and are shown to user mode; and what is flushed for them.
#include <algorithm>

#include "tests/unit/native-fallback/xen_tables_fixture.h"

namespace nopte::pt {
namespace {

class XenUpdatesTest : public XenTablesTest {
 protected:
  // One that runs, with this many pages from kVa on.
  Frame running(u64 count) {
    const Frame made = space({});
    for (u64 i = 0; i < count; ++i) install(made, page(i));
    sink_.root_activate(made);
    return made;
  }
  static Gva page(u64 i) { return kVa + pages_to_bytes(i); }
  Cursor<Sink> at(Frame in, Gva va) { return {table_memory_, in, va}; }
  Slot leaf(Frame in, u64 i) { return at(in, page(i)).leaf_slot(table_index(page(i), 1)); }
  Slot above(Frame in, unsigned level) {
    Frame table = in;
    for (unsigned l = 4; l > level; --l) {
      table = sink_.read(Slot::of<FourLevel>(table, in, kVa, l)).frame();
    }
    return Slot::of<FourLevel>(table, in, kVa, level);
  }
  Entry new_leaf() {
    return Entry::leaf(*frames_.alloc(FrameKind::kAnon), kPermRW, Privilege::kUser, Access::kWrite);
  }
  // What the table holds, whatever waits.
  u64* held(const Slot& slot) { return xen_.entry(machine_of(slot.table.number()), slot.index); }
  bool flushed_all() {
    return std::ranges::count(take_operations(), Mmuext::kTlbFlushLocal, &Operation::command) != 0;
  }
};

TEST_F(XenUpdatesTest, WhatWaitsIsReadAsIfItHadHappened) {
  const Frame a = running(1);
  for (const u64 i : {5, 2}) {
    const Entry entry = new_leaf();
    sink_.set(leaf(a, i), entry);
    const Entry changed = entry.without(Entry::kWritable);
    EXPECT_EQ(sink_.exchange(leaf(a, i), entry, changed), entry);
    EXPECT_EQ(sink_.read(leaf(a, i)), changed);
  }
  const Slot later = leaf(a, 9), earlier = leaf(a, 3);
  const Entry entry = new_leaf();
  sink_.set(later, entry);
  sink_.set(earlier, new_leaf());
  EXPECT_EQ(sink_.read(later), entry);
}

TEST_F(XenUpdatesTest, AllOfManyEditsAreReadBack) {
  const Frame a = running(8);
  const Cursor<Sink> cursor = at(a, kVa);
  std::vector<Entry> before;
  before.reserve(8);
  for (u64 i = 0; i < 8; ++i) before.push_back(sink_.read(leaf(a, i)));
  {
    auto edits = sink_.edits(cursor.leaf());
    for (u64 i = 0; i < 8; ++i) {
      edits.replace(leaf(a, i).index, before[i], before[i].without(Entry::kWritable));
    }
  }
  EXPECT_EQ(sink_.read({cursor.leaf_table(), a, page(7), 1, table_index(page(7), 1)}),
            before[7].without(Entry::kWritable));
}

TEST_F(XenUpdatesTest, TheProcessorsMarksStayUnlessTheyAreTaken) {
  constexpr u64 kMarks = Entry::kAccessed | Entry::kDirty;
  const Frame a = running(1);
  const Slot slot = leaf(a, 0);
  const Entry entry = sink_.read(slot).without(kMarks);
  *held(slot) &= ~kMarks;
  // The processor marks it after it was read.
  *held(slot) |= kMarks;
  sink_.exchange(slot, entry, entry.without(Entry::kWritable));
  sink_.complete();
  EXPECT_EQ(*held(slot) & kMarks, kMarks);
  const Entry marked = sink_.read(slot);
  sink_.exchange(slot, marked, marked.without(kMarks));
  sink_.complete();
  EXPECT_EQ(*held(slot) & kMarks, 0u);
}

TEST_F(XenUpdatesTest, ATableThatIsRefusedForAWhileIsNotCheckedAgain) {
  const Frame a = running(3);
  const Slot slot = above(a, 2);
  const Entry entry = sink_.read(slot);
  const int checked = xen_.first_uses[entry.frame().number()];
  const Entry refused = entry.without(Entry::kPresent);
  sink_.exchange(slot, entry, refused);
  sink_.complete();
  sink_.exchange(slot, refused, entry);
  sink_.complete();
  EXPECT_EQ(xen_.first_uses[entry.frame().number()], checked);
}

// A clone takes the right to write from its parent's slot, and gives it back.
TEST_F(XenUpdatesTest, AUserRootFollowsTheRightsOfASlot) {
  const Frame a = running(1);
  const Slot slot = above(a, 4);
  const Entry entry = sink_.read(slot);
  for (const Entry now : {entry.without(Entry::kWritable), entry}) {
    sink_.exchange(slot, sink_.read(slot), now);
    sink_.complete();
    EXPECT_EQ(Entry(*held(slot)).writable(), now.writable());
    EXPECT_EQ(slot_of(kUserRoots, kVa), slot_of(a, kVa));
  }
}

TEST_F(XenUpdatesTest, ATableInThePlaceOfAnotherIsWhatTheUserRootHasAndIsFlushed) {
  const Frame a = running(1);
  const Slot slot = above(a, 4);
  const Frame copy = *table_memory_.make(3);
  sink_.filler(copy).fill(above(a, 3).index, sink_.read(above(a, 3)));
  note_filled<FourLevel>(frames_.meta(copy), above(a, 3).index);
  sink_.complete();
  take_operations();
  sink_.relink(slot, FourLevel::table_entry(copy, Privilege::kUser, 4));
  sink_.flush_all(a, FlushScope::kSpace);
  EXPECT_TRUE(flushed_all());
  EXPECT_EQ(sink_.read(slot).frame(), copy);
  EXPECT_EQ(slot_of(kUserRoots, kVa), slot_of(a, kVa));
}

TEST_F(XenUpdatesTest, AFlushOfAPageIsOneOfWhatWasLostBefore) {
  const Frame a = running(2);
  const auto lose = [&](u64 i) {
    const Entry entry = sink_.read(leaf(a, i));
    sink_.exchange(leaf(a, i), entry, entry.without(Entry::kWritable));
  };
  sink_.flush_all(a, FlushScope::kSpace);
  take_operations();
  lose(1);
  sink_.flush_page(a, page(1), FlushScope::kSpace);
  EXPECT_EQ(take_operations(), (std::vector<Operation>{{Mmuext::kInvlpgLocal, page(1).value()}}));
  const Slot first = leaf(a, 0);
  lose(0);
  EXPECT_FALSE(sink_.read(first).writable());  // which asks Xen for it, without a flush
  const Entry entry = sink_.read(leaf(a, 1));
  sink_.exchange(leaf(a, 1), entry, Entry());
  sink_.flush_page(a, page(1), FlushScope::kSpace);
  EXPECT_TRUE(flushed_all());
}

TEST_F(XenUpdatesTest, NoKernelLeafIsGlobal) {
  constexpr Gva kKernelVa{0xffff'c000'0000'0000};
  for (u64 i = 0; i < 3; ++i) {  // the first in a table that is made for it
    const Gva va = kKernelVa + pages_to_bytes(i);
    const Entry entry = Entry::kernel_leaf(*frames_.alloc(FrameKind::kKernel), kPermRW);
    ASSERT_TRUE(entry.word() & Entry::kGlobal);
    ASSERT_TRUE(at(kernel_, va).install(entry));
    sink_.complete();
    EXPECT_FALSE(*held(at(kernel_, va).slot()) & Entry::kGlobal) << i;
  }
}

TEST_F(XenUpdatesTest, APageOfASpaceThatDoesNotRunIsThatSpaces) {
  const Frame a = running(1), b = running(1);
  install(a, page(1));
  EXPECT_FALSE(at(a, page(1)).entry().empty());
  EXPECT_TRUE(at(b, page(1)).entry().empty());
}

TEST_F(XenUpdatesTest, WhatIsFilledIsWhereItBelongs) {
  const Frame a = running(1);
  install(a, page(1));
  const Entry there = at(a, page(1)).entry(), entry = new_leaf();
  sink_.filler(at(a, kVa).leaf_table()).fill(7, entry);
  sink_.complete();
  EXPECT_EQ(at(a, page(1)).entry(), there);
  EXPECT_EQ(sink_.read(leaf(a, 7)), entry);
}

// A root that is kept has what its last space had until that was taken out.
TEST_F(XenUpdatesTest, ASlotThatIsEmptiedAndFilledAgainIsFilled) {
  const Frame a = running(1), b = running(1);
  const Slot slot = above(b, 4);
  const Entry entry = sink_.read(slot);
  sink_.root_activate(a);
  destroy(b);
  ASSERT_EQ(*table_memory_.make(4), b);
  ASSERT_FALSE(Entry(*held(slot)).empty());  // its end waits
  sink_.filler(b).fill(slot.index, entry);
  sink_.complete();
  EXPECT_EQ(sink_.read(slot), entry);
}

// Its memory must not be written to through a translation that still refuses it.
TEST_F(XenUpdatesTest, WhatIsMemoryAgainIsFlushed) {
  const Frame a = running(1), b = running(1);
  for (u64 i = 0; i < 24; ++i) install(b, kThere + i * FourLevel::table_bytes(1));
  sink_.root_activate(a);
  destroy(b);
  sink_.complete();
  take_operations();
  ASSERT_TRUE(frames_.alloc(FrameKind::kTable));
  EXPECT_TRUE(flushed_all());
}

TEST_F(XenUpdatesTest, AUserRootIsEmptyThoughChangesOfItWaited) {
  const Frame a = running(1), b = running(1);
  Cursor<Sink> cursor = at(a, kThere);
  ASSERT_TRUE(cursor.install(new_leaf()));
  ASSERT_TRUE(slot_of(kUserRoots, kThere).empty());  // it waits
  sink_.root_retire(a);
  sink_.complete();
  EXPECT_TRUE(slot_of(kUserRoots, kThere).empty());
  EXPECT_FALSE(slot_of(kUserRoots + 1, kVa).empty());
  EXPECT_TRUE(sink_.runs(b));
}

// Clones lead to the same tables as their original.
TEST_F(XenUpdatesTest, AUserRootThatTookOverWhatItHadIsEmptyInTheEnd) {
  const Frame a = running(1);
  const Slot slot = above(a, 4);
  const Entry entry = sink_.read(slot);
  Frame last;
  for (u64 i = 0; i < abi::kUserRoots + 1; ++i) {
    last = root();
    sink_.filler(last).fill(slot.index, entry);
    note_filled<FourLevel>(frames_.meta(last), slot.index);
    ++frames_.meta(entry.frame()).refs;
    sink_.root_activate(last);
  }
  sink_.root_activate(a);
  const auto having = [&] {
    u64 found = 0;
    for (u64 i = 0; i < abi::kUserRoots; ++i) found += slot_of(kUserRoots + i, kVa).empty() ? 0 : 1;
    return found;
  };
  const u64 before = having();
  sink_.root_retire(last);
  sink_.complete();
  EXPECT_EQ(having(), before - 1);
}

TEST_F(XenUpdatesTest, TablesAreKeptHoweverOftenTheyWereBefore) {
  constexpr Gva kElsewhere{0x5000'0000'0000};
  const Frame a = running(1);
  for (u64 i = 0; i < kPages; ++i) {
    install(a, kThere);
    remove(a, kThere);
  }
  u64 checked = 0;
  for (int round = 0; round < 2; ++round) {
    checked = xen_.checked;
    for (const Gva va : {kThere, kElsewhere}) install(a, va);
    for (const Gva va : {kThere, kElsewhere}) remove(a, va);
  }
  EXPECT_EQ(xen_.checked, checked);
}

TEST_F(XenUpdatesTest, AsManyRootsAsThereAreEndAtOnce) {
  const Frame a = running(1);
  std::vector<Frame> roots;
  roots.reserve(XenQueueMemory::kOperations + 4);
  while (roots.size() < roots.capacity()) {
    roots.push_back(root());
    sink_.root_activate(roots.back());
  }
  sink_.root_activate(kernel_);
  const Slot slot = leaf(a, 1);
  const Entry entry = new_leaf();
  while (frames_.free_frames() > 8) ASSERT_TRUE(frames_.alloc(FrameKind::kAnon));  // none is kept
  take_operations();
  sink_.set(slot, entry);
  for (const Frame each : roots) sink_.root_retire(each);
  sink_.complete();
  EXPECT_EQ(std::ranges::count(take_operations(), Mmuext::kUnpin, &Operation::command),
            static_cast<std::ptrdiff_t>(roots.size()));
  EXPECT_EQ(sink_.read(slot), entry);
}

}  // namespace
}  // namespace nopte::pt
