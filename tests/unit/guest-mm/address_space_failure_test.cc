// Each operation with each call and each block of memory failing.
#include <functional>

#include "tests/unit/guest-mm/address_space_fixture.h"

namespace nopte::guest {
namespace {

// Every operation, with the nth call to the backend failing, for every n: all is as before.
class FailureTest : public AddressSpaceTest {
 protected:
  using Operation = std::function<bool()>;  // whether it succeeded

  void fail_each(const char* name, const Operation& operation) {
    SCOPED_TRACE(name);
    for (u64 n = 1;; ++n) {
      ASSERT_LT(n, 20u);
      const Specs before = list(*space);
      const u64 objects = fake.objects();
      const u64 spaces = fake.spaces();
      fake.fail_at(n);
      const bool succeeded = operation();
      const bool failed = fake.failed();
      fake.fail_at(0);
      check();
      if (!failed) {
        EXPECT_TRUE(succeeded);
        return;
      }
      EXPECT_FALSE(succeeded);
      EXPECT_EQ(list(*space), before);
      EXPECT_EQ(fake.objects(), objects);
      EXPECT_EQ(fake.spaces(), spaces);
    }
  }

  // Leaves exactly `blocks` free blocks of this size in the heap, and no more memory, while `operation` runs.
  bool with_blocks(u64 bytes, u64 blocks, const Operation& operation) {
    fake.forbid_kmem(true);
    std::vector<void*> taken;
    while (void* block = heap_alloc(bytes)) taken.push_back(block);
    u64 given_back = 0;
    while (given_back < blocks && !taken.empty()) {
      heap_free(taken.back(), bytes);
      taken.pop_back();
      ++given_back;
    }
    const bool succeeded = operation();
    for (void* block : taken) heap_free(block, bytes);
    fake.forbid_kmem(false);
    return succeeded;
  }
  void starve_each(const char* name, u64 block_bytes, const Operation& operation) {
    SCOPED_TRACE(name);
    // The heap holds enough for the run that succeeds.
    std::vector<void*> stock;
    for (int i = 0; i < 64; ++i) stock.push_back(heap_alloc(block_bytes));
    for (void* block : stock) heap_free(block, block_bytes);
    for (u64 n = 0;; ++n) {
      ASSERT_LT(n, 64u);
      const Specs before = list(*space);
      const u64 objects = fake.objects();
      const u64 spaces = fake.spaces();
      const bool succeeded = with_blocks(block_bytes, n, operation);
      check();
      if (succeeded) return;
      EXPECT_EQ(list(*space), before);
      EXPECT_EQ(fake.objects(), objects);
      EXPECT_EQ(fake.spaces(), spaces);
    }
  }

  struct Named {
    const char* name;
    Operation operation;
  };
  std::vector<Named> operations() {
    return {
        {"map", [&] { return space->map({.bytes = kPageBytes, .perm = kPermRWX}).has_value(); }},
        {"map shared",
         [&] {
           return space->map({.bytes = kPageBytes, .perm = kPermRW, .sharing = Sharing::kShared}).has_value();
         }},
        {"unmap a hole", [&] { return space->unmap(pages(2, 1)).has_value(); }},
        {"protect the middle", [&] { return space->protect(pages(6, 1), kPermR).has_value(); }},
        {"grow in place", [&] { return space->remap({.old = pages(10, 10), .new_pages = 12}).has_value(); }},
        {"move the middle and grow",
         [&] { return space->remap({.old = pages(12, 2), .new_pages = 5, .may_move = true}).has_value(); }},
        {"advise", [&] { return space->advise(pages(10, 1), Advice::kDontNeed).has_value(); }},
        {"brk",
         [&] {
           space->set_brk_start(kPlace + (1 << 24));
           return space->set_brk(kPlace + (2 << 24)) == kPlace + (2 << 24);
         }},
        {"brk shrinks", [&] { return space->set_brk(kPlace + (1 << 24)) == kPlace + (1 << 24); }},
        {"stack", [&] { return space->grow_stack(kStackTop - (1 << 20)); }},
        {"clone", [&] { return space->clone().has_value(); }},
        {"create", [&] { return AddressSpace::create().has_value(); }},
    };
  }
  void prepare() {
    ASSERT_TRUE(map(0, 4));
    ASSERT_TRUE(map(5, 3));
    ASSERT_TRUE(map(10, 10));
    ASSERT_TRUE(space->map_stack());
    ASSERT_TRUE(space->map({.bytes = kPageBytes, .perm = kPermRW, .sharing = Sharing::kShared}));
  }
};

TEST_F(FailureTest, AFailedCallLeavesTheSpaceAsItWas) {
  prepare();
  for (const Named& each : operations()) fail_each(each.name, each.operation);
}

TEST_F(FailureTest, AMissingBlockLeavesTheSpaceAsItWas) {
  prepare();
  for (const u64 bytes : {sizeof(RegionNode), sizeof(MemoryObject), sizeof(AddressSpace)}) {
    for (const Named& each : operations()) starve_each(each.name, bytes, each.operation);
    ASSERT_TRUE(space->unmap({kUserRange.begin, kUserRange.end}));
    prepare();
  }
}

TEST_F(FailureTest, AFailedFixedMapMayHaveUnmappedWhatWasThere) {
  ASSERT_TRUE(map(0, 4));
  fake.fail_at(1);
  EXPECT_EQ(status(map(1, 1, kPermR)), Status::kNoMemory);
  EXPECT_EQ(list(*space),
            (Specs{{.range = pages(0, 1), .perm = kPermRW}, {.range = pages(2, 2), .perm = kPermRW}}));
}

}  // namespace
}  // namespace nopte::guest
