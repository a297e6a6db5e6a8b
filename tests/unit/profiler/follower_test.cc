#include "experiments/profiler/follower.h"

#include <absl/container/btree_map.h>
#include <gtest/gtest.h>

#include <deque>
#include <string>

namespace profiler {
namespace {

constexpr uint64_t kInterrupt = 0x60;
constexpr uint64_t kPageFault = 0x4e;
constexpr uint64_t kVmmcall = 0x81;

// Blocks of functions that begin at thousands, and a machine that goes from one to the other.
class FollowerTest : public testing::Test {
 protected:
  // `count` instructions of 4 bytes at `address`, of the function address / 0x1000.
  const Block& block(uint64_t address, size_t count, Branch branch = Branch::kNone) {
    Block& made = blocks_.emplace_back();
    for (size_t i = 0; i < count; ++i) made.addresses.push_back(address + 4 * i);
    made.end = address + 4 * count;
    made.branch = branch;
    const uint64_t begin = address / 0x1000 * 0x1000;
    made.place.entry.begin = begin;
    made.place.entry.end = begin + 0x1000;
    made.place.entry.function = static_cast<Function>(address / 0x1000);
    made.place.world = World::kKernel;
    return made;
  }
  Block& change(const Block& made) { return const_cast<Block&>(made); }
  const Block& program(uint64_t address, size_t count, Branch branch = Branch::kNone, uint32_t number = 1) {
    Block& made = change(block(address, count, branch));
    made.place.world = World::kProgram;
    made.place.program = number;
    return made;
  }
  const Block& entry(uint64_t address, size_t count, int vector, Branch branch = Branch::kNone) {
    Block& made = change(block(address, count, branch));
    made.place.entry.vector = vector;
    return made;
  }
  const Block& hypervisor(uint64_t address, size_t count, Branch branch = Branch::kNone, bool after = false) {
    Block& made = change(block(address, count, branch));
    made.place.world = World::kHypervisor;
    made.after_vmrun = after;
    return made;
  }
  const Block& ring0(uint64_t address, size_t count, Branch branch = Branch::kNone, int vector = -1) {
    Block& made = change(entry(address, count, vector, branch));
    made.place.world = World::kRing0;
    return made;
  }
  const Block& bounce(uint64_t address, size_t count, Branch branch = Branch::kNone) {
    Block& made = change(block(address, count, branch));
    made.place.entry.is_bounce = true;
    return made;
  }
  // Executes a block to its end, or as far as instruction `last`.
  void run(const Block& made, int last = -1) {
    follower_.enter(made);
    follower_.reach(last >= 0 ? static_cast<uint32_t>(last)
                              : static_cast<uint32_t>(made.addresses.size() - 1));
  }
  void exit_to(const Block& made, uint64_t code, uint64_t rip) {
    const Exit exit{code, rip};
    follower_.enter(made, &exit);
    follower_.reach(static_cast<uint32_t>(made.addresses.size() - 1));
  }

  // The kernel's switch: `pushed` is where the old stack ends, `loaded` where the new one does.
  void change_stacks(uint64_t pushed, uint64_t loaded) {
    Block& made = change(block(0x5000, 3, Branch::kReturn));
    made.place.entry.is_switch = true;
    run(made);
    follower_.switch_stores(pushed);
    follower_.switch_stores(0x42);
    follower_.switch_loads(loaded);
    follower_.switch_loads(loaded + 8);
  }
  const Block& start() {
    Block& made = change(block(0x6000, 1, Branch::kCall));
    made.place.entry.is_start = true;
    return made;
  }

  using Counts = absl::btree_map<std::string, std::pair<uint64_t, uint64_t>>;
  // "outermost;...;function" in hexadecimal → instructions, calls.
  Counts counts() {
    follower_.finish();
    Counts found;
    CallTree& tree = follower_.tree();
    tree.cut([&](NodeId id, const Node& node) {
      std::string name;
      for (NodeId at = id; at != CallTree::kRoot; at = tree[at].parent) {
        char text[16];
        const Function function = tree[at].function;
        std::snprintf(text, sizeof text, function >= kFirstExit ? "exit%x" : "%x",
                      function >= kFirstExit ? function - kFirstExit : function);
        if (!name.empty()) name.insert(0, 1, ';');
        name.insert(0, text);
      }
      found[name] = {node.instructions, node.calls};
    });
    return found;
  }

