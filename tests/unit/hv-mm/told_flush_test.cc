// A told shadow: what an entry loses is flushed at the end of the exit that told of it; a gain flushes
// nothing.
#include "told_test.h"

namespace nopte::hv::testing {
namespace {

class ToldFlush : public ToldTest {
 protected:
  static constexpr u64 kVa = 0x3000, kLeaf = 4 * 4096 + 3 * 8;  // the leaf's address

  ToldFlush() : ToldTest(1024) {
    machine.access(kVa, 2);
    static_cast<void>(machine.mmu.take_flush());
  }
  // Whether telling of this entry flushes.
  bool flushes(u64 entry) {
    machine.guest().write(kLeaf, entry);
    machine.mmu.entry_told(Gpa(kLeaf));
    return machine.mmu.take_flush();
  }
};

TEST_F(ToldFlush, WhatAnEntryLoses) {
  EXPECT_FALSE(flushes(100 * 4096 | kFlags));
  EXPECT_TRUE(flushes(100 * 4096 | (kFlags & ~kW)));
  EXPECT_FALSE(flushes(100 * 4096 | kFlags));  // a gain
  EXPECT_TRUE(flushes(101 * 4096 | kFlags));
  EXPECT_TRUE(flushes(101 * 4096 | (kFlags & ~kU)));
  EXPECT_FALSE(flushes(101 * 4096 | kFlags));
  EXPECT_TRUE(flushes(101 * 4096 | kFlags | kNx));
  EXPECT_TRUE(flushes(0));
  EXPECT_FALSE(flushes(0));
}

}  // namespace
}  // namespace nopte::hv::testing
