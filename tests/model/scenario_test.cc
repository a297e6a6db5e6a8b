// Each operation of the engine in order, over every kind of sink, with all invariants checked between.
#include "tests/model/world.h"

namespace nopte::model {
namespace {

constexpr RegionSpec anonymous(Gva begin, u64 pages, Perm perm = kPermRW) {
  return {.range = VaRange::of_pages(begin, pages), .perm = perm};
}
constexpr RegionSpec of_object(Gva begin, u64 pages, ObjectId object, Sharing sharing, Perm perm = kPermRW,
                               u64 object_page = 0) {
  return {.range = VaRange::of_pages(begin, pages),
          .perm = perm,
          .sharing = sharing,
          .object = object,
          .object_page = object_page};
}
constexpr Gva page(Gva base, u64 index) { return base + pages_to_bytes(index); }

class Scenario : public testing::TestWithParam<const KindRow*> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(world.start());
    first = *world.create();
    ASSERT_TRUE(world.activate(first));
  }
  void TearDown() override {
    world.check();
    world.finish();
  }
  World world{*GetParam(), 4096, 2};
  const Layout& layout = world.layout();
  const Gva kBase = layout.base;
  SpaceId first{};
};

INSTANTIATE_TEST_SUITE_P(Kinds, Scenario, testing::ValuesIn(kAllKinds), kKindName);

TEST_P(Scenario, AnonymousMemoryReadsZeroAndKeepsWhatIsWritten) {
  auto& w = this->world;
  w.map(this->first, anonymous(this->kBase, 3));
  EXPECT_EQ(w.read(this->kBase), 0u);
  EXPECT_EQ(w.write(page(this->kBase, 1), 11), ViolationReason::kNone);
  EXPECT_EQ(w.read(page(this->kBase, 1)), 11u);
  EXPECT_EQ(w.read(page(this->kBase, 3)), std::unexpected(ViolationReason::kNoRegion));
  // The promise refuses at the first fault; after it, the entry does if it can.
  EXPECT_EQ(w.touch(page(this->kBase, 2), Access::kExec), std::unexpected(ViolationReason::kPermission));
  EXPECT_EQ(w.touch(this->kBase, Access::kExec).has_value(), layout.all_executable());
  w.check();
}

TEST_P(Scenario, ForkAndForkOfForkAreIndependent) {
  auto& w = this->world;
  w.map(this->first, anonymous(this->kBase, 700));
  for (u64 i = 0; i < 700; ++i) ASSERT_EQ(w.write(page(this->kBase, i), 1000 + i), ViolationReason::kNone);
  const SpaceId child = *w.clone(this->first);
  w.check();
  EXPECT_EQ(w.write(this->kBase, 1), ViolationReason::kNone);
  ASSERT_TRUE(w.activate(child));
  EXPECT_EQ(w.read(this->kBase), 1000u);
  EXPECT_EQ(w.write(page(this->kBase, 1), 2), ViolationReason::kNone);
  const SpaceId grandchild = *w.clone(child);
  w.check();
  EXPECT_EQ(w.write(page(this->kBase, 2), 3), ViolationReason::kNone);
  ASSERT_TRUE(w.activate(grandchild));
  EXPECT_EQ(w.read(page(this->kBase, 0)), 1000u);
  EXPECT_EQ(w.read(page(this->kBase, 1)), 2u);
  EXPECT_EQ(w.read(page(this->kBase, 2)), 1002u);
  EXPECT_EQ(w.write(page(this->kBase, 2), 4), ViolationReason::kNone);
  ASSERT_TRUE(w.activate(this->first));
  EXPECT_EQ(w.read(page(this->kBase, 0)), 1u);
  EXPECT_EQ(w.read(page(this->kBase, 1)), 1001u);
  EXPECT_EQ(w.read(page(this->kBase, 2)), 1002u);
  ASSERT_TRUE(w.destroy(child));
  w.check();
  const u64 copied = w.engine().counters().frames_copied;
  ASSERT_TRUE(w.destroy(grandchild));
  EXPECT_EQ(w.write(page(this->kBase, 300), 5),
            ViolationReason::kNone);  // held once again: upgraded in place
  EXPECT_EQ(w.engine().counters().frames_copied, copied);
}

