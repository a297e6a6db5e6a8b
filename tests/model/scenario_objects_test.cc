// Objects over every kind: shared, copied, cut short, adopted, and seen by the kernel.
#include "tests/model/scenario.h"

namespace nopte::model {
namespace {

TEST_P(Scenario, ObjectPagesAreSharedOrCopied) {
  auto& w = world;
  const ObjectId object = *w.object_create(8);
  const Gva shared = kBase;
  const Gva priv = page(kBase, 100);
  w.map(first, of_object(shared, 10, object, Sharing::kShared));
  w.map(first, of_object(priv, 6, object, Sharing::kPrivate, kPermRW, 2));
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

  const SpaceId child = *w.clone(first);
  ASSERT_TRUE(w.activate(child));
  EXPECT_EQ(w.read(page(priv, 0)), 9u);
  EXPECT_EQ(w.write(page(shared, 3), 33), ViolationReason::kNone);
  ASSERT_TRUE(w.activate(first));
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
  auto& w = world;
  const ObjectId object = *w.object_create(4);
  w.map(first, of_object(kBase, 4, object, Sharing::kShared));
  EXPECT_EQ(w.write(kBase, 7), ViolationReason::kNone);
  ASSERT_TRUE(w.protect(first, {kBase, page(kBase, 4)}, kPermR));
  EXPECT_EQ(w.write(kBase, 8), ViolationReason::kPermission);
  ASSERT_TRUE(w.protect(first, {kBase, page(kBase, 4)}, kPermNone));
  w.check();
  ASSERT_TRUE(w.protect(first, {kBase, page(kBase, 4)}, kPermRW));
  EXPECT_EQ(w.read(kBase), 7u);
  EXPECT_EQ(w.write(kBase, 9), ViolationReason::kNone);
}

TEST_P(Scenario, AdoptedFramesAreAnObject) {
  auto& w = world;
  const pt::FrameRange outside = w.outside();
  for (u64 i = 0; i < outside.frames(); ++i) {
    *reinterpret_cast<u64*>(w.memory().page(outside.begin + i)) = 70 + i;
  }
  const ObjectId object = *w.object_adopt(outside);
  w.map(first, of_object(kBase, 4, object, Sharing::kPrivate));
  for (u64 i = 0; i < outside.frames(); ++i) EXPECT_EQ(w.read(page(kBase, i)), 70 + i);
  EXPECT_EQ(w.write(kBase, 1), ViolationReason::kNone);
  EXPECT_EQ(**w.engine().object_pointer(object, 0), 70);
  w.check();
}

TEST_P(Scenario, WindowsShowObjectsToTheKernelAlone) {
  auto& w = world;
  const ObjectId object = *w.object_create(30);
  const Gva window = layout.windows.begin + pages_to_bytes(512);
  w.map(SpaceId::kKernel, of_object(window, 30, object, Sharing::kShared));
  w.map(first, of_object(kBase, 30, object, Sharing::kShared));
  EXPECT_EQ(w.write(window, 5, Privilege::kKernel), ViolationReason::kNone);
  EXPECT_EQ(w.read(kBase), 5u);
  EXPECT_EQ(w.read(window), std::unexpected(ViolationReason::kNoRegion));
  w.check();
  ASSERT_TRUE(w.engine().object_resize(object, 0));
  EXPECT_EQ(w.read(window, Privilege::kKernel), std::unexpected(ViolationReason::kPastEnd));
  ASSERT_TRUE(w.unmap(SpaceId::kKernel, {window, page(window, 30)}));
  EXPECT_EQ(w.read(window, Privilege::kKernel), std::unexpected(ViolationReason::kNoRegion));
}

TEST_P(Scenario, UnmappingWholeTablesOfWindowsTakesAllOut) {
  auto& w = world;
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

}  // namespace
}  // namespace nopte::model
