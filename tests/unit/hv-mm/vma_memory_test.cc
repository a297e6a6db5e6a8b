// The memory calls of the ABI as a guest makes them, registers and all, over the engine and the machine
// model.
#include <array>
#include <cstddef>
#include <iterator>
#include <optional>
#include <random>

#include "tests/unit/hv-mm/vma_fixture.h"

namespace nopte::hv {
namespace {

TEST_F(VmaMemoryTest, APromiseIsInstalledByAFaultAndGoneAfterUnmap) {
  const u64 space = make_space();
  ASSERT_EQ(call(Call::space_activate, {space}).status, Status::kOk);
  EXPECT_FALSE(touch(kA));
  ASSERT_EQ(map(space, kA, 2), Status::kOk);
  EXPECT_TRUE(touch(kA));
  EXPECT_FALSE(touch(kA + 2 * kPageBytes));
  EXPECT_TRUE(engine_.peek(SpaceId(static_cast<u32>(space)), kA).has_value());
  EXPECT_EQ(call(Call::region_unmap, {space, kA.value(), 2}).status, Status::kOk);
  EXPECT_FALSE(engine_.peek(SpaceId(static_cast<u32>(space)), kA).has_value());
  EXPECT_FALSE(touch(kA));
}

// The hypervisor writes every violation into one of these pages: as somebody else's frame it could be a
// table.
TEST_F(VmaMemoryTest, WhatTheHypervisorWritesToCannotBeGivenBack) {
  const Result<Gva> kept = memory_.alloc_kept_kmem(2);
  ASSERT_TRUE(kept);
  const u64 free_pages = engine_.memory_info().free_pages;
  for (const u64 pages : {1, 2, 16}) {
    EXPECT_EQ(call(Call::kmem_free, {kept->value(), pages}).status, Status::kInvalid) << pages;
  }
  EXPECT_EQ(engine_.memory_info().free_pages, free_pages);
  EXPECT_TRUE(engine_.kernel_pointer(*kept + kPageBytes));
  const CallResult own = call(Call::kmem_alloc, {2});
  ASSERT_EQ(own.status, Status::kOk);
  EXPECT_EQ(call(Call::kmem_free, {own.value, 2}).status, Status::kOk);
}

// No entry refuses a region's right, yet the processor does (SMEP): installing it again would not help.
TEST_F(VmaMemoryTest, TheKernelMayNotExecuteUserPages) {
  const u64 space = make_space();
  ASSERT_EQ(call(Call::space_activate, {space}).status, Status::kOk);
  ASSERT_EQ(map(space, kA, 1, Perm::kAll), Status::kOk);
  EXPECT_TRUE(memory_.fault(kA, Access::kExec, pt::Privilege::kUser));
  const auto refused = memory_.fault(kA, Access::kExec, pt::Privilege::kKernel);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), ViolationReason::kPermission);
  EXPECT_TRUE(memory_.fault(kA, Access::kWrite, pt::Privilege::kKernel));
}

TEST_F(VmaMemoryTest, RefusesWhatIsMalformed) {
  const u64 space = make_space();
  EXPECT_EQ(map(space, kA + 1, 1), Status::kInvalid);
  EXPECT_EQ(map(space, kA, 0), Status::kInvalid);
  EXPECT_EQ(map(space, kA, ~u64{0}), Status::kInvalid);
  EXPECT_EQ(map(space, kA, 1, 0x800), Status::kInvalid);
  EXPECT_EQ(map(space, kA, 1, 3 | abi::kRegionShared), Status::kInvalid);
  EXPECT_EQ(map(space, kA, 1, 3, 0, 1), Status::kInvalid);
  EXPECT_EQ(map(space, kA, 1, 3, 77), Status::kInvalid);
  EXPECT_EQ(map(space, Gva{0}, 1), Status::kInvalid);
  EXPECT_EQ(map(space, kUserRange.end - kPageBytes, 2), Status::kInvalid);
  EXPECT_EQ(map(0, kA, 1), Status::kInvalid);
  EXPECT_EQ(map(0, kWindowRange.begin, 1), Status::kInvalid) << "a window without an object";
  EXPECT_EQ(map(space + (u64{1} << 32), kA, 1), Status::kInvalid);
  ASSERT_EQ(map(space, kA, 4), Status::kOk);
  EXPECT_EQ(map(space, kA + kPageBytes, 1), Status::kOverlap);
  EXPECT_EQ(call(Call::region_protect, {space, kA.value(), 5, 1}).status, Status::kNoRegion);
  EXPECT_EQ(call(Call::region_protect, {space, kA.value(), 4, 8}).status, Status::kInvalid);
  EXPECT_EQ(call(Call::region_advise, {space, kA.value(), 4, 10}).status, Status::kInvalid);
  EXPECT_EQ(call(Call::memory_info, {2}).status, Status::kInvalid);
  EXPECT_EQ(memory_.call(static_cast<u64>(Call::console_write), {1}).status, Status::kUnsupported);
  EXPECT_EQ(memory_.call(40, {}).status, Status::kUnsupported);
}

