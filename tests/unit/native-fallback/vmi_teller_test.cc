// The guest's side of VMI: what waits in the queue, and which calls are made when.
#include "native-fallback/sinks/vmi_teller.h"

#include <gtest/gtest.h>

#include <vector>

namespace nopte::pt {
namespace {

using namespace abi::vmi;

struct Call {
  u64 number, a0, a1, a2;
  bool operator==(const Call&) const = default;
};
Queue g_queue;
std::vector<Call> g_calls;
std::vector<u64> g_told;  // words that the hypervisor has read

// Every call reads the queue first.
void read_queue() {
  ASSERT_LE(g_queue.count, kQueueWords);
  g_told.insert(g_told.end(), g_queue.words, g_queue.words + g_queue.count);
  g_queue.count = 0;
}
void hypercall(u64 number, u64 a0, u64 a1, u64 a2) {
  EXPECT_TRUE(abi::is_of(number, abi::Interface::kVmi));
  read_queue();
  g_calls.push_back({number & 0xffff'ffff, a0, a1, a2});
}

struct Plain {
  void load_root(PhysAddr) {}
  [[nodiscard]] bool runs(PhysAddr) const { return false; }
  void flush_page(Gva) {}
  void flush_user() {}
  void flush_everything() {}
  void zero_page(u8*) {}
  void copy_page(u8*, const u8*) {}
};

class VmiTelling : public testing::Test {
 protected:
  static constexpr u64 kLinear = 0xffff'8000'0000'0000;
  static constexpr u64 kPages = 16;
  static constexpr Frame kRoot{4}, kOtherRoot{5}, kTable{6};
  static constexpr Gva kVa{0x1000}, kKernelVa{0xffff'd000'0000'0000};

  VmiTelling() {
    g_queue = {};
    g_calls.clear();
    g_told.clear();
    const FrameRange all = FrameRange::of(Frame(0), kPages);
    EXPECT_TRUE(frames_.init(reinterpret_cast<u64>(memory_.data()), all, {&all, 1}));
    sink_.root_activate(kRoot);
    EXPECT_EQ(take_calls(), (std::vector<Call>{{kSetCr3, 0x4000, 0, 0}}));
  }
  static std::vector<Call> take_calls() { return std::exchange(g_calls, {}); }
  static Slot slot(unsigned index, Frame root = kRoot) {
    return Slot::of<FourLevel>(kTable, root, Gva(pages_to_bytes(index)), 1);
  }
  static u64 pointer(unsigned index) { return kLinear + 0x6000 + index * 8; }
  static Entry leaf(u64 frame) {
    return Entry::leaf(Frame(frame), kPermRW, Privilege::kUser, Access::kWrite);
  }
  void lose(unsigned index, Frame root = kRoot) {
    store_entry(frames_.pointer(kTable), index, leaf(9));
    sink_.exchange(slot(index, root), leaf(9), Entry());
  }

  std::vector<u8> memory_ = std::vector<u8>(pages_to_bytes(kPages));
  FrameTable frames_;
  Plain processor_;
  VmiTeller<kLinear, hypercall> teller_{frames_, g_queue};
  TableOpsSink<Plain> sink_{frames_, processor_, teller_};
};

TEST_F(VmiTelling, ALossWaitsForItsInvalidation) {
  lose(1);
  EXPECT_TRUE(g_calls.empty());
  sink_.flush_page(kRoot, Gva(0x1000), FlushScope::kSpace);
  EXPECT_EQ(take_calls(), (std::vector<Call>{{kInvalPage, 0x1000, 0, 0}}));
  EXPECT_EQ(g_told, (std::vector<u64>{pointer(1) | 1}));
}

TEST_F(VmiTelling, SeveralAreFlushedOnce) {
  lose(1);
  lose(2);
  sink_.flush_page(kRoot, Gva(0x1000), FlushScope::kSpace);
  sink_.flush_page(kRoot, Gva(0x2000), FlushScope::kSpace);
  EXPECT_EQ(take_calls(), (std::vector<Call>{{kFlushTlb, kFlushTlbEntries, 0, 0}}));
  EXPECT_EQ(g_told.size(), 2u);
  lose(1);
  lose(2);
  sink_.flush_all(kRoot, FlushScope::kKernel);
  EXPECT_EQ(take_calls(), (std::vector<Call>{{kFlushTlb, kFlushTlbEntries | kFlushGlobal, 0, 0}}));
}

// A fault may read the queue before the flush: then it is still to come.
TEST_F(VmiTelling, WhatWasReadAtAFaultIsFlushedAllTheSame) {
  lose(1);
  read_queue();
  sink_.flush_page(kRoot, Gva(0x1000), FlushScope::kSpace);
  EXPECT_EQ(take_calls().size(), 1u);
}

TEST_F(VmiTelling, AnotherAddressSpaceWaitsOnlyInLazyMode) {
  lose(1, kOtherRoot);
  EXPECT_EQ(take_calls(), (std::vector<Call>{{kUpdatePxELong, pointer(1), kPagePt, 0}}));
  sink_.begin();
  lose(2, kOtherRoot);
  EXPECT_TRUE(g_calls.empty());
  sink_.end();
  EXPECT_EQ(take_calls(), (std::vector<Call>{{kSetLazyMode, kLazyNone, 0, 0}}));
  EXPECT_EQ(g_told, (std::vector<u64>{pointer(2) | 1}));
  // What may wait until the invalidation does not end with lazy mode.
  sink_.begin();
  lose(3);
  sink_.end();
  EXPECT_TRUE(g_calls.empty());
}

TEST_F(VmiTelling, AGainOfAFaultIsSetAtOnceWhereItRuns) {
  sink_.fault_begins();
  sink_.set(slot(3), leaf(9));
  EXPECT_EQ(take_calls(),
            (std::vector<Call>{{kSetPxELong, leaf(9).word(), pointer(3), kPagePt | kCurrentAs | 0x3000}}));
  sink_.fault_ends();
  sink_.fault_begins();
  sink_.set(slot(4, kOtherRoot), leaf(9));
  sink_.fault_ends();
  sink_.fault_begins();
  sink_.fault_ends();
  EXPECT_TRUE(g_calls.empty());
}

TEST_F(VmiTelling, RootsBeginAndEndInTheQueue) {
  constexpr u64 kPml4Pae = kPagePml4 | kPagePae;
  sink_.root_create(kOtherRoot);
  sink_.root_retire(kOtherRoot);
  sink_.retire(kTable, 1);
  EXPECT_TRUE(g_calls.empty());
  sink_.root_activate(kOtherRoot);
  sink_.root_activate(kOtherRoot);
  EXPECT_EQ(take_calls(), (std::vector<Call>{{kSetCr3, 0x5000, 0, 0}}));
  EXPECT_EQ(g_told,
            (std::vector<u64>{5 << 12 | (kPml4Pae | kPageClone) << 3 | kWordAllocate,
                              u64{4} << 24 | 256 << 12 | 256, 5 << 12 | kPml4Pae << 3 | kWordRelease}));
}

// Whatever comes in whatever order, the queue does not overflow and nothing is lost.
TEST_F(VmiTelling, AFullQueueIsReadInTime) {
  for (unsigned i = 0; i < 5000; ++i) {
    if (i % 3 == 0) sink_.root_create(kOtherRoot);
    if (i % 5 == 0) sink_.root_retire(kOtherRoot);
    if (i % 2 == 0) lose(i % 512);
  }
  const u64 exits = take_calls().size();
  read_queue();
  EXPECT_EQ(g_told.size(), 2 * 1667 + 1000 + 2500u);
  EXPECT_LE(exits, g_told.size() / (kQueueWords - 1) + 1);
  // The flush for those that went is still to come, once.
  sink_.flush_all(kRoot, FlushScope::kSpace);
  sink_.flush_all(kRoot, FlushScope::kSpace);
  EXPECT_EQ(take_calls().size(), 1u);
}

}  // namespace
}  // namespace nopte::pt
