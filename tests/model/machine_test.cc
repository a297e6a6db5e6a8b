// What the model's processors keep and forget: tables written by hand, and changed without a flush.
#include <gtest/gtest.h>

#include "tests/model/walkers.h"

namespace nopte::model {
namespace {

constexpr u64 kAll = 0x67;  // present, writable, user, accessed, dirty
constexpr u64 kGlobal = 0x100;

class ModelMachine : public testing::Test {
 protected:
  static constexpr Gva kHere{0x4000'0000}, kNext{0x4000'1000}, kFar{0x4020'0000}, kOther{0x80'0000'0000};
  static constexpr u64 kRoot = 1, kOtherRoot = 2;  // frames
  static constexpr u8 kKeep = 0, kAllAsids = 1, kThisAsid = 3, kNotGlobal = 7;

  void SetUp() override {
    for (u64 frame = 0; frame < kFrames; ++frame) std::memset(memory.alias(Frame(frame)), 0, kPageBytes);
    map(kRoot, kHere, 50);
    map(kRoot, kNext, 51);
    map(kRoot, kFar, 52);
    map(kRoot, kOther, 53);
    machine.load_root(root(kRoot));
  }
  static PhysAddr root(u64 frame) { return Frame(frame).address(); }
  u64& entry(u64 table, Gva va, unsigned level) {
    return reinterpret_cast<u64*>(memory.alias(Frame(table)))[va.value() >> (12 + 9 * (level - 1)) & 511];
  }
  u64 table_of(u64 table, Gva va, unsigned level) {
    for (unsigned at = 4; at > level; --at) table = entry(table, va, at) >> 12 & 0xffff;
    return table;
  }
  void map(u64 table, Gva va, u64 frame, u64 flags = kAll) {
    for (unsigned level = 4; level > 1; --level) {
      u64& word = entry(table, va, level);
      if (word == 0) word = next_table++ << 12 | kAll;
      table = word >> 12 & 0xffff;
    }
    entry(table, va, 1) = frame << 12 | flags;
  }
  // The frame that an access reaches; 0: it faults.
  u64 reached(Gva va) {
    const auto byte = machine.access(0, va, Access::kRead, Privilege::kUser);
    if (!byte) return 0;
    return static_cast<u64>(*byte - memory.alias(Frame(0))) >> kPageShift;
  }
  // Another table instead of the one of this level, with another page at va.
  void exchange_table(Gva va, unsigned level, u64 frame) {
    entry(table_of(kRoot, va, level + 1), va, level + 1) = 0;
    map(kRoot, va, frame);
  }
  // Frames [32, 64) have an owner who runs on this machine.
  void watch_a_pool() {
    const pt::FrameRange pool = pt::FrameRange::of(Frame(32), 32);
    ASSERT_TRUE(frames.init(memory.direct_base(), memory.range(), {&pool, 1}));
    machine.watch(frames);
  }

  static constexpr u64 kFrames = 64;
  u64 next_table = 3;
  Memory memory{0, kFrames};
  LongModeWalker walker{memory, [](Frame frame) { return frame; }};
  Machine machine{memory, walker, 1};
  pt::FrameTable frames;
};

TEST_F(ModelMachine, KeepsEntriesOfEveryLevel) {
  for (unsigned level = 1; level <= 3; ++level) {
    machine.flush_everything();
    ASSERT_NE(reached(kHere), 0u);
    ASSERT_EQ(machine.stale_translations(), 0u);
    const u64 before = entry(table_of(kRoot, kNext, 1), kNext, 1) >> 12 & 0xffff;
    exchange_table(kHere, level, 54);
    map(kRoot, kNext, 55);
    EXPECT_NE(machine.stale_translations(), 0u) << level;
    EXPECT_EQ(reached(kNext), before) << level;  // through the table that is linked no more
    machine.flush_page(kHere);
    machine.flush_page(kNext);
    EXPECT_EQ(machine.stale_translations(), 0u) << level;
    EXPECT_EQ(reached(kNext), 55u) << level;
    map(kRoot, kNext, 51);
  }
}

TEST_F(ModelMachine, APageFlushForgetsTheWayThereAndNoOther) {
  ASSERT_NE(reached(kHere), 0u);
  ASSERT_NE(reached(kFar), 0u);
  ASSERT_NE(reached(kOther), 0u);
  exchange_table(kFar, 1, 54);
  machine.flush_page(kHere);
  EXPECT_EQ(machine.stale_translations(), 2u);  // the page, and the entry above it
  machine.flush_page(kFar);
  EXPECT_EQ(machine.stale_translations(), 0u);
  exchange_table(kOther, 3, 55);
  machine.flush_page(kFar);
  EXPECT_EQ(machine.stale_translations(), 4u);
}

TEST_F(ModelMachine, RightsOfTheWayAreKeptWithIt) {
  ASSERT_NE(reached(kHere), 0u);
  entry(kRoot, kHere, 4) &= ~u64{2};
  EXPECT_TRUE(machine.access(0, kNext, Access::kWrite, Privilege::kUser));
  EXPECT_NE(machine.stale_translations(), 0u);
  machine.load_root(root(kOtherRoot));
  machine.load_root(root(kRoot));
  EXPECT_FALSE(machine.access(0, kNext, Access::kWrite, Privilege::kUser));
}

TEST_F(ModelMachine, AFaultForgetsTheWay) {
  ASSERT_NE(reached(kHere), 0u);
  const u64 gone = table_of(kRoot, kHere, 1);
  exchange_table(kHere, 1, 54);
  entry(gone, kNext, 1) = 0;
  map(kRoot, kNext, 55);
  EXPECT_EQ(reached(kNext), 0u);
  EXPECT_EQ(reached(kNext), 55u);
}

TEST_F(ModelMachine, AnotherRootForgetsAllButGlobalPages) {
  map(kRoot, kNext, 51, kAll | kGlobal);
  ASSERT_NE(reached(kHere), 0u);
  ASSERT_NE(reached(kNext), 0u);
  map(kOtherRoot, kHere, 54);
  machine.load_root(root(kOtherRoot));
  EXPECT_EQ(reached(kHere), 54u);
  EXPECT_EQ(reached(kNext), 51u);
  machine.flush_user();
  EXPECT_EQ(reached(kNext), 51u);
  machine.flush_everything();
  EXPECT_EQ(reached(kNext), 0u);
}

TEST_F(ModelMachine, AnAsidSeesItsOwnAndKeepsItWhileOthersRun) {
  machine.enter(1, root(kRoot), kKeep);
  EXPECT_EQ(reached(kHere), 50u);
  map(kRoot, kHere, 54);
  machine.leave();
  machine.enter(2, root(kRoot), kKeep);
  EXPECT_EQ(reached(kHere), 54u);
  EXPECT_EQ(machine.stale_translations(), 0u);
  machine.leave();
  EXPECT_EQ(machine.stale_translations(), 0u);  // nobody can use it
  machine.enter(1, root(kRoot), kKeep);
  EXPECT_EQ(machine.stale_translations(), 1u);
  EXPECT_EQ(reached(kHere), 50u);
}

TEST_F(ModelMachine, AnotherRootAtAnEntryForgetsNothing) {
  machine.enter(1, root(kRoot), kKeep);
  EXPECT_EQ(reached(kHere), 50u);
  machine.leave();
  machine.enter(1, root(kOtherRoot), kKeep);
  EXPECT_EQ(reached(kHere), 50u);
  EXPECT_EQ(machine.stale_translations(), 4u);
}

TEST_F(ModelMachine, TlbControlSaysWhatAnEntryForgets) {
  map(kRoot, kNext, 51, kAll | kGlobal);
  struct Case {
    u8 control;
    u64 here, next, of_other;  // what is reached then
  };
  for (const Case& c : {Case{kKeep, 50, 51, 50}, Case{kAllAsids, 54, 55, 54}, Case{kThisAsid, 54, 55, 50},
                        Case{kNotGlobal, 54, 51, 50}}) {
    machine.enter(1, root(kRoot), kAllAsids);
    for (const u32 asid : {1u, 2u}) {
      machine.enter(asid, root(kRoot), kKeep);
      ASSERT_EQ(reached(kHere), 50u);
      ASSERT_EQ(reached(kNext), 51u);
    }
    map(kRoot, kHere, 54);
    map(kRoot, kNext, 55);
    machine.enter(1, root(kRoot), c.control);
    EXPECT_EQ(reached(kHere), c.here) << unsigned{c.control};
    EXPECT_EQ(reached(kNext), c.next) << unsigned{c.control};
    machine.enter(2, root(kRoot), kKeep);
    EXPECT_EQ(reached(kHere), c.of_other) << unsigned{c.control};
    map(kRoot, kHere, 50);
    map(kRoot, kNext, 51, kAll | kGlobal);
  }
}

TEST_F(ModelMachine, InvlpgaForgetsOnePageOfOneAsid) {
  for (const u32 asid : {1u, 2u}) {
    machine.enter(asid, root(kRoot), kKeep);
    ASSERT_EQ(reached(kHere), 50u);
    ASSERT_EQ(reached(kNext), 51u);
  }
  map(kRoot, kHere, 54);
  map(kRoot, kNext, 55);
  machine.invlpga(kHere, 1);
  machine.enter(1, root(kRoot), kKeep);
  EXPECT_EQ(reached(kHere), 54u);
  EXPECT_EQ(reached(kNext), 51u);
  machine.enter(2, root(kRoot), kKeep);
  EXPECT_EQ(reached(kHere), 50u);
  // The entries on its way stay.
  exchange_table(kHere, 1, 56);
  machine.invlpga(kHere, 2);
  EXPECT_EQ(reached(kHere), 54u);
}

TEST_F(ModelMachine, ATableThatIsFreeBeforeItIsForgottenIsCounted) {
  watch_a_pool();
  const Frame table = *frames.alloc(pt::FrameKind::kTable);
  std::memset(memory.alias(table), 0, kPageBytes);
  u64& link = entry(table_of(kRoot, kFar, 2), kFar, 2);
  link = table.number() << 12 | kAll;
  map(kRoot, kFar, 52);
  ASSERT_EQ(reached(kFar), 52u);
  link = 0;
  frames.free(table);
  machine.flush_page(kFar);
  EXPECT_EQ(machine.stale_translations(), 1u);
}

TEST_F(ModelMachine, APageThatIsFreeBeforeItIsForgottenIsCounted) {
  watch_a_pool();
  pt::FrameChain<pt::FrameKind::kFree> dying;
  // Given back after the flush of its page, before it, and before the flush of all.
  for (const u64 counted : {0, 1, 2}) {
    const Frame page = *frames.alloc(pt::FrameKind::kAnon);
    map(kRoot, kFar, page.number());
    ASSERT_EQ(reached(kFar), page.number());
    entry(table_of(kRoot, kFar, 1), kFar, 1) = 0;
    dying.push(page, frames.meta(page));
    if (counted != 0) frames.free_all(dying);
    if (counted == 2) {
      machine.flush_user();
    } else {
      machine.flush_page(kFar);
    }
    frames.free_all(dying);
    EXPECT_EQ(machine.stale_translations(), counted);
  }
}

}  // namespace
}  // namespace nopte::model