TEST_F(VmaMemoryTest, AnObjectStaysWhileARegionShowsIt) {
  const u64 space = make_space();
  const u64 object = call(Call::object_create, {4}).value;
  ASSERT_EQ(map(space, kA, 4, 3 | abi::kRegionShared, object), Status::kOk);
  EXPECT_EQ(call(Call::object_destroy, {object}).status, Status::kBusy);
  ASSERT_EQ(call(Call::region_unmap, {space, kA.value(), 4}).status, Status::kOk);
  EXPECT_EQ(call(Call::object_destroy, {object}).status, Status::kOk);
  EXPECT_EQ(call(Call::object_destroy, {object}).status, Status::kInvalid);
}

TEST_F(VmaMemoryTest, OneCallReplacesAndPopulates) {
  const u64 space = make_space();
  ASSERT_EQ(call(Call::space_activate, {space}).status, Status::kOk);
  ASSERT_EQ(map(space, kA, 8, 1), Status::kOk);
  ASSERT_TRUE(touch(kA + 3 * kPageBytes, Access::kRead));
  constexpr u64 kFlags = 3 | abi::kRegionReplace | abi::kRegionPopulate;
  const CallResult mapped = call(Call::region_map, {space, (kA + 2 * kPageBytes).value(), 40, kFlags});
  EXPECT_EQ(mapped.status, Status::kOk);
  EXPECT_EQ(mapped.value, 40u);
  const SpaceId id{static_cast<u32>(space)};
  for (u64 page = 2; page < 42; ++page) {
    const auto installed = engine_.peek(id, kA + pages_to_bytes(page));
    ASSERT_TRUE(installed && installed->entry.writable()) << page;
  }
  expect_promised(space);
  // With an interrupt pending the rest is left to region_advise.
  stop_.requested = true;
  const CallResult stopped = call(Call::region_map, {space, kA.value(), 40, kFlags});
  EXPECT_EQ(stopped.status, Status::kOk);
  EXPECT_LT(stopped.value, 40u);
}

TEST_F(VmaMemoryTest, EverythingComesBack) {
  const u64 other = make_space();  // so that lists and pools exist before counting
  ASSERT_EQ(map(other, kA, 1), Status::kOk);
  ASSERT_EQ(call(Call::object_create, {1}).status, Status::kOk);
  const u64 before = frames_.free_frames();
  const u64 space = make_space();
  const u64 object = call(Call::object_create, {600}).value;
  ASSERT_EQ(call(Call::space_activate, {space}).status, Status::kOk);
  ASSERT_EQ(map(space, kA, 64), Status::kOk);
  ASSERT_EQ(map(space, kA + (u64{1} << 30), 600, 3 | abi::kRegionShared, object), Status::kOk);
  for (u64 i = 0; i < 64; ++i) {
    ASSERT_EQ(call(Call::region_protect, {space, (kA + i * kPageBytes).value(), 1, 1 + 2 * (i % 2)}).status,
              Status::kOk);
  }
  ASSERT_TRUE(touch(kA, Access::kRead));
  ASSERT_TRUE(touch(kA + (u64{1} << 30)));
  const u64 child = call(Call::space_clone, {space}).value;
  ASSERT_EQ(call(Call::space_activate, {0}).status, Status::kOk);
  ASSERT_EQ(call(Call::space_destroy, {space}).status, Status::kOk);
  ASSERT_EQ(call(Call::space_destroy, {child}).status, Status::kOk);
  ASSERT_EQ(call(Call::object_destroy, {object}).status, Status::kOk);
  EXPECT_EQ(frames_.free_frames(), before);
}

