#include "native-fallback/engine/picture.h"

#include <gtest/gtest.h>

#include <string>

namespace nopte::pt {
namespace {

constexpr VaRange pages(u64 first, u64 count) { return VaRange::of_pages(Gva(first << 12), count); }

class PictureTest : public testing::Test {
 protected:
  std::string text_;
  std::function<void(std::string_view)> append_ = [this](std::string_view piece) { text_ += piece; };
  PictureWriter picture_{append_};
};

TEST_F(PictureTest, IsALineOfJson) {
  picture_.begin(SpaceId(5));
  EXPECT_TRUE(picture_.region({pages(1024, 2), kPermRX, Sharing::kPrivate, {}, ObjectId(3), 0}));
  EXPECT_TRUE(picture_.region({pages(2048, 7), kPermRW, Sharing::kShared, {}, ObjectId(4), 9}));
  picture_.end_regions();
  EXPECT_TRUE(picture_.run({pages(1025, 1), 1, kPermRX, 1}));
  EXPECT_TRUE(picture_.run({pages(2048, 512), 2, kPermR, 3}));
  picture_.end();
  EXPECT_EQ(text_,
            "{\"event\":\"picture\",\"space\":5,\"regions\":[[1024,2,5,3,0],[2048,7,3,4,1]],"
            "\"runs\":[[1025,1,1,5,1],[2048,512,2,1,3]],\"whole\":1}");
}

TEST_F(PictureTest, OfNothingIsOneToo) {
  picture_.begin(SpaceId::kKernel);
  picture_.end_regions();
  picture_.end();
  EXPECT_EQ(text_, "{\"event\":\"picture\",\"space\":0,\"regions\":[],\"runs\":[],\"whole\":1}");
}

TEST_F(PictureTest, IsBounded) {
  picture_.begin(SpaceId(1));
  for (u32 i = 0; i < PictureWriter::kMostRegions; ++i) EXPECT_TRUE(picture_.region({pages(i, 1), kPermR}));
  EXPECT_FALSE(picture_.region({pages(1 << 20, 1), kPermR}));
  picture_.end_regions();
  // Runs have a bound of their own.
  for (u32 i = 0; i < PictureWriter::kMostRuns; ++i) EXPECT_TRUE(picture_.run({pages(i, 1), 1, kPermR, 1}));
  EXPECT_FALSE(picture_.run({pages(1 << 20, 1), 1, kPermR, 1}));
  picture_.end();
  EXPECT_TRUE(text_.ends_with("[8191,1,1,1,1]],\"whole\":0}")) << text_.substr(text_.size() - 40);
}

TEST_F(PictureTest, BoundsWhatIsLookedAt) {
  picture_.begin(SpaceId(1));
  picture_.end_regions();
  for (u64 looked = 0; looked < PictureWriter::kMostEntries; looked += 512) EXPECT_TRUE(picture_.look(512));
  EXPECT_TRUE(picture_.run({pages(1, 9), 1, kPermR, 1}));
  EXPECT_FALSE(picture_.look(1));
  EXPECT_FALSE(picture_.look(0));
  picture_.end();
  EXPECT_TRUE(text_.ends_with("[[1,9,1,1,1]],\"whole\":0}")) << text_;
}

TEST(InstalledRun, TakesWhatIsAlikeAndBehindIt) {
  InstalledRun run{pages(10, 2), 1, kPermRW, 1};
  EXPECT_FALSE(run.take({pages(13, 1), 1, kPermRW, 1}));
  EXPECT_FALSE(run.take({pages(12, 1), 1, kPermR, 1}));
  EXPECT_FALSE(run.take({pages(12, 1), 1, kPermRW, 2}));
  EXPECT_FALSE(run.take({pages(12, 512), 2, kPermRW, 1}));
  EXPECT_EQ(run.range, pages(10, 2));
  EXPECT_TRUE(run.take({pages(12, 3), 1, kPermRW, 1}));
  EXPECT_EQ(run.range, pages(10, 5));
  InstalledRun none;
  EXPECT_FALSE(none.take({pages(0, 1), 1, Perm(), 1}));
}

}  // namespace
}  // namespace nopte::pt
