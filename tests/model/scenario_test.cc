// What holds for all operations of the engine, over every kind: bad arguments are answers, and what is taken
// away is forgotten.
#include "tests/model/scenario.h"

namespace nopte::model {
namespace {

INSTANTIATE_TEST_SUITE_P(Kinds, Scenario, testing::ValuesIn(kAllKinds), kKindName);

TEST_P(Scenario, BadArgumentsAreAnswers) {
  auto& w = world;
  auto& e = w.engine();
  const VaRange good{kBase, page(kBase, 1)};
  const SpaceId unknown{4711};
  EXPECT_EQ(e.space_clone(unknown, w.regions(first)), Fail(Status::kInvalid));
  EXPECT_EQ(e.space_clone(SpaceId::kKernel, w.regions(first)), Fail(Status::kInvalid));
  EXPECT_EQ(e.space_destroy(unknown), Fail(Status::kInvalid));
  EXPECT_EQ(e.space_destroy(SpaceId::kKernel), Fail(Status::kInvalid));
  EXPECT_EQ(e.space_destroy(first), Fail(Status::kBusy));
  EXPECT_EQ(e.space_activate(SpaceId{64}), Fail(Status::kInvalid));
  for (const SpaceId id : {unknown, SpaceId::kKernel, SpaceId{64}, SpaceId{0xffff'ffff}}) {
    EXPECT_EQ(e.region_unmapped(id, good), Fail(Status::kInvalid));
    EXPECT_EQ(e.region_protected(id, good, kPermR), Fail(Status::kInvalid));
    EXPECT_EQ(e.region_moved(id, good, page(kBase, 5)), Fail(Status::kInvalid));
    EXPECT_EQ(e.region_advise(id, good, Advice::kPopulate), Fail(Status::kInvalid));
  }
  for (const VaRange bad :
       {VaRange{kBase, kBase}, VaRange{page(kBase, 1), kBase}, VaRange{kBase + 1, page(kBase, 1)},
        VaRange{kBase, Gva{~u64{0} & ~kPageMask}}, VaRange{Gva{0}, page(kBase, 1)}}) {
    EXPECT_EQ(e.region_unmapped(first, bad), Fail(Status::kInvalid));
    EXPECT_EQ(e.region_moved(first, bad, kBase), Fail(Status::kInvalid));
  }
  EXPECT_EQ(e.region_moved(first, {kBase, page(kBase, 4)}, page(kBase, 3)), Fail(Status::kOverlap));
  EXPECT_EQ(e.region_moved(first, good, Gva{~kPageMask}), Fail(Status::kInvalid));
  EXPECT_EQ(e.region_advise(first, good, Advice{10}), Fail(Status::kInvalid));
  EXPECT_EQ(e.object_resize(ObjectId{1}, 1), Fail(Status::kInvalid));
  EXPECT_EQ(e.object_destroy(ObjectId::kNone), Fail(Status::kInvalid));
  EXPECT_EQ(w.object_create(~u64{0}), Fail(Status::kLimit));
  EXPECT_EQ(e.kmem_alloc(0), Fail(Status::kInvalid));
  EXPECT_EQ(e.kmem_alloc(~u64{0}), Fail(Status::kNoMemory));
  EXPECT_EQ(e.kmem_free(layout.kmem.begin, 1), Fail(Status::kInvalid));
  EXPECT_EQ(e.kmem_free(Gva{0}, ~u64{0}), Fail(Status::kInvalid));
  EXPECT_EQ(e.kernel_pointer(kBase), Fail(Status::kInvalid));
  for (const Gva va : {Gva{0}, Gva{0x8000'0000'0000}, Gva{0xffff'8000'0000'0000}, Gva{~u64{0}},
                       layout.kmem.begin, layout.windows.begin}) {
    for (const Privilege privilege : {Privilege::kUser, Privilege::kKernel}) {
      EXPECT_EQ(e.fault(first, va, Access::kWrite, privilege), std::unexpected(ViolationReason::kNoRegion));
    }
  }
  EXPECT_EQ(e.fault(unknown, kBase, Access::kRead, Privilege::kUser),
            std::unexpected(ViolationReason::kNoRegion));
  EXPECT_FALSE(e.peek(unknown, kBase));
  w.check();
}

TEST_P(Scenario, EveryCpuForgetsWhatWasTaken) {
  auto& w = world;
  if (w.machine().cpus() < 2) GTEST_SKIP() << "such a hypervisor gives one CPU";
  w.map(first, anonymous(kBase, 100));
  for (unsigned cpu = 0; cpu < w.machine().cpus(); ++cpu) {
    w.machine().set_current(cpu);
    ASSERT_TRUE(w.activate(first));
    for (u64 i = 0; i < 100; ++i) ASSERT_EQ(w.write(page(kBase, i), i), ViolationReason::kNone);
  }
  const SpaceId child = *w.clone(first);
  w.check();
  EXPECT_EQ(w.write(kBase, 77), ViolationReason::kNone);  // copied on CPU 1
  w.check();
  w.machine().set_current(0);
  EXPECT_EQ(w.read(kBase), 77u);
  ASSERT_TRUE(w.unmap(first, {kBase, page(kBase, 1)}));
  w.check();
  w.machine().set_current(1);
  EXPECT_EQ(w.read(kBase), std::unexpected(ViolationReason::kNoRegion));
  ASSERT_TRUE(w.destroy(child));
}

TEST_P(Scenario, TheWayToATableThatGoesIsForgottenThoughNoPageIsPresent) {
  auto& w = world;
  w.map(first, anonymous(kBase, 1));
  ASSERT_EQ(w.write(kBase, 1), ViolationReason::kNone);
  ASSERT_TRUE(w.protect(first, {kBase, page(kBase, 1)}, kPermNone));
  EXPECT_EQ(w.write(kBase, 1), ViolationReason::kPermission);  // the way is known, the page is not
  ASSERT_TRUE(w.unmap(first, {kBase, page(kBase, 1)}));
  EXPECT_EQ(w.machine().stale_translations(), 0u);
}

TEST_P(Scenario, WithoutFlushesTheModelSeesStaleTranslations) {
  auto& w = world;
  w.map(first, anonymous(kBase, 2));
  ASSERT_EQ(w.write(kBase, 1), ViolationReason::kNone);
  ASSERT_EQ(w.write(page(kBase, 1), 1), ViolationReason::kNone);
  w.machine().ignore_flushes = true;
  // Nothing is given back, so that a flush afterwards is not too late.
  ASSERT_TRUE(w.protect(first, {kBase, page(kBase, 1)}, kPermR));
  EXPECT_NE(w.machine().stale_translations(), 0u);
  w.machine().ignore_flushes = false;
  w.machine().flush_everything();
}

}  // namespace
}  // namespace nopte::model