TEST_P(Scenario, UnmapTakesExactlyTheRangeAndItsTables) {
  auto& w = this->world;
  const u64 before = w.frames().free_frames();
  w.map(this->first, anonymous(this->kBase, 2000));
  for (u64 i = 0; i < 2000; ++i) ASSERT_EQ(w.write(page(this->kBase, i), i), ViolationReason::kNone);
  ASSERT_TRUE(w.unmap(this->first, {page(this->kBase, 100), page(this->kBase, 1900)}));
  w.check();
  EXPECT_EQ(w.read(page(this->kBase, 99)), 99u);
  EXPECT_EQ(w.read(page(this->kBase, 1900)), 1900u);
  EXPECT_EQ(w.read(page(this->kBase, 100)), std::unexpected(ViolationReason::kNoRegion));
  EXPECT_EQ(w.read(page(this->kBase, 1899)), std::unexpected(ViolationReason::kNoRegion));
  ASSERT_TRUE(w.unmap(this->first, {this->kBase, page(this->kBase, 2000)}));
  EXPECT_EQ(w.frames().free_frames(), before);
}

TEST_P(Scenario, ProtectTakesRightsAtOnceAndKeepsContents) {
  auto& w = this->world;
  w.map(this->first, anonymous(this->kBase, 40));
  for (u64 i = 0; i < 40; ++i) ASSERT_EQ(w.write(page(this->kBase, i), i + 1), ViolationReason::kNone);
  const VaRange middle{page(this->kBase, 10), page(this->kBase, 20)};
  ASSERT_TRUE(w.protect(this->first, middle, kPermR));
  w.check();
  EXPECT_EQ(w.write(page(this->kBase, 10), 0), ViolationReason::kPermission);
  EXPECT_EQ(w.read(page(this->kBase, 10)), 11u);
  ASSERT_TRUE(w.protect(this->first, {this->kBase, page(this->kBase, 40)}, kPermNone));
  w.check();
  EXPECT_EQ(w.read(page(this->kBase, 10)), std::unexpected(ViolationReason::kPermission));
  ASSERT_TRUE(w.protect(this->first, {this->kBase, page(this->kBase, 40)}, kPermRW));
  w.check();  // what was gained is in the tables now
  const u64 faults = w.engine().counters().faults;
  for (u64 i = 0; i < 40; ++i) EXPECT_EQ(w.write(page(this->kBase, i), i + 2), ViolationReason::kNone);
  // Stale translations may fault once; an upgrade done eagerly never asks the promises.
  EXPECT_EQ(w.engine().counters().faults, faults);
  ASSERT_TRUE(w.protect(this->first, {this->kBase, page(this->kBase, 1)}, kPermRX));
  EXPECT_TRUE(w.touch(this->kBase, Access::kExec));
}

