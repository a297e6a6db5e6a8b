// The guest's side of Xen's interface: what is asked of Xen for the life of roots and tables, and how often
// it has to check a table.
#include <algorithm>

#include "tests/unit/native-fallback/xen_tables_fixture.h"

namespace nopte::pt {
namespace {

TEST_F(XenTablesTest, ASpaceThatRanLatelyIsOnlyLoaded) {
  const Frame a = space({kVa, kThere}), b = space({kVa, kThere});
  sink_.root_activate(a);
  sink_.root_activate(b);
  take_calls(), take_updates(), take_operations();
  sink_.root_activate(a);
  EXPECT_EQ(take_calls(), 1u);
  EXPECT_EQ(take_updates(), 0u);
  EXPECT_EQ(take_operations(), (std::vector<Operation>{{Mmuext::kNewUserBaseptr, user_machine(0)},
                                                       {Mmuext::kNewBaseptr, machine_of(a.number())}}));
}

TEST_F(XenTablesTest, AUserRootFollowsWhatIsLinkedAndIsEmptyWhenItsSpaceHasGone) {
  const Frame a = space({kVa}), b = space({kVa});
  sink_.root_activate(a);
  sink_.root_activate(b);
  install(a, kThere);  // does not run
  for (const Gva va : {kVa, kThere}) {
    EXPECT_EQ(slot_of(kUserRoots, va), slot_of(a, va));
    EXPECT_FALSE(slot_of(kUserRoots, va).empty());
  }
  sink_.root_retire(a);
  sink_.complete();
  for (const Gva va : {kVa, kThere}) EXPECT_TRUE(slot_of(kUserRoots, va).empty());
  EXPECT_EQ(slot_of(kUserRoots + 1, kVa), slot_of(b, kVa));
}

TEST_F(XenTablesTest, TheOneThatRunsKeepsItsUserRootHoweverManyThereAre) {
  std::vector<Frame> spaces;
  spaces.reserve(abi::kUserRoots + 3);
  for (u64 i = 0; i < abi::kUserRoots + 3; ++i) spaces.push_back(space({kVa}));
  for (int round = 0; round < 2; ++round) {
    for (const Frame one : spaces) {
      take_operations();
      sink_.root_activate(one);
      u64 loaded = 0;
      for (const Operation& each : take_operations()) {
        if (each.command == Mmuext::kNewUserBaseptr) loaded = each.argument;
      }
      if (loaded == 0) {
        EXPECT_TRUE(round == 0 && one == spaces.front());  // the first is loaded from the start
        loaded = user_machine(0);
      }
      EXPECT_EQ(slot_of(Frame(Xen::frame_of(loaded)), kVa), slot_of(one, kVa));
    }
  }
}

TEST_F(XenTablesTest, ATableThatMovesIsNotCheckedAgain) {
  const Frame a = space({kVa, kThere});
  sink_.root_activate(a);
  Cursor<Sink> from(table_memory_, a), to(table_memory_, a);
  from.walk(kVa);
  const Frame moves = from.table();
  to.walk(kThere + FourLevel::table_bytes(1));
  ASSERT_EQ(to.level(), 2u);
  const int checked = xen_.first_uses[moves.number()];
  EXPECT_EQ(checked, 1);
  from.move_table(to);
  sink_.flush_all(a, FlushScope::kSpace);
  EXPECT_EQ(xen_.first_uses[moves.number()], checked);
  EXPECT_EQ(xen_.uses[moves.number()], 1);
}

TEST_F(XenTablesTest, TablesThatComeAndGoAreCheckedOnce) {
  const Frame a = space({kVa});
  sink_.root_activate(a);
  install(a, kThere);
  remove(a, kThere);
  const u64 checked = xen_.checked, free = frames_.free_frames();
  take_calls(), take_updates();
  install(a, kThere);
  EXPECT_EQ(take_calls(), 1u);
  EXPECT_EQ(take_updates(), 5u);  // a leaf, a link for each of three tables, and the slot of user mode's root
  remove(a, kThere);
  EXPECT_EQ(xen_.checked, checked);
  EXPECT_EQ(frames_.free_frames(), free);
  expect_all_free_are_memory();
}

TEST_F(XenTablesTest, ATableThatGoesWithItsEntriesIsEmptyWhenItIsTheNext) {
  const Frame a = space({kVa});
  sink_.root_activate(a);
  for (u64 i = 0; i < kSoonerEmptied; ++i) install(a, kThere + pages_to_bytes(i * 20));
  TlbBatch<Sink> batch(sink_, frames_, counters_, a, FlushScope::kSpace);
  Cursor<Sink> cursor(table_memory_, a);
  cursor.walk(kThere);
  const Frame gone = cursor.table();
  cursor.unlink_table(batch);
  batch.flush();
  sink_.complete();
  ASSERT_EQ(*table_memory_.make(1), gone);
  for (unsigned index = 0; index < 512; ++index) {
    EXPECT_TRUE(load_entry(frames_.pointer(gone), index).empty()) << index;
  }
}

TEST_F(XenTablesTest, ASmallSpaceLeavesItsTablesToTheNext) {
  const Frame a = space({kVa});
  sink_.root_activate(a);
  const u64 free = frames_.free_frames();
  const Frame b = space({kVa, kThere});
  sink_.root_activate(b);
  sink_.root_activate(a);
  destroy(b);
  EXPECT_EQ(frames_.free_frames(), free);
  const u64 checked = xen_.checked;
  const Frame c = space({kVa, kThere});
  sink_.root_activate(c);
  EXPECT_EQ(xen_.checked, checked);
  EXPECT_EQ(slot_of(kUserRoots + 1, kVa), slot_of(c, kVa));
  sink_.root_activate(a);
  destroy(c);
  EXPECT_EQ(frames_.free_frames(), free);
  expect_all_free_are_memory();
}

TEST_F(XenTablesTest, AFullTableOfASmallSpaceIsMemoryAgain) {
  const Frame a = space({kVa});
  sink_.root_activate(a);
  const Frame b = space({kThere});
  sink_.root_activate(b);
  for (u64 i = 0; i < kSoonerEmptied + 1; ++i) install(b, kVa + pages_to_bytes(i));
  sink_.root_activate(a);
  destroy(b);
  expect_all_free_are_memory();
}

TEST_F(XenTablesTest, ALargeSpaceIsTakenApartWhole) {
  const Frame a = space({kVa});
  sink_.root_activate(a);
  const Frame b = space({kVa});
  sink_.root_activate(b);
  for (u64 i = 0; i < 24; ++i) install(b, kThere + i * FourLevel::table_bytes(1));
  take_operations();
  sink_.root_activate(a);
  destroy(b);
  sink_.complete();
  const auto done = take_operations();
  EXPECT_EQ(std::ranges::count(done, Operation{Mmuext::kUnpin, machine_of(b.number())}), 1);
  expect_all_free_are_memory();
}

TEST_F(XenTablesTest, AKeptTableThatIsFullIsMemoryAgain) {
  const Frame a = space({kVa});
  sink_.root_activate(a);
  install(a, kThere);
  remove(a, kThere);
  const Frame b = space({kThere});  // of what is kept
  sink_.root_activate(b);
  for (u64 i = 1; i < kSoonerEmptied + 1; ++i) install(b, kThere + pages_to_bytes(i));
  sink_.root_activate(a);
  destroy(b);
  expect_all_free_are_memory();
}

TEST_F(XenTablesTest, WhatIsMadeOfKeptTablesAndNeverRunsGoes) {
  const Frame a = space({kVa});
  sink_.root_activate(a);
  const Frame b = space({kVa});
  sink_.root_activate(b);
  sink_.root_activate(a);
  destroy(b);
  const u64 free = frames_.free_frames();
  destroy(space({kVa, kThere}));
  EXPECT_EQ(frames_.free_frames(), free);
  table_memory_.discard(*table_memory_.make(1));
  EXPECT_EQ(frames_.free_frames(), free);
  expect_all_free_are_memory();
}

}  // namespace
}  // namespace nopte::pt
