#include "guest-mm/core/kernel_windows.h"

#include <gtest/gtest.h>

#include "tests/support/fake_mm_ops.h"

namespace nopte::guest {
namespace {

class KernelWindowTest : public testing::Test {
 protected:
  Ref<MemoryObject> file(u64 bytes) { return MemoryObject::create(bytes).value(); }
  u64 windows() const { return fake.regions(SpaceId::kKernel).size(); }

  test::FakeMmOps fake;
};

TEST_F(KernelWindowTest, ShowsTheObjectWholeAndStaysWhileItGrows) {
  const auto object = file(100);
  KernelWindow window;
  ASSERT_TRUE(window.open(*object));
  EXPECT_GE(window.bytes(), kPageBytes);
  char* const first = window.at(0);
  EXPECT_TRUE(fake.window_byte(Gva{reinterpret_cast<u64>(first)}));
  EXPECT_EQ(fake.window_byte(Gva{reinterpret_cast<u64>(window.at(kPageBytes))}).error(), Status::kPastEnd);
  const u64 calls = fake.calls();
  ASSERT_TRUE(object->resize(8 * kPageBytes));
  ASSERT_TRUE(window.open(*object));
  EXPECT_EQ(fake.calls(), calls + 1);  // the resize
  EXPECT_EQ(window.at(0), first);
  const auto region = kernel_regions().find(Gva{reinterpret_cast<u64>(window.at(5 * kPageBytes))});
  ASSERT_TRUE(region);
  EXPECT_EQ(region->object, object->id());
  EXPECT_EQ(region->sharing, Sharing::kShared);
}

TEST_F(KernelWindowTest, MovesWhenThereIsNoRoomAbove) {
  const auto object = file(1);
  KernelWindow window;
  ASSERT_TRUE(window.open(*object));  // placed at the top: nothing is above
  ASSERT_TRUE(object->resize(1000 * kPageBytes));
  ASSERT_TRUE(window.open(*object));
  EXPECT_GE(window.bytes(), 1000 * kPageBytes);
  EXPECT_EQ(windows(), 1u);
  EXPECT_TRUE(kernel_window_tree().consistent());
}

TEST_F(KernelWindowTest, GrowsInPlaceWhenItCan) {
  KernelWindow high;
  const auto other = file(200 * kPageBytes);
  ASSERT_TRUE(high.open(*other));
  KernelWindow low;
  const auto object = file(1);
  ASSERT_TRUE(low.open(*object));
  char* const place = low.at(0);
  high.close();
  ASSERT_TRUE(object->resize(100 * kPageBytes));
  ASSERT_TRUE(low.open(*object));
  EXPECT_EQ(low.at(0), place);
  EXPECT_EQ(windows(), 1u);
}

TEST_F(KernelWindowTest, AFailureLeavesTheWindowAsItWas) {
  const auto object = file(1);
  KernelWindow window;
  for (u64 n = 1;; ++n) {
    fake.fail_at(n);
    const auto opened = window.open(*object);
    if (!fake.failed()) break;
    EXPECT_EQ(opened.error(), Status::kNoMemory);
    EXPECT_FALSE(window.is_open());
    EXPECT_EQ(windows(), 0u);
  }
  fake.fail_at(0);
  const u64 bytes = window.bytes();
  ASSERT_TRUE(object->resize(1000 * kPageBytes));
  fake.fail_at(1);
  EXPECT_FALSE(window.open(*object));
  EXPECT_EQ(window.bytes(), bytes);
  EXPECT_EQ(windows(), 1u);
}

TEST_F(KernelWindowTest, ClosingLetsTheObjectGo) {
  KernelWindow window;
  {
    const auto object = file(1);
    ASSERT_TRUE(window.open(*object));
  }
  EXPECT_EQ(fake.objects(), 1u);
  window.close();
  EXPECT_EQ(fake.objects(), 0u);
  EXPECT_EQ(windows(), 0u);
}

TEST_F(KernelWindowTest, TheBootObjectsMappingsAreKnownFromItsAdoptionOn) {
  const auto shown = [](u64 first, u64 pages) {
    std::vector<VaRange> ranges;
    boot_object_mappings().for_each(first, pages, [&](SpaceId, VaRange range) { ranges.push_back(range); });
    return ranges;
  };
  const ObjectId id = mm_ops().object_create(4, boot_object_mappings()).value();
  EXPECT_TRUE(shown(0, 4).empty());
  {
    const auto object = MemoryObject::adopt(id, 4 * kPageBytes).value();
    KernelWindow window;
    ASSERT_TRUE(window.open(*object));
    // What shrinking takes away.
    EXPECT_EQ(shown(1, 3),
              std::vector({VaRange::of_pages(Gva{reinterpret_cast<u64>(window.at(kPageBytes))}, 3)}));
    const auto other = file(100);  // its list is its own
    EXPECT_EQ(shown(1, 3).size(), 1u);
  }
  EXPECT_EQ(fake.objects(), 0u);
  EXPECT_TRUE(shown(0, 4).empty());
}

TEST_F(KernelWindowTest, PopulatesTheTouchedPages) {
  const auto object = file(10 * kPageBytes);
  KernelWindow window;
  ASSERT_TRUE(window.open(*object));
  window.populate(kPageBytes - 1, 2, Access::kWrite);
  ASSERT_EQ(fake.advised().size(), 1u);
  EXPECT_EQ(fake.advised()[0].range.pages(), 2u);
  EXPECT_EQ(fake.advised()[0].advice, Advice::kPopulate);
  window.populate(window.bytes(), 1, Access::kRead);
  window.populate(0, 0, Access::kRead);
  EXPECT_EQ(fake.advised().size(), 1u);
  window.populate(0, ~u64{0}, Access::kRead);
  EXPECT_EQ(fake.advised()[1].range.bytes(), window.bytes());
}

}  // namespace
}  // namespace nopte::guest
