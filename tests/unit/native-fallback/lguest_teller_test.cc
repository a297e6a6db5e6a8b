// The guest's side of lguest: what the engine does to its tables becomes calls that name root and address, in
// order, in the ring where they may wait.
#include "native-fallback/sinks/lguest_teller.h"

#include <gtest/gtest.h>

#include <cstring>
#include <utility>
#include <vector>

namespace nopte::pt {
namespace {

using namespace abi::lguest;

struct Call {
  u64 number, a0, a1, a2;
  bool operator==(const Call&) const = default;
};

// Calls as they were made: first what waited in the ring.
Ring* g_ring;
u64 g_next;
std::vector<Call> g_performed;
u64 g_exits;

void empty_ring() {
  for (u64 n = 0; n < kRingSlots && g_ring->status[g_next] != kSlotFree; ++n) {
    const RingCall& made = g_ring->calls[g_next];
    g_performed.push_back({made.number, made.arguments[0], made.arguments[1], made.arguments[2]});
    g_ring->status[g_next] = kSlotFree;
    g_next = (g_next + 1) % kRingSlots;
  }
}
void call(u64 number, u64 a0, u64 a1, u64 a2) {
  ASSERT_TRUE(abi::is_of(number, abi::Interface::kLguest));
  ++g_exits;
  empty_ring();
  g_performed.push_back({number & 0xffff'ffff, a0, a1, a2});
}

// The root and the flushes are the interface's matter.
struct Cpu {
  void load_root(PhysAddr) { ADD_FAILURE(); }
  [[nodiscard]] bool runs(PhysAddr) const { return false; }
  void flush_page(Gva) { ADD_FAILURE(); }
  void flush_user() { ADD_FAILURE(); }
  void flush_everything() { ADD_FAILURE(); }
  void zero_page(u8* to) { std::memset(to, 0, kPageBytes); }
  void copy_page(u8* to, const u8* from) { std::memcpy(to, from, kPageBytes); }
};

class LguestTelling : public ::testing::Test {
 protected:
  using Teller = LguestTeller<call>;
  static constexpr Frame kRoot{20}, kTable{21}, kPage{30};
  static constexpr Gva kVa{0x7000'1234'5000};

  LguestTelling() {
    g_ring = &ring_;
    g_next = 0;
    const FrameRange all = FrameRange::of(Frame(16), kFrames);
    EXPECT_TRUE(frames_.init(reinterpret_cast<u64>(memory_.data()) - pages_to_bytes(16), all, {&all, 1}));
    teller_.start(PhysAddr(0x5000));
    EXPECT_EQ(taken(), (std::vector<Call>{{kInit, 0x5000, 0, 0}}));
  }
  static std::vector<Call> taken() {
    g_exits = 0;
    return std::exchange(g_performed, {});
  }
  static Slot slot(unsigned level, Gva va = kVa) { return Slot::of<FourLevel>(kTable, kRoot, va, level); }
  static Entry leaf(Perm perm) { return Entry::leaf(kPage, perm, Privilege::kUser, Access::kWrite); }
  // The entry at va loses the right to write; it is told as this.
  Call lose(Gva va = kVa) {
    sink_.set(slot(1, va), leaf(kPermRW));
    sink_.exchange(slot(1, va), leaf(kPermRW), leaf(kPermR));
    return {kSetPte, kRoot.address().value(), va.value(), leaf(kPermR).word()};
  }

  static constexpr u64 kFrames = 64;
  std::vector<u8> memory_ = std::vector<u8>(pages_to_bytes(kFrames));
  FrameTable frames_;
  Ring ring_{};
  Cpu processor_;
  Teller teller_{frames_, ring_};
  TableOpsSink<Cpu> sink_{frames_, processor_, teller_};
};

TEST_F(LguestTelling, ALossWaitsUntilItsFlush) {
  const Call lost = lose();
  EXPECT_EQ(g_exits, 0u);
  sink_.flush_page(kRoot, kVa, FlushScope::kSpace);
  EXPECT_EQ(g_exits, 1u);
  EXPECT_EQ(taken(), (std::vector<Call>{lost, {kFlushAsync, 0, 0, 0}}));
  sink_.flush_all(kRoot, FlushScope::kSpace);  // nothing waits
  EXPECT_EQ(g_exits, 0u);
}

TEST_F(LguestTelling, WhatTheHypervisorHasReadNeedsNoFlush) {
  const Call lost = lose();
  empty_ring();  // at a fault
  sink_.flush_page(kRoot, kVa, FlushScope::kSpace);
  EXPECT_EQ(g_exits, 0u);
  EXPECT_EQ(taken(), std::vector<Call>{lost});
}

TEST_F(LguestTelling, EntriesAreNamedByRootAndAddress) {
  const u64 root = kRoot.address().value();
  for (unsigned level = 2; level <= 4; ++level) sink_.unlink(slot(level));
  sink_.flush_all(kRoot, FlushScope::kSpace);
  EXPECT_EQ(taken(), (std::vector<Call>{{kSetPmd, root, kVa.value() | 2, 0},
                                        {kSetPmd, root, kVa.value() | 3, 0},
                                        {kSetPgd, root, kVa.value() >> 39, 0},
                                        {kFlushAsync, 0, 0, 0}}));
}

TEST_F(LguestTelling, AGainIsToldOnlyForAFault) {
  sink_.set(slot(1), leaf(kPermRW));
  sink_.exchange(slot(1), leaf(kPermR), leaf(kPermRW));
  sink_.flush_all(kRoot, FlushScope::kSpace);
  EXPECT_EQ(g_exits, 0u);
  sink_.root_activate(kRoot);
  EXPECT_EQ(taken(), (std::vector<Call>{{kNewPgtable, kRoot.address().value(), 0, 0}}));
  const Call lost = lose(kVa + kPageBytes);
  sink_.fault_begins();
  sink_.set(slot(1), leaf(kPermRW));
  sink_.fault_ends();
  EXPECT_EQ(g_exits, 1u);
  EXPECT_EQ(taken(),
            (std::vector<Call>{lost, {kSetPte, kRoot.address().value(), kVa.value(), leaf(kPermRW).word()}}));
}

TEST_F(LguestTelling, ManyLossesCostOneExitForEachFullRing) {
  constexpr u64 kEntries = 16'384;
  // Of a space that is not in use; the last ring goes with the flush.
  std::vector<Call> expected;
  for (u64 n = 0; n < kEntries; ++n) {
    if (n != 0 && n % kRingSlots == 0) expected.push_back({kFlushAsync, 0, 0, 0});
    expected.push_back(lose(kVa + pages_to_bytes(n)));
  }
  sink_.flush_all(kRoot, FlushScope::kSpace);
  expected.push_back({kFlushAsync, 0, 0, 0});
  EXPECT_EQ(g_exits, kEntries / kRingSlots);
  EXPECT_EQ(taken(), expected);
}

TEST_F(LguestTelling, ManyLossesOfTheSpaceInUseAreForgottenTogether) {
  constexpr Gva kKernelVa{0xffff'c000'0000'0000};
  sink_.root_activate(kRoot);
  static_cast<void>(taken());
  std::vector<Call> expected;
  for (int twice = 0; twice < 2; ++twice) {
    for (u64 n = 0; n < 16'384; ++n) {
      if (n == 1000) expected.push_back(lose(kKernelVa));
      const Call told = lose(kVa + pages_to_bytes(n));
      if (n >= Teller::kMostRings * kRingSlots) continue;
      if (n != 0 && n % kRingSlots == 0) expected.push_back({kFlushAsync, 0, 0, 0});
      expected.push_back(told);
    }
    expected.insert(expected.end() - 1, {kFlushTlb, 0, 0, 0});  // before the kernel's
    sink_.flush_all(kRoot, FlushScope::kSpace);
    expected.push_back({kFlushAsync, 0, 0, 0});
    EXPECT_EQ(g_exits, Teller::kMostRings + 1);
    EXPECT_EQ(taken(), std::exchange(expected, {}));
  }
}

TEST_F(LguestTelling, ARetiredRootIsToldEntryByEntry) {
  const u64 root = kRoot.address().value();
  FrameMeta& meta = frames_.meta(kRoot);
  sink_.table_new(kRoot, 4);
  for (const unsigned index : {0u, 5u, 255u, 256u, 511u}) {
    sink_.filler(kRoot).fill(index, Entry::table(kTable, Privilege::kUser));
    note_filled<FourLevel>(meta, index);
  }
  sink_.root_retire(kRoot);
  EXPECT_EQ(g_exits, 0u);
  sink_.root_activate(Frame(22));  // the ring comes first
  EXPECT_EQ(taken(), (std::vector<Call>{{kSetPgd, root, 0, 0},
                                        {kSetPgd, root, 5, 0},
                                        {kSetPgd, root, 255, 0},
                                        {kNewPgtable, Frame(22).address().value(), 0, 0}}));
}

}  // namespace
}  // namespace nopte::pt
