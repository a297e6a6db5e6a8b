#include "experiments/walks/observer.h"

#include <gtest/gtest.h>

#include <vector>

namespace walks {
namespace {

Special of(std::vector<uint8_t> bytes) { return classify(bytes); }

TEST(Instruction, IsToldByItsBytes) {
  EXPECT_EQ(of({0x0f, 0x22, 0xd8}), Special::kWriteCr3);        // mov %rax, %cr3
  EXPECT_EQ(of({0x41, 0x0f, 0x22, 0xdf}), Special::kWriteCr3);  // mov %r15, %cr3
  EXPECT_EQ(of({0x0f, 0x22, 0xe0}), Special::kWriteCr0OrCr4);   // mov %rax, %cr4
  EXPECT_EQ(of({0x0f, 0x22, 0xc0}), Special::kWriteCr0OrCr4);   // mov %rax, %cr0
  EXPECT_EQ(of({0x44, 0x0f, 0x22, 0xc0}), Special::kNone);      // mov %rax, %cr8
  EXPECT_EQ(of({0x0f, 0x22, 0xd0}), Special::kNone);            // mov %rax, %cr2
  EXPECT_EQ(of({0x0f, 0x20, 0xd8}), Special::kNone);            // mov %cr3, %rax
  EXPECT_EQ(of({0x0f, 0x01, 0x38}), Special::kInvlpg);          // invlpg (%rax)
  EXPECT_EQ(of({0x41, 0x0f, 0x01, 0x3f}), Special::kInvlpg);    // invlpg (%r15)
  EXPECT_EQ(of({0x0f, 0x01, 0xf8}), Special::kNone);            // swapgs
  EXPECT_EQ(of({0x0f, 0x01, 0x10}), Special::kNone);            // lgdt (%rax)
  EXPECT_EQ(of({0x0f, 0x01, 0xd8}), Special::kVmrun);
  EXPECT_EQ(of({0x0f, 0x01, 0xd9}), Special::kNone);  // vmmcall
  EXPECT_EQ(of({0x0f, 0x01, 0xda}), Special::kVmloadOrVmsave);
  EXPECT_EQ(of({0x0f, 0x01, 0xdb}), Special::kVmloadOrVmsave);
  EXPECT_EQ(of({0x0f, 0x01, 0xdf}), Special::kInvlpga);
  EXPECT_EQ(of({0x90}), Special::kNone);
  EXPECT_EQ(of({0x66}), Special::kNone);
  EXPECT_EQ(of({}), Special::kNone);
}

constexpr uint64_t kExitWriteCr3 = 0x13;
constexpr uint64_t kExitInvlpg = 0x79;
constexpr uint64_t kExitInterrupt = 0x60;

class ObserverTest : public testing::Test {
 protected:
  // Walks that an access adds with one dimension and 4 KiB leaves.
  uint64_t read(uint64_t address, uint64_t physical = 0) {
    const uint64_t before = walks();
    if (!observer.access_again(Stream::kData, address)) observer.access(Stream::kData, address, physical);
    return walks() - before;
  }
  uint64_t walks() const {
    uint64_t sum = 0;
    for (const Owner owner : {Owner::kHypervisor, Owner::kKernel, Owner::kProgram})
      sum += observer.models()[0].model.counts(owner, Stream::kData).walks;
    return sum;
  }
  void run(Special special) {
    observer.execute(special);
    observer.enter_block(false, &block);
  }
  void enter(uint8_t tlb_control = 0) {
    block.tlb_control = tlb_control;
    run(Special::kVmrun);
  }
  void leave(uint64_t exit_code) {
    block.exit_code = exit_code;
    observer.enter_block(true, &block);
  }