// Work is bounded by what is there, not by how much address space a call names.
TEST_F(VmaMemoryTest, AdviceOverAllOfASpaceIsCheap) {
  const u64 space = make_space();
  ASSERT_EQ(call(Call::space_activate, {space}).status, Status::kOk);
  const u64 object = call(Call::object_create, {u64{1} << 34}).value;
  ASSERT_EQ(map(space, kA, u64{1} << 34, 3 | abi::kRegionShared, object), Status::kOk);
  ASSERT_TRUE(touch(kA + pages_to_bytes((u64{1} << 33) + 5)));
  for (const u64 advice : {u64{1}, u64{0}}) {
    EXPECT_EQ(call(Call::region_advise, {space, kUserRange.begin.value(), kUserRange.pages(), advice}).status,
              Status::kOk);
  }
  EXPECT_EQ(call(Call::region_unmap, {space, kUserRange.begin.value(), kUserRange.pages()}).status,
            Status::kOk);
}

TEST_F(VmaMemoryTest, ARegionIsUsedAsTheCallsSay) {
  const u64 space = make_space();
  const RegionTree& tree = **memory_.declared(SpaceId(static_cast<u32>(space)));
  const auto usage = [&](u64 page) { return tree.find(kA + pages_to_bytes(page))->usage.bits(); };
  const auto advise = [&](u64 page, u64 pages, u64 advice) {
    return call(Call::region_advise, {space, (kA + pages_to_bytes(page)).value(), pages, advice}).status;
  };
  ASSERT_EQ(map(space, kA, 8), Status::kOk);
  ASSERT_EQ(advise(2, 3, 4), Status::kOk);
  EXPECT_EQ(tree.regions(), 3u);
  EXPECT_EQ(usage(2), 1);
  ASSERT_EQ(advise(2, 3, 5), Status::kOk);
  EXPECT_EQ(usage(4), 2);
  ASSERT_EQ(advise(2, 3, 6), Status::kOk);
  EXPECT_EQ(usage(4), 2 | 1 << 2);
  ASSERT_EQ(advise(2, 3, 7), Status::kOk);
  EXPECT_EQ(usage(4), 2 | 2 << 2);
  ASSERT_EQ(advise(2, 3, 8), Status::kOk);
  EXPECT_EQ(usage(4), 2 | 2 << 2 | 1 << 4);
  ASSERT_EQ(advise(2, 3, 9), Status::kOk);
  // A map of equal usage continues it, one of another does not.
  ASSERT_EQ(call(Call::region_unmap, {space, (kA + pages_to_bytes(5)).value(), 3}).status, Status::kOk);
  ASSERT_EQ(map(space, kA + pages_to_bytes(5), 1, 3 | 2 << 6 | 2 << 8), Status::kOk);
  EXPECT_EQ(tree.regions(), 2u);
  ASSERT_EQ(map(space, kA + pages_to_bytes(6), 1, 3 | 2 << 6 | 1 << 8), Status::kOk);
  EXPECT_EQ(tree.regions(), 3u);
  // What does not exist is refused, and changes nothing.
  for (const u64 flags : {u64{3} << 6, u64{3} << 8, u64{1} << 11}) {
    EXPECT_EQ(map(space, kA + pages_to_bytes(9), 1, 3 | flags), Status::kInvalid);
  }
  EXPECT_EQ(advise(0, 7, 10), Status::kInvalid);
  EXPECT_EQ(advise(0, 0, 4), Status::kInvalid);
  EXPECT_EQ(tree.regions(), 3u);
  // A replacement is used as it says, not as what was there.
  ASSERT_EQ(map(space, kA, 8, 3 | abi::kRegionReplace), Status::kOk);
  EXPECT_EQ(tree.regions(), 1u);
  EXPECT_EQ(usage(4), 0);
}

TEST_F(VmaMemoryTest, UsageThatCannotBeNotedChangesNothing) {
  const u64 space = make_space();
  const RegionTree& tree = **memory_.declared(SpaceId(static_cast<u32>(space)));
  ASSERT_EQ(map(space, kA, 3 * kMaxRegionsPerSpace), Status::kOk);
  Status status = Status::kOk;
  u64 page = 1;
  const auto random = [&] {
    return call(Call::region_advise,
                {space, (kA + pages_to_bytes(page)).value(), 1, static_cast<u64>(Advice::kRandom)});
  };
  for (; status == Status::kOk && page < 3 * kMaxRegionsPerSpace; page += 2) status = random().status;
  EXPECT_EQ(status, Status::kLimit) << status_name(status);
  EXPECT_LE(tree.regions(), kMaxRegionsPerSpace);
  EXPECT_EQ(tree.find(kA + pages_to_bytes(page - 2))->usage, Usage());
  EXPECT_EQ(call(Call::region_unmap, {space, kA.value(), 3 * kMaxRegionsPerSpace}).status, Status::kOk);
}