  std::vector<Cut> cuts_;
  Follower follower_{[this](Cut cut) { cuts_.push_back(cut); }};
  std::deque<Block> blocks_;
};

TEST_F(FollowerTest, ACallReturnsBehindItself) {
  const Block& call = block(0x1000, 3, Branch::kCall);
  const Block& callee = block(0x2000, 5, Branch::kReturn);
  const Block& behind = block(0x100c, 2);
  run(call);
  run(callee);
  run(behind);
  EXPECT_EQ(counts(), (Counts{{"1", {5, 1}}, {"1;2", {5, 1}}}));
}

TEST_F(FollowerTest, RecursionIsAChain) {
  const Block& call = block(0x1000, 1, Branch::kCall);
  const Block& last = block(0x1008, 1, Branch::kReturn);
  const Block& behind = block(0x1004, 1, Branch::kReturn);
  run(call);
  run(call);
  run(call);
  run(last);  // a jump in the same function
  run(behind);
  run(behind);
  EXPECT_EQ(counts(), (Counts{{"1", {1, 1}}, {"1;1", {2, 1}}, {"1;1;1", {2, 1}}, {"1;1;1;1", {1, 1}}}));
}

TEST_F(FollowerTest, EndlessRecursionIsCutOff) {
  const Block& call = block(0x1000, 1, Branch::kCall);
  for (int i = 0; i < 100'000; ++i) run(call);
  follower_.finish();
  EXPECT_LT(follower_.tree().nodes(), 1000U);
}

TEST_F(FollowerTest, AJumpIsACallWhoseReturnIsItsCallers) {
  const Block& call = block(0x1000, 1, Branch::kCall);
  const Block& jumps = block(0x2000, 2);
  const Block& tail = block(0x3000, 4, Branch::kReturn);
  const Block& behind = block(0x1004, 1);
  run(call);
  run(jumps);
  run(tail);
  run(behind);
  EXPECT_EQ(counts(), (Counts{{"1", {2, 1}}, {"1;2", {2, 1}}, {"1;2;3", {4, 1}}}));
}

TEST_F(FollowerTest, AJumpBackEndsAJump) {
  run(block(0x1000, 1));
  for (int i = 0; i < 3; ++i) {
    run(block(0x2000, 2));
    run(block(0x1010, 1));
  }
  EXPECT_EQ(counts(), (Counts{{"1", {4, 1}}, {"1;2", {6, 3}}}));
}

TEST_F(FollowerTest, CallsInsideAProgramWithoutSymbolsAreNotSeen) {
  const Block& call = program(0x400000, 1, Branch::kCall);
  const Block& callee = program(0x400100, 1, Branch::kReturn);
  for (const Block* one : {&call, &callee}) change(*one).place.entry.whole = true;
  run(call);
  run(callee);
  run(program(0x400004, 1));
  EXPECT_EQ(counts(), (Counts{{"400", {3, 1}}}));
}

TEST_F(FollowerTest, ASystemCallIsACalleeOfTheProgram) {
  run(program(0x400000, 2, Branch::kSystemCall));
  run(block(0x1000, 3, Branch::kCall));
  run(block(0x2000, 4, Branch::kReturn));
  run(block(0x100c, 1, Branch::kLeaveKernel));
  run(program(0x400008, 1));
  EXPECT_EQ(counts(), (Counts{{"400", {3, 1}}, {"400;1", {4, 1}}, {"400;1;2", {4, 1}}}));
}

TEST_F(FollowerTest, WhatFaultsIsCountedWhenItIsExecuted) {
  const Block& touches = program(0x400000, 5);
  run(touches, 2);  // the third one faults
  run(entry(0x1000, 3, 14, Branch::kLeaveKernel));
  follower_.return_address_is(0x400008);
  run(program(0x400008, 3));
  EXPECT_EQ(counts(), (Counts{{"400", {5, 1}}, {"400;1", {3, 1}}}));
}

TEST_F(FollowerTest, AFetchThatFaultsIsNoFaultOfTheInstructionBefore) {
  run(program(0x400000, 2, Branch::kCall));
  run(entry(0x1000, 3, 14, Branch::kLeaveKernel));
  follower_.return_address_is(0x401000);
  run(program(0x401000, 3, Branch::kReturn));  // the call goes on
  run(program(0x400008, 1));
  EXPECT_EQ(counts(), (Counts{{"400", {3, 1}}, {"400;1", {3, 1}}, {"400;401", {3, 1}}}));
}

TEST_F(FollowerTest, ACallThatFaultsIsMadeLater) {
  const Block& call = program(0x400000, 2, Branch::kCall);
  run(call);
  run(entry(0x1000, 1, 14, Branch::kLeaveKernel));
  follower_.return_address_is(0x400004);
  run(program(0x400004, 1, Branch::kCall));
  run(program(0x401000, 1));
  EXPECT_EQ(counts(), (Counts{{"400", {2, 1}}, {"400;1", {1, 1}}, {"400;401", {1, 1}}}));
}

TEST_F(FollowerTest, AnInterruptIsBetweenInstructions) {
  constexpr int kNmi = 2;
  for (const int vector : {32, kNmi}) {
    run(program(0x400000, 2));
    run(entry(0x1000, 3, vector, Branch::kLeaveKernel));
    follower_.return_address_is(0x400004);  // of a repeated instruction, which is counted each time
    run(program(0x400004, 1));
  }
  EXPECT_EQ(counts(), (Counts{{"400", {6, 1}}, {"400;1", {6, 2}}}));
}

TEST_F(FollowerTest, TheHypervisorIsACalleeOfWhatWasLeft) {
  run(hypervisor(0x8000, 4, Branch::kVmrun));
  run(program(0x400000, 3), 1);  // the second is intercepted
  exit_to(hypervisor(0x8010, 2, Branch::kCall, true), kVmmcall, 0x400004);
  run(hypervisor(0x9000, 6, Branch::kReturn));
  run(hypervisor(0x8018, 1, Branch::kVmrun));
  run(program(0x400008, 1));
  EXPECT_EQ(counts(), (Counts{{"8", {4, 1}},
                              {"400", {2, 1}},
                              {"400;exit81", {0, 1}},
                              {"400;exit81;8", {3, 1}},
                              {"400;exit81;8;9", {6, 1}}}));
}

TEST_F(FollowerTest, AnExitForAnInterruptIsBetweenInstructions) {
  run(hypervisor(0x8000, 1, Branch::kVmrun));
  run(program(0x400000, 1, Branch::kCall));
  exit_to(hypervisor(0x8004, 1, Branch::kVmrun, true), kInterrupt, 0x400000);
  run(program(0x401000, 1, Branch::kReturn));  // the call was made before
  run(program(0x400004, 1));
  const Counts found = counts();
  EXPECT_EQ(found.at("400"), (std::pair<uint64_t, uint64_t>{2, 1}));
  EXPECT_EQ(found.at("400;401"), (std::pair<uint64_t, uint64_t>{1, 1}));
}

TEST_F(FollowerTest, AnExitWithoutAnInstructionBelongsToWhatGoesOn) {
  run(hypervisor(0x8000, 1, Branch::kVmrun));
  run(program(0x400000, 1));
  const Block& vmrun = hypervisor(0x8004, 1, Branch::kVmrun, true);
  exit_to(vmrun, kPageFault, 0x400000);
  exit_to(vmrun, kPageFault, 0x400000);  // VMRUN was executed, nothing in the guest
  run(program(0x400000, 1));
  EXPECT_EQ(counts(),
            (Counts{{"8", {1, 1}}, {"400", {1, 1}}, {"400;exit4e", {0, 2}}, {"400;exit4e;8", {2, 2}}}));
}

TEST_F(FollowerTest, AnExceptionThatIsInjectedIsNoFaultOfVmrun) {
  run(hypervisor(0x8000, 1, Branch::kVmrun));
  run(program(0x400000, 1));
  exit_to(hypervisor(0x8004, 2, Branch::kVmrun, true), kPageFault, 0x400000);
  run(entry(0x1000, 1, 14, Branch::kLeaveKernel));
  follower_.return_address_is(0x8008);
  run(program(0x400000, 1));
  EXPECT_EQ(counts(), (Counts{{"8", {1, 1}},
                              {"400", {1, 1}},
                              {"400;exit4e", {0, 1}},
                              {"400;exit4e;8", {2, 1}},
                              {"400;1", {1, 1}}}));
}

// The program calls the kernel at ring 3, which calls ring 0 for something and for the way back.
TEST_F(FollowerTest, ASystemCallIsHandedOnByRing0) {
  for (int i = 0; i < 2; ++i) {
    run(program(0x400000, 2, Branch::kSystemCall));
    run(ring0(0x9000, 3, Branch::kLeaveKernel));
    run(bounce(0x1000, 4, Branch::kCall));
    run(block(0x2000, 5, Branch::kSystemCall));
    run(ring0(0x9000, 6, Branch::kCall));
    run(ring0(0xa000, 7, Branch::kReturn));
    run(ring0(0x9018, 1, Branch::kLeaveKernel));
    run(block(0x2014, 1, Branch::kReturn));
    run(block(0x1010, 1, Branch::kSystemCall));
    run(ring0(0x9000, 2, Branch::kLeaveKernel));
    run(program(0x400008, 1));
    EXPECT_EQ(counts(), (Counts{{"400", {3, i == 0 ? 1 : 0}},
                                {"400;9", {3, 1}},
                                {"400;1", {5, 1}},
                                {"400;1;2", {6, 1}},
                                {"400;1;2;9", {7, 1}},
                                {"400;1;2;9;a", {7, 1}},
                                {"400;1;9", {2, 1}}}));
  }
}

// What ring 0 resolves by itself, and an interrupt behind a call: the program goes on as if nothing had been.
TEST_F(FollowerTest, WhatRing0ResolvesIsNotSeenAbove) {
  const Block& touches = program(0x400000, 5, Branch::kCall);
  run(touches, 2);  // the third one faults
  run(ring0(0x9000, 3, Branch::kLeaveKernel, 14));
  follower_.return_address_is(0x400008);
  run(program(0x400008, 3, Branch::kCall));
  run(ring0(0xb000, 2, Branch::kLeaveKernel));
  run(program(0x401000, 1, Branch::kReturn));
  run(program(0x400014, 1));
  EXPECT_EQ(counts(), (Counts{{"400", {6, 1}}, {"400;9", {3, 1}}, {"400;b", {2, 1}}, {"400;401", {1, 1}}}));
}

// A fault of ring 0's own, and one that it hands on while the kernel is in a call of its own.
TEST_F(FollowerTest, FaultsInRing0AndOfTheKernelAtRing3) {
  run(program(0x400000, 1, Branch::kSystemCall));
  run(bounce(0x1000, 1, Branch::kCall));
  const Block& touches = block(0x2000, 3, Branch::kReturn);
  run(touches, 1);
  run(ring0(0x9000, 2, Branch::kNone, 14));
  follower_.return_address_is(0x2004);
  run(ring0(0x9008, 1), 0);
  run(ring0(0x9000, 1, Branch::kLeaveKernel, 14));
  run(ring0(0x9008, 1, Branch::kLeaveKernel));
  run(bounce(0x3000, 4, Branch::kLeaveKernel));  // IRET to the kernel
  run(block(0x2004, 2, Branch::kReturn));
  run(block(0x1004, 1));
  EXPECT_EQ(counts(), (Counts{{"400", {1, 1}},
                              {"400;1", {2, 1}},
                              {"400;1;2", {3, 1}},
                              {"400;1;2;9", {4, 1}},
                              {"400;1;2;9;9", {1, 1}},
                              {"400;1;2;3", {4, 1}}}));
}

TEST_F(FollowerTest, EachStackHasItsChain) {
  run(block(0x1000, 1, Branch::kCall));
  change_stacks(0xa000, 0xb000);
  run(start());
  run(block(0x7000, 1, Branch::kCall));
  change_stacks(0xb100, 0xa000);
  run(block(0x1004, 7));
  const Counts found = counts();
  EXPECT_EQ(found.at("1"), (std::pair<uint64_t, uint64_t>{8, 1}));
  EXPECT_EQ(found.at("6;7"), (std::pair<uint64_t, uint64_t>{1, 1}));
  EXPECT_EQ(found.at("1;5").first, 3U);  // where it was loaded
}

TEST_F(FollowerTest, AStackThatIsMadeWhereAnotherWasLeftHasAChainOfItsOwn) {
  run(block(0x1000, 1, Branch::kCall));
  change_stacks(0xa000, 0xb000);
  run(block(0x2000, 1, Branch::kCall));
  change_stacks(0xb000, 0xa000);  // and never comes back
  run(block(0x1004, 1, Branch::kCall));
  change_stacks(0xa100, 0xb000);
  run(start());
  run(block(0x7000, 1));
  EXPECT_EQ(counts().at("6;7"), (std::pair<uint64_t, uint64_t>{1, 1}));
}

TEST_F(FollowerTest, AccessesOutsideOfTheSwitchAreNotItsOwn) {
  run(block(0x1000, 1, Branch::kCall));
  run(block(0x2000, 1, Branch::kReturn));
  follower_.switch_stores(1);
  follower_.switch_stores(2);
  follower_.switch_loads(3);
  run(block(0x1004, 1));
  EXPECT_EQ(counts(), (Counts{{"1", {2, 1}}, {"1;2", {1, 1}}}));
}

TEST_F(FollowerTest, AnotherProgramInTheProcessBeginsAnew) {
  run(program(0x400000, 1, Branch::kSystemCall));
  run(block(0x1000, 2, Branch::kLeaveKernel));
  run(program(0x500000, 3, Branch::kNone, 2));
  EXPECT_EQ(counts(), (Counts{{"400", {1, 1}}, {"400;1", {2, 1}}, {"500", {3, 1}}}));
}

TEST_F(FollowerTest, CutsAreWhereTheyAreSeen) {
  run(block(0x1000, 1));
  run(program(0x400000, 1, Branch::kReadTicks));
  run(program(0x400004, 1));
  Block& mark = change(block(0x2000, 1));
  mark.place.entry.is_mark = true;
  run(mark);
  Block& inside = change(block(0x2008, 1, Branch::kReadTicks));
  inside.place.entry.is_mark = true;
  run(inside);
  run(block(0x200c, 1));
  EXPECT_EQ(cuts_, (std::vector<Cut>{Cut::kProgram, Cut::kTicks, Cut::kMark}));
}

}  // namespace
}  // namespace profiler