  Observer observer{Machine::kHypervisor};
  ControlBlock block{1, 0, false, 0};
};

TEST_F(ObserverTest, TheBareMachineHasNoHypervisor) {
  Observer bare(Machine::kBare);
  bare.access(Stream::kData, 0, 0);
  EXPECT_FALSE(bare.in_hypervisor());
  EXPECT_EQ(bare.accesses(Owner::kProgram, Stream::kData), 1);
  EXPECT_TRUE(observer.in_hypervisor());
}

TEST_F(ObserverTest, AnInstructionActsWhenTheNextBlockBegins) {
  enter();
  EXPECT_EQ(read(0), 1);
  observer.execute(Special::kWriteCr3);
  EXPECT_EQ(read(0), 0);
  observer.enter_block(false, nullptr);
  EXPECT_EQ(read(0), 1);
  EXPECT_EQ(observer.events().cr3_writes, 1);
}

TEST_F(ObserverTest, WhatIsInterceptedDoesNothing) {
  enter();
  read(0);
  observer.execute(Special::kWriteCr3);
  leave(kExitWriteCr3);
  observer.execute(Special::kInvlpg);
  enter();
  observer.execute(Special::kInvlpg);
  leave(kExitInvlpg);
  enter();
  EXPECT_EQ(read(0), 0);
  EXPECT_EQ(observer.events().cr3_writes, 0);
  EXPECT_EQ(observer.events().page_flushes, 0);
}

TEST_F(ObserverTest, WhatIsInterruptedAfterwardsHasActed) {
  enter();
  read(0);
  observer.execute(Special::kWriteCr3);
  leave(kExitInterrupt);
  enter();
  EXPECT_EQ(read(0), 1);
}

TEST_F(ObserverTest, TheHypervisorHasASpaceOfItsOwn) {
  enter();
  EXPECT_FALSE(observer.in_hypervisor());
  EXPECT_EQ(read(0), 1);
  leave(kExitInterrupt);
  EXPECT_TRUE(observer.in_hypervisor());
  EXPECT_EQ(read(0), 1);
  enter();
  EXPECT_EQ(read(0), 0);
  EXPECT_EQ(observer.events().entries, 2);
  EXPECT_EQ(observer.events().exits, 1);
  EXPECT_EQ(observer.accesses(Owner::kProgram, Stream::kData), 2);
  EXPECT_EQ(observer.accesses(Owner::kHypervisor, Stream::kData), 1);
}

TEST_F(ObserverTest, AnExitAtOnce) {
  observer.execute(Special::kVmrun);
  leave(kExitInterrupt);
  EXPECT_TRUE(observer.in_hypervisor());
  EXPECT_EQ(observer.events().entries, 1);
  EXPECT_EQ(observer.events().exits, 1);
}

TEST_F(ObserverTest, TlbControlFlushesAtEntry) {
  enter();
  for (const uint8_t control : {1, 3, 7}) {
    read(0);
    leave(kExitInterrupt);
    enter(control);
    EXPECT_EQ(read(0), 1) << int{control};
  }
  EXPECT_EQ(observer.events().flushes_at_entry, 3);
}

TEST_F(ObserverTest, SpacesWithIdentifiersKeepTheirOwnWhileOthersRun) {
  struct Case {
    uint8_t control;
    uint64_t of_this, of_other;  // walks after an entry with it
  };
  for (const Case& c : {Case{0, 0, 0}, Case{1, 1, 1}, Case{3, 1, 0}, Case{7, 1, 0}}) {
    enter(1);
    for (const uint32_t asid : {3u, 2u, 3u}) {
      leave(kExitInterrupt);
      block.asid = asid;
      enter();
      read(0);
    }
    leave(kExitInterrupt);
    block.asid = 2;
    enter(c.control);
    EXPECT_EQ(read(0), c.of_this) << int{c.control};
    leave(kExitInterrupt);
    block.asid = 3;
    enter();
    EXPECT_EQ(read(0), c.of_other) << int{c.control};
    leave(kExitInterrupt);
  }
}

TEST_F(ObserverTest, SeesWhetherTheGuestIsNested) {
  block.nested = true;
  enter();
  EXPECT_TRUE(observer.nested());
}

TEST_F(ObserverTest, APageAtAnotherFrameIsForgotten) {
  enter();
  EXPECT_EQ(read(0x1000, 0x5000), 1);
  read(0x9000, 0x9000);
  EXPECT_EQ(read(0x1000, 0x7000), 1);
  EXPECT_EQ(observer.events().moved_pages, 1);
}

TEST_F(ObserverTest, CountsPagesThatCannotLieInALargeLeaf) {
  enter();
  read(0x1000, 0x20'1000);
  read(0x2000, 0x20'3000);
  read(0xffff'8000'0000'3000, 0x9000);
  EXPECT_EQ(observer.events().pages, 2);
  EXPECT_EQ(observer.events().small_pages, 1);
}

}  // namespace
}  // namespace walks