TEST_F(VmaMemoryTest, WhatIsInstalledIsCountedPieceByPiece) {
  using Tables = pt::TableMemory<pt::StoreSink<model::Machine>>;
  using Format = pt::StoreSink<model::Machine>::Format;
  const u64 space = make_space();
  ASSERT_EQ(call(Call::space_activate, {space}).status, Status::kOk);
  const auto count = [&](Gva begin, u64 pages) {
    InstalledPages all;
    while (pages != 0) {
      const u64 asked = std::min(pages, abi::kMostCounted);
      const CallResult result = call(Call::region_installed, {space, begin.value(), asked});
      EXPECT_EQ(result.status, Status::kOk);
      const auto some = abi::CountedPages::of(result.value);
      if (some.counted == 0 || some.counted > asked) {
        ADD_FAILURE() << some.counted;
        break;
      }
      all = {all.pages + some.pages, all.large + some.large};
      begin += pages_to_bytes(some.counted);
      pages -= some.counted;
    }
    return all;
  };
  ASSERT_EQ(map(space, kA, 2000), Status::kOk);
  for (u64 page = 0; page < 2000; page += 2) ASSERT_TRUE(touch(kA + pages_to_bytes(page)));
  EXPECT_EQ(count(kA, 2000).pages, 1000u);
  EXPECT_EQ(count(kA + kPageBytes, 1998).pages, 999u);
  EXPECT_EQ(count(kUserRange.begin, kUserRange.pages()).pages, 1000u);
  // A large leaf, as one comes to be there.
  constexpr Gva kLarge = kA + (u64{1} << 30);
  ASSERT_EQ(map(space, kLarge, 512), Status::kOk);
  pt::EngineCounters counters;
  const Tables tables{sink_, frames_, counters};
  pt::Cursor<pt::StoreSink<model::Machine>> cursor(tables, *engine_.root(SpaceId(static_cast<u32>(space))),
                                                   kLarge);
  const auto leaf = Format::Entry::leaf(pt::Frame(), kPermRW, pt::Privilege::kUser, Access::kWrite);
  ASSERT_TRUE(cursor.install(Format::leaf_at(leaf, pt::Frame(), 2), 2));
  const InstalledPages whole = count(kA, 1 << 20);
  EXPECT_EQ(whole.pages, 1512u);
  EXPECT_EQ(whole.large, 512u);
  EXPECT_EQ(count(kLarge + kPageBytes, 100).large, 100u);
  for (const Registers& refused :
       {Registers{space, kA.value(), 0}, Registers{space, kA.value() + 1, 1},
        Registers{space, kA.value(), abi::kMostCounted + 1}, Registers{77, kA.value(), 1},
        Registers{space, kWindowRange.begin.value(), 1}}) {
    EXPECT_EQ(call(Call::region_installed, refused).status, Status::kInvalid);
  }
}

// A space holds a bounded number of regions, whatever makes them: splits count too.
TEST_F(VmaMemoryTest, SplitsAreBoundedToo) {
  const u64 space = make_space();
  ASSERT_EQ(map(space, kA, 3 * kMaxRegionsPerSpace), Status::kOk);
  Status status = Status::kOk;
  u64 page = 1;
  for (; status == Status::kOk && page < 3 * kMaxRegionsPerSpace; page += 2) {
    status = call(Call::region_protect, {space, (kA + pages_to_bytes(page)).value(), 1, 1}).status;
  }
  EXPECT_EQ(status, Status::kLimit) << status_name(status);
  const auto tree = memory_.declared(SpaceId(static_cast<u32>(space)));
  EXPECT_LE((*tree)->regions(), kMaxRegionsPerSpace);
  EXPECT_EQ(call(Call::region_unmap, {space, kA.value(), 3 * kMaxRegionsPerSpace}).status, Status::kOk);
}