TEST_P(Scenario, MoveKeepsContentsAndRights) {
  auto& w = this->world;
  w.map(this->first, anonymous(this->kBase, 600));
  for (u64 i = 0; i < 600; i += 3) ASSERT_EQ(w.write(page(this->kBase, i), i + 1), ViolationReason::kNone);
  const Gva there{0x1234'5000};
  ASSERT_TRUE(w.move(this->first, {this->kBase, page(this->kBase, 600)}, there));
  w.check();
  EXPECT_EQ(w.read(this->kBase), std::unexpected(ViolationReason::kNoRegion));
  for (u64 i = 0; i < 600; ++i) EXPECT_EQ(w.read(page(there, i)), i % 3 == 0 ? i + 1 : 0);
  // Within one leaf table, too.
  ASSERT_TRUE(w.move(this->first, {page(there, 0), page(there, 5)}, page(there, 1000)));
  EXPECT_EQ(w.read(page(there, 1003)), 4u);
}

TEST_P(Scenario, MoveTakesWholeLeafTablesAlong) {
  auto& w = this->world;
  constexpr u64 kPages = 1100;  // two leaf tables and a part of a third
  w.map(this->first, anonymous(this->kBase, kPages));
  for (unsigned cpu = 0; cpu < w.machine().cpus(); ++cpu) {
    w.machine().set_current(cpu);
    ASSERT_TRUE(w.activate(this->first));
    for (u64 i = 0; i < kPages; i += 7)
      ASSERT_EQ(w.write(page(this->kBase, i), i + 1), ViolationReason::kNone);
  }
  const Gva there{0x4000'0000};
  const u64 written = w.engine().counters().entries_written;
  ASSERT_TRUE(w.move(this->first, {this->kBase, page(this->kBase, kPages)}, there));
  w.check();
  if (w.kind().can_share_tables()) {
    EXPECT_LT(w.engine().counters().entries_written - written, 40u);
  }
  for (unsigned cpu = 0; cpu < w.machine().cpus(); ++cpu) {
    w.machine().set_current(cpu);
    EXPECT_EQ(w.read(this->kBase), std::unexpected(ViolationReason::kNoRegion));
    for (u64 i = 0; i < kPages; ++i) EXPECT_EQ(w.read(page(there, i)), i % 7 == 0 ? i + 1 : 0);
  }
  // Out of memory on the way leaves everything where it was.
  for (u64 nth = 1;; ++nth) {
    w.frames().fail_allocation(nth);
    const auto moved = w.move(this->first, {there, page(there, kPages)}, this->kBase);
    w.frames().fail_allocation(0);
    w.check();
    if (moved) break;
    ASSERT_LT(nth, 20u);
    EXPECT_EQ(w.read(page(there, 7)), 8u);
  }
  EXPECT_EQ(w.read(page(this->kBase, 1099)), 1100u);
}

TEST_P(Scenario, MoveIntoATableThatItEmpties) {
  auto& w = this->world;
  // Source [900, 1200), target [388, 688): the first table of the source loses all its pages to the table
  // before it, then the rest arrives in it.
  w.map(this->first, anonymous(page(this->kBase, 900), 300));
  for (u64 i = 0; i < 300; ++i) ASSERT_EQ(w.write(page(this->kBase, 900 + i), i + 1), ViolationReason::kNone);
  ASSERT_TRUE(w.move(this->first, {page(this->kBase, 900), page(this->kBase, 1200)}, page(this->kBase, 388)));
  w.check();
  for (u64 i = 0; i < 300; ++i) EXPECT_EQ(w.read(page(this->kBase, 388 + i)), i + 1);
}

TEST_P(Scenario, ObjectPagesAreSharedOrCopied) {
  auto& w = this->world;
  const ObjectId object = *w.object_create(8);
  const Gva shared = this->kBase;
  const Gva priv = page(this->kBase, 100);
  w.map(this->first, of_object(shared, 10, object, Sharing::kShared));
  w.map(this->first, of_object(priv, 6, object, Sharing::kPrivate, kPermRW, 2));
  EXPECT_EQ(w.write(page(shared, 2), 7), ViolationReason::kNone);
  EXPECT_EQ(w.read(page(priv, 0)), 7u);
  EXPECT_EQ(w.write(page(shared, 2), 8), ViolationReason::kNone);
  EXPECT_EQ(w.read(page(priv, 0)), 8u);
  EXPECT_EQ(w.write(page(priv, 0), 9), ViolationReason::kNone);
  EXPECT_EQ(w.read(page(shared, 2)), 8u);
  EXPECT_EQ(w.write(page(priv, 3), 5), ViolationReason::kNone);  // never read before: no page in the object
  EXPECT_EQ(w.read(page(shared, 5)), 0u);
  EXPECT_EQ(w.read(page(shared, 8)), std::unexpected(ViolationReason::kPastEnd));
  w.check();

  const SpaceId child = *w.clone(this->first);
  ASSERT_TRUE(w.activate(child));
  EXPECT_EQ(w.read(page(priv, 0)), 9u);
  EXPECT_EQ(w.write(page(shared, 3), 33), ViolationReason::kNone);
  ASSERT_TRUE(w.activate(this->first));
  EXPECT_EQ(w.read(page(shared, 3)), 33u);
  w.check();

  EXPECT_EQ(w.object_destroy(object), Fail(Status::kBusy));
  ASSERT_TRUE(w.engine().object_resize(object, 3));
  w.check();
  EXPECT_EQ(w.read(page(priv, 1)), std::unexpected(ViolationReason::kPastEnd));
  EXPECT_EQ(w.read(page(priv, 0)), 9u);
  ASSERT_TRUE(w.engine().object_resize(object, 8));
  EXPECT_EQ(w.read(page(priv, 3)), 0u);
  EXPECT_EQ(w.read(page(shared, 3)), 0u);
}

TEST_P(Scenario, ProtectedObjectPagesAreFoundAgain) {
  auto& w = this->world;
  const ObjectId object = *w.object_create(4);
  w.map(this->first, of_object(this->kBase, 4, object, Sharing::kShared));
  EXPECT_EQ(w.write(this->kBase, 7), ViolationReason::kNone);
  ASSERT_TRUE(w.protect(this->first, {this->kBase, page(this->kBase, 4)}, kPermR));
  EXPECT_EQ(w.write(this->kBase, 8), ViolationReason::kPermission);
  ASSERT_TRUE(w.protect(this->first, {this->kBase, page(this->kBase, 4)}, kPermNone));
  w.check();
  ASSERT_TRUE(w.protect(this->first, {this->kBase, page(this->kBase, 4)}, kPermRW));
  EXPECT_EQ(w.read(this->kBase), 7u);
  EXPECT_EQ(w.write(this->kBase, 9), ViolationReason::kNone);
}

TEST_P(Scenario, AdoptedFramesAreAnObject) {
  auto& w = this->world;
  const pt::FrameRange outside = w.outside();
  for (u64 i = 0; i < outside.frames(); ++i) {
    *reinterpret_cast<u64*>(w.memory().page(outside.begin + i)) = 70 + i;
  }
  const ObjectId object = *w.object_adopt(outside);
  w.map(this->first, of_object(this->kBase, 4, object, Sharing::kPrivate));
  for (u64 i = 0; i < outside.frames(); ++i) EXPECT_EQ(w.read(page(this->kBase, i)), 70 + i);
  EXPECT_EQ(w.write(this->kBase, 1), ViolationReason::kNone);
  EXPECT_EQ(**w.engine().object_window(object, 0), 70);
  w.check();
}

TEST_P(Scenario, KernelMemoryIsCommittedAndSeenFromEverySpace) {
  auto& w = this->world;
  const u64 before = w.frames().free_frames();
  const Gva small = *w.kmem_alloc(3);
  const Gva large = *w.kmem_alloc(40);
  const u64 faults = w.engine().counters().faults;
  for (u64 i = 0; i < 48; ++i) {
    EXPECT_EQ(w.read(page(large, i), Privilege::kKernel), 0u);
    EXPECT_EQ(w.write(page(large, i), i, Privilege::kKernel), ViolationReason::kNone);
  }
  const SpaceId second = *w.create();
  ASSERT_TRUE(w.activate(second));
  EXPECT_EQ(w.read(page(large, 47), Privilege::kKernel), 47u);
  EXPECT_EQ(w.engine().counters().faults, faults);
  EXPECT_EQ(w.read(large), std::unexpected(ViolationReason::kNoRegion));  // not for user code
  EXPECT_EQ(w.engine().kmem_free(large, 16), Fail(Status::kInvalid));
  EXPECT_EQ(w.engine().kmem_free(page(large, 16), 16), Fail(Status::kInvalid));
  EXPECT_EQ(w.engine().kmem_free(small, 40), Fail(Status::kInvalid));
  w.check();
  ASSERT_TRUE(w.engine().kmem_free(large, 40));
  w.check();
  EXPECT_EQ(w.read(large, Privilege::kKernel), std::unexpected(ViolationReason::kNoRegion));
  ASSERT_TRUE(w.engine().kmem_free(small, 3));
  EXPECT_EQ(w.engine().kmem_free(small, 3), Fail(Status::kInvalid));
  ASSERT_TRUE(w.activate(this->first));
  ASSERT_TRUE(w.destroy(second));
  EXPECT_GE(w.frames().free_frames() + 1, before);  // a bitmap frame stays
}

TEST_P(Scenario, WindowsShowObjectsToTheKernelAlone) {
  auto& w = this->world;
  const ObjectId object = *w.object_create(30);
  const Gva window = layout.windows.begin + pages_to_bytes(512);
  w.map(SpaceId::kKernel, of_object(window, 30, object, Sharing::kShared));
  w.map(this->first, of_object(this->kBase, 30, object, Sharing::kShared));
  EXPECT_EQ(w.write(window, 5, Privilege::kKernel), ViolationReason::kNone);
  EXPECT_EQ(w.read(this->kBase), 5u);
  EXPECT_EQ(w.read(window), std::unexpected(ViolationReason::kNoRegion));
  w.check();
  ASSERT_TRUE(w.engine().object_resize(object, 0));
  EXPECT_EQ(w.read(window, Privilege::kKernel), std::unexpected(ViolationReason::kPastEnd));
  ASSERT_TRUE(w.unmap(SpaceId::kKernel, {window, page(window, 30)}));
  EXPECT_EQ(w.read(window, Privilege::kKernel), std::unexpected(ViolationReason::kNoRegion));
}

TEST_P(Scenario, UnmappingWholeTablesOfWindowsTakesAllOut) {
  auto& w = this->world;
  const u64 kPages = 2 * layout.entries_per_table;
  const ObjectId object = *w.object_create(kPages);
  const Gva window = layout.windows.begin;
  w.map(SpaceId::kKernel, of_object(window, kPages, object, Sharing::kShared));
  for (u64 i = 0; i < kPages; i += 100) {
    ASSERT_EQ(w.write(page(window, i), i, Privilege::kKernel), ViolationReason::kNone);
  }
  ASSERT_TRUE(w.unmap(SpaceId::kKernel, {window, page(window, kPages)}));
  w.check();
  EXPECT_EQ(w.read(page(window, 100), Privilege::kKernel), std::unexpected(ViolationReason::kNoRegion));
}

TEST_P(Scenario, AdviceDropsAndInstallsAhead) {
  auto& w = this->world;
  const ObjectId object = *w.object_create(4);
  w.map(this->first, anonymous(this->kBase, 600));
  w.map(this->first, of_object(page(this->kBase, 600), 8, object, Sharing::kPrivate));
  const VaRange all{this->kBase, page(this->kBase, 700)};
  ASSERT_TRUE(w.advise(this->first, all, Advice::kPopulate));
  const u64 faults = w.engine().counters().faults;
  for (u64 i = 0; i < 604; ++i) EXPECT_EQ(w.write(page(this->kBase, i), i + 1), ViolationReason::kNone);
  EXPECT_EQ(w.engine().counters().faults, faults);
  EXPECT_EQ(w.read(page(this->kBase, 604)), std::unexpected(ViolationReason::kPastEnd));
  ASSERT_TRUE(w.advise(this->first, {this->kBase, page(this->kBase, 602)}, Advice::kDontNeed));
  w.check();
  EXPECT_EQ(w.read(page(this->kBase, 5)), 0u);
  EXPECT_EQ(w.read(page(this->kBase, 601)), 0u);
  EXPECT_EQ(w.read(page(this->kBase, 603)), 604u);
  ASSERT_TRUE(w.advise(this->first, all, Advice::kWillNeed));
}

TEST_P(Scenario, ACopyMayLieWhereATableLay) {
  auto& w = this->world;
  w.map(this->first, anonymous(this->kBase, 1));
  ASSERT_EQ(w.write(this->kBase, 5), ViolationReason::kNone);
  const SpaceId child = *w.clone(this->first);
  // A page that stays when its tables go.
  const ObjectId object = *w.object_create(1);
  const Gva alone{0x4000'0000};
  w.map(this->first, of_object(alone, 1, object, Sharing::kShared));
  ASSERT_EQ(w.read(alone), 0u);
  const Gva rest{0x40'0000};
  w.map(this->first, anonymous(rest, 8192));
  u64 next = 0;
  while (w.write(page(rest, next), 1) == ViolationReason::kNone) ++next;
  ASSERT_EQ(w.write(this->kBase, 6), ViolationReason::kNoMemory);
  const u64 before = w.frames().free_frames();
  ASSERT_TRUE(w.unmap(this->first, {alone, page(alone, 1)}));
  ASSERT_GT(w.frames().free_frames(), before);
  EXPECT_EQ(w.write(this->kBase, 6), ViolationReason::kNone);
  w.check();
  ASSERT_TRUE(w.activate(child));
  EXPECT_EQ(w.read(this->kBase), 5u);
}

TEST_P(Scenario, BadArgumentsAreAnswers) {
  auto& w = this->world;
  auto& e = w.engine();
  const VaRange good{this->kBase, page(this->kBase, 1)};
  const SpaceId unknown{4711};
  EXPECT_EQ(e.space_clone(unknown, w.regions(this->first)), Fail(Status::kInvalid));
  EXPECT_EQ(e.space_clone(SpaceId::kKernel, w.regions(this->first)), Fail(Status::kInvalid));
  EXPECT_EQ(e.space_destroy(unknown), Fail(Status::kInvalid));
  EXPECT_EQ(e.space_destroy(SpaceId::kKernel), Fail(Status::kInvalid));
  EXPECT_EQ(e.space_destroy(this->first), Fail(Status::kBusy));
  EXPECT_EQ(e.space_activate(SpaceId{64}), Fail(Status::kInvalid));
  for (const SpaceId id : {unknown, SpaceId::kKernel, SpaceId{64}, SpaceId{0xffff'ffff}}) {
    EXPECT_EQ(e.region_unmapped(id, good), Fail(Status::kInvalid));
    EXPECT_EQ(e.region_protected(id, good, kPermR), Fail(Status::kInvalid));
    EXPECT_EQ(e.region_moved(id, good, page(this->kBase, 5)), Fail(Status::kInvalid));
    EXPECT_EQ(e.region_advise(id, good, Advice::kPopulate), Fail(Status::kInvalid));
  }
  for (const VaRange bad :
       {VaRange{this->kBase, this->kBase}, VaRange{page(this->kBase, 1), this->kBase},
        VaRange{this->kBase + 1, page(this->kBase, 1)}, VaRange{this->kBase, Gva{~u64{0} & ~kPageMask}},
        VaRange{Gva{0}, page(this->kBase, 1)}}) {
    EXPECT_EQ(e.region_unmapped(this->first, bad), Fail(Status::kInvalid));
    EXPECT_EQ(e.region_moved(this->first, bad, this->kBase), Fail(Status::kInvalid));
  }
  EXPECT_EQ(e.region_moved(this->first, {this->kBase, page(this->kBase, 4)}, page(this->kBase, 3)),
            Fail(Status::kOverlap));
  EXPECT_EQ(e.region_moved(this->first, good, Gva{~kPageMask}), Fail(Status::kInvalid));
  EXPECT_EQ(e.region_advise(this->first, good, Advice{9}), Fail(Status::kInvalid));
  EXPECT_EQ(e.object_resize(ObjectId{1}, 1), Fail(Status::kInvalid));
  EXPECT_EQ(e.object_destroy(ObjectId::kNone), Fail(Status::kInvalid));
  EXPECT_EQ(w.object_create(~u64{0}), Fail(Status::kLimit));
  EXPECT_EQ(e.kmem_alloc(0), Fail(Status::kInvalid));
  EXPECT_EQ(e.kmem_alloc(~u64{0}), Fail(Status::kNoMemory));
  EXPECT_EQ(e.kmem_free(layout.kmem.begin, 1), Fail(Status::kInvalid));
  EXPECT_EQ(e.kmem_free(Gva{0}, ~u64{0}), Fail(Status::kInvalid));
  EXPECT_EQ(e.kernel_window(this->kBase), Fail(Status::kInvalid));
  for (const Gva va : {Gva{0}, Gva{0x8000'0000'0000}, Gva{0xffff'8000'0000'0000}, Gva{~u64{0}},
                       layout.kmem.begin, layout.windows.begin}) {
    for (const Privilege privilege : {Privilege::kUser, Privilege::kKernel}) {
      EXPECT_EQ(e.fault(this->first, va, Access::kWrite, privilege),
                std::unexpected(ViolationReason::kNoRegion));
    }
  }
  EXPECT_EQ(e.fault(unknown, this->kBase, Access::kRead, Privilege::kUser),
            std::unexpected(ViolationReason::kNoRegion));
  EXPECT_FALSE(e.peek(unknown, this->kBase));
  w.check();
}

TEST_P(Scenario, LongOperationsStopAndGoOn) {
  auto& w = this->world;
  const u64 kPages = 3 * layout.entries_per_table - 36;
  w.map(this->first, anonymous(this->kBase, kPages));
  for (u64 i = 0; i < kPages; ++i) ASSERT_EQ(w.write(page(this->kBase, i), i + 1), ViolationReason::kNone);
  unsigned stops = 0;
  const auto stop = [&] { return ++stops != 0; };
  pt::Checkpoint checkpoint(stop);
  VaRange range{this->kBase, page(this->kBase, kPages)};
  Result<void> done;
  while (!(done = w.engine().region_protected(this->first, range, kPermR, &checkpoint))) {
    ASSERT_EQ(done, Fail(Status::kAgain));
    ASSERT_GT(checkpoint.next(), range.begin);
    range.begin = checkpoint.next();
  }
  EXPECT_GE(stops, 2u);
  w.regions(this->first).protect({this->kBase, page(this->kBase, kPages)}, kPermR);
  w.check();

  const SpaceId child = *w.clone(this->first);
  stops = 0;
  unsigned calls = 1;
  while (!(done = w.destroy(child, &checkpoint))) {
    ASSERT_EQ(done, Fail(Status::kAgain));
    ASSERT_LT(++calls, 10u);
  }
  EXPECT_GE(stops, 2u);
  EXPECT_EQ(w.engine().space_destroy(child), Fail(Status::kInvalid));

  range = {this->kBase, page(this->kBase, kPages)};
  calls = 1;
  while (!(done = w.engine().region_unmapped(this->first, {this->kBase, page(this->kBase, kPages)},
                                             &checkpoint))) {
    ASSERT_EQ(done, Fail(Status::kAgain));
    ASSERT_LT(++calls, 10u);
  }
  w.regions(this->first).unmap(range);
  w.check();
}

TEST_P(Scenario, EveryCpuForgetsWhatWasTaken) {
  auto& w = this->world;
  if (w.machine().cpus() < 2) GTEST_SKIP() << "such a hypervisor gives one CPU";
  w.map(this->first, anonymous(this->kBase, 100));
  for (unsigned cpu = 0; cpu < w.machine().cpus(); ++cpu) {
    w.machine().set_current(cpu);
    ASSERT_TRUE(w.activate(this->first));
    for (u64 i = 0; i < 100; ++i) ASSERT_EQ(w.write(page(this->kBase, i), i), ViolationReason::kNone);
  }
  const SpaceId child = *w.clone(this->first);
  w.check();
  EXPECT_EQ(w.write(this->kBase, 77), ViolationReason::kNone);  // copied on CPU 1
  w.check();
  w.machine().set_current(0);
  EXPECT_EQ(w.read(this->kBase), 77u);
  ASSERT_TRUE(w.unmap(this->first, {this->kBase, page(this->kBase, 1)}));
  w.check();
  w.machine().set_current(1);
  EXPECT_EQ(w.read(this->kBase), std::unexpected(ViolationReason::kNoRegion));
  ASSERT_TRUE(w.destroy(child));
}

TEST_P(Scenario, TheKernelImageIsCommittedWithItsRights) {
  auto& w = this->world;
  const Gva image = layout.image.begin + pages_to_bytes(0x100);
  std::vector<u8> text(kPageBytes + 8, 0x90);
  ASSERT_TRUE(w.engine().map_kernel_image(image, 3, text, kPermRX));
  EXPECT_EQ(w.engine().map_kernel_image(page(image, 2), 1, {}, kPermRW), Fail(Status::kInvalid));
  EXPECT_EQ(w.engine().map_kernel_image(this->kBase, 1, {}, kPermRW), Fail(Status::kInvalid));
  EXPECT_EQ(w.read(image, Privilege::kKernel), 0x9090'9090'9090'9090u);
  EXPECT_EQ(w.read(page(image, 1), Privilege::kKernel), 0x9090'9090'9090'9090u);
  EXPECT_EQ(w.read(page(image, 2), Privilege::kKernel), 0u);
  EXPECT_TRUE(w.touch(image, Access::kExec, Privilege::kKernel));
  EXPECT_EQ(w.write(image, 0, Privilege::kKernel), ViolationReason::kNoRegion);
  EXPECT_EQ(w.read(image), std::unexpected(ViolationReason::kNoRegion));
  // Frames that are not the pool's are mapped and left alone.
  ASSERT_TRUE(w.engine().map_kernel_frames(page(image, 8), w.outside(), kPermRW));
  w.check();
  EXPECT_EQ(w.write(page(image, 8), 99, Privilege::kKernel), ViolationReason::kNone);
  EXPECT_EQ(*reinterpret_cast<u64*>(w.memory().page(w.outside().begin)), 99u);
  u8* window = *w.engine().kernel_window(image + 1);
  EXPECT_EQ(*window, 0x90);
  w.check();
}

TEST_P(Scenario, TheDirectMapShowsMemoryToTheKernel) {
  if (!GetParam()->direct_map) GTEST_SKIP() << "such a kernel does not map its memory by this call";
  World w{*GetParam(), 4096, 2};
  ASSERT_TRUE(w.start());
  ASSERT_TRUE(w.engine().map_direct(w.memory().range()));
  EXPECT_EQ(w.engine().map_direct(w.memory().range()), Fail(Status::kInvalid));
  const SpaceId space = *w.create();
  ASSERT_TRUE(w.activate(space));
  for (const u64 frame : {16u, 17u, 511u, 512u, 1023u, 1024u, 4000u}) {
    const Gva va = layout.direct.begin + pages_to_bytes(frame);
    for (const Privilege privilege : {Privilege::kUser, Privilege::kKernel}) {
      const auto byte = w.machine().access(w.machine().current(), va, Access::kWrite, privilege);
      ASSERT_EQ(byte.has_value(), privilege == Privilege::kKernel);
      if (byte) {
        EXPECT_EQ(*byte, w.memory().alias(pt::Frame(frame)));
      }
    }
    EXPECT_EQ(w.machine().access(w.machine().current(), va, Access::kExec, Privilege::kKernel).has_value(),
              layout.all_executable());
  }
  const Gva inside = layout.direct.begin + pages_to_bytes(1030);
  EXPECT_EQ(w.engine().peek(space, inside)->level, 2u);
  EXPECT_EQ(w.engine().peek(space, inside)->rights, layout.granted(kPermRW));
  EXPECT_FALSE(w.engine().peek(space, inside)->user);
  w.check();
  w.finish();
}

TEST_P(Scenario, TheWayToATableThatGoesIsForgottenThoughNoPageIsPresent) {
  auto& w = this->world;
  w.map(this->first, anonymous(this->kBase, 1));
  ASSERT_EQ(w.write(this->kBase, 1), ViolationReason::kNone);
  ASSERT_TRUE(w.protect(this->first, {this->kBase, page(this->kBase, 1)}, kPermNone));
  EXPECT_EQ(w.write(this->kBase, 1), ViolationReason::kPermission);  // the way is known, the page is not
  ASSERT_TRUE(w.unmap(this->first, {this->kBase, page(this->kBase, 1)}));
  EXPECT_EQ(w.machine().stale_translations(), 0u);
}

TEST_P(Scenario, WithoutFlushesTheModelSeesStaleTranslations) {
  auto& w = this->world;
  w.map(this->first, anonymous(this->kBase, 2));
  ASSERT_EQ(w.write(this->kBase, 1), ViolationReason::kNone);
  ASSERT_EQ(w.write(page(this->kBase, 1), 1), ViolationReason::kNone);
  w.machine().ignore_flushes = true;
  ASSERT_TRUE(w.unmap(this->first, {this->kBase, page(this->kBase, 1)}));
  EXPECT_NE(w.machine().stale_translations(), 0u);
  w.machine().ignore_flushes = false;
  w.machine().flush_everything();
}

}  // namespace
}  // namespace nopte::model
