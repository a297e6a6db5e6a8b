// What is the kernel's alone, over every kind: its memory, its image, its direct map.
#include "tests/model/scenario.h"

namespace nopte::model {
namespace {

TEST_P(Scenario, KernelMemoryIsCommittedAndSeenFromEverySpace) {
  auto& w = world;
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
  ASSERT_TRUE(w.activate(first));
  ASSERT_TRUE(w.destroy(second));
  EXPECT_GE(w.frames().free_frames() + 1, before);  // a bitmap frame stays
}

TEST_P(Scenario, TheKernelImageIsCommittedWithItsRights) {
  auto& w = world;
  const Gva image = layout.image.begin + pages_to_bytes(0x100);
  std::vector<u8> text(kPageBytes + 8, 0x90);
  ASSERT_TRUE(w.engine().map_kernel_image(image, 3, text, kPermRX));
  EXPECT_EQ(w.engine().map_kernel_image(page(image, 2), 1, {}, kPermRW), Fail(Status::kInvalid));
  EXPECT_EQ(w.engine().map_kernel_image(kBase, 1, {}, kPermRW), Fail(Status::kInvalid));
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
  u8* at = *w.engine().kernel_pointer(image + 1);
  EXPECT_EQ(*at, 0x90);
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

}  // namespace
}  // namespace nopte::model