// Every call with every nasty value in every register, and pairs of them at random: a status comes back, the
// declared lists stay whole, and what is installed stays promised.
TEST_F(VmaMemoryTest, NastyValuesInEveryRegister) {
  const u64 space = make_space();
  const u64 object = call(Call::object_create, {8}).value;
  ASSERT_EQ(call(Call::space_activate, {space}).status, Status::kOk);
  const u64 nasty[] = {0,
                       1,
                       2,
                       3,
                       4,
                       7,
                       8,
                       15,
                       16,
                       511,
                       512,
                       0xfff,
                       kPageBytes,
                       space,
                       object,
                       kA.value(),
                       kA.value() + 1,
                       kA.value() + kPageBytes,
                       kUserRange.begin.value(),
                       kUserRange.end.value() - kPageBytes,
                       kUserRange.end.value(),
                       kWindowRange.begin.value(),
                       kWindowRange.end.value() - kPageBytes,
                       kKmemRange.begin.value(),
                       kImageRange.begin.value(),
                       0x7fff'ffff,
                       0x8000'0000,
                       0xffff'ffff,
                       0x1'0000'0000,
                       0x8000'0000'0000,
                       u64{1} << 51,
                       u64{1} << 52,
                       u64{1} << 63,
                       ~u64{0} - kPageMask,
                       ~u64{0}};
  u64 calls = 0;
  std::mt19937_64 random(2007);
  const auto check = [&](u64 number, const Registers& registers) {
    const CallResult result = memory_.call(number, registers);
    ASSERT_LE(static_cast<u32>(result.status), static_cast<u32>(Status::kLimit)) << number;
    ++calls;
    if (number == static_cast<u64>(Call::space_create) && result.status == Status::kOk &&
        result.value > 200) {
      ASSERT_EQ(call(Call::space_destroy, {result.value}).status, Status::kOk);
    }
    // Faults anywhere answer too, and never install what is not promised.
    const Gva va(nasty[random() % std::size(nasty)]);
    const auto access = static_cast<Access>(random() % 3);
    if (memory_.fault(va, access, pt::Privilege::kUser)) {
      const auto region = (*memory_.declared(memory_.active()))->find(va);
      ASSERT_TRUE(region && allows(region->perm, access)) << std::hex << va.value();
    }
  };
  const Registers plain[] = {{space, kA.value(), 1, 3, 0, 0}, {space, kA.value(), 2, 11, object, 1}, {0}};
  for (u64 number = 0; number < 72; ++number) {
    for (const Registers& base : plain) {
      for (unsigned index = 0; index < 6; ++index) {
        for (const u64 value : nasty) {
          Registers registers = base;
          registers[index] = value;
          check(number, registers);
        }
      }
    }
  }
  for (u64 i = 0; i < 200'000; ++i) {
    Registers registers;
    for (u64& value : registers) value = nasty[random() % std::size(nasty)];
    check(random() % 28, registers);
  }
  EXPECT_GT(calls, 200'000u);
  for (u32 id = 0; id < 1000; ++id) {
    if (const auto tree = memory_.declared(SpaceId{id})) {
      EXPECT_TRUE((*tree)->consistent());
    }
  }
}

// Nodes whose memory stays as it was: what looks at one that is gone sees no crash, but what it promised.
struct KeptNodes final : RegionNodeSource {
  void* allocate() override { return &memory[used++]; }
  void release(void*) override {}
  struct alignas(RegionNode) Slot {
    std::array<std::byte, sizeof(RegionNode)> bytes;
  };
  std::array<Slot, 4> memory;
  std::size_t used = 0;
};

TEST_F(VmaMemoryTest, WhatWasAskedOfASpaceThatIsGoneIsForgotten) {
  constexpr Gva kB = kA + 64 * kPageBytes;
  KeptNodes nodes;
  std::optional<RegionTree> tree;  // always at the same address
  const auto space_with = [&](Gva at) {
    tree.emplace(VaRange{Gva(kPageBytes), Gva(u64{1} << 47)}, nodes, nullptr);
    for (const Gva begin : {at, at + 16 * kPageBytes}) {
      EXPECT_TRUE(tree->insert({.range = VaRange::of_pages(begin, 2), .perm = kPermRW}, 0, nullptr, 100));
    }
    return *engine_.space_create(*tree);
  };
  const auto faults = [&](SpaceId space, Gva va) {
    return engine_.fault(space, va, Access::kRead, pt::Privilege::kUser).has_value();
  };
  const SpaceId gone = space_with(kA);
  EXPECT_TRUE(faults(gone, kA));
  ASSERT_TRUE(engine_.space_destroy(gone));
  const SpaceId next = space_with(kB);
  EXPECT_FALSE(faults(next, kA));
  EXPECT_TRUE(faults(next, kB));
  ASSERT_TRUE(engine_.space_destroy(next));
}

}  // namespace
}  // namespace nopte::hv
