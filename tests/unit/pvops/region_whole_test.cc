// Trees of regions that are copied, and cleared, as a whole.
#include "tests/unit/pvops/region_tree_fixture.h"

namespace nopte {
namespace {

using RegionTreeWholeTest = RegionTreeTest;

TEST_F(RegionTreeWholeTest, CopyIsEqualAndLinkedToTheObjects) {
  insert(anonymous(0, 3));
  insert({.range = pages(5, 2), .perm = kPermR, .object = ObjectId{1}}, 7, &file);
  GapIndex other_gaps;
  RegionTree other{kBounds, nodes, &other_gaps};
  ASSERT_TRUE(other.copy_from(tree));
  EXPECT_TRUE(other.consistent());
  EXPECT_EQ(other.regions(), 2u);
  EXPECT_EQ(other.last()->tag, 7u);
  tree.clear();
  EXPECT_EQ(file.emptied_calls, 0);
  other.clear();
  EXPECT_EQ(file.emptied_calls, 1);
  EXPECT_EQ(nodes.live(), 0u);
}

TEST_F(RegionTreeWholeTest, ACopyWithoutMemoryIsEmpty) {
  insert({.range = pages(5, 2), .perm = kPermR, .object = ObjectId{1}}, 7, &file);
  for (u64 i = 10; i < 20; i += 2) insert(anonymous(i, 1));
  for (u64 allowed = 0; allowed < tree.regions(); ++allowed) {
    GapIndex other_gaps;
    RegionTree other{kBounds, nodes, &other_gaps};
    nodes.allow(allowed);
    EXPECT_EQ(other.copy_from(tree).error(), Status::kNoMemory);
    nodes.allow_all();
    EXPECT_TRUE(other.consistent() && tree.consistent());
    EXPECT_EQ(other.regions(), 0u);
    EXPECT_EQ(nodes.live(), tree.regions());
    EXPECT_EQ(file.emptied_calls, 0);
  }
}

// Between the steps it is an empty tree like any other.
TEST_F(RegionTreeWholeTest, ClearingInStepsPromisesNothingFromTheFirstOn) {
  for (u64 i = 10; i < 20; i += 2) insert(anonymous(i, 1));
  insert({.range = pages(30, 2), .perm = kPermR, .object = ObjectId{1}}, 7, &file);
  EXPECT_FALSE(tree.clear_some(0));
  EXPECT_EQ(tree.regions(), 0u);
  EXPECT_EQ(nodes.live(), 6u);
  EXPECT_FALSE(tree.find(page(10)));
  EXPECT_FALSE(tree.clear_some(2));
  EXPECT_EQ(nodes.live(), 4u);
  ASSERT_TRUE(tree.insert(anonymous(10, 50), 0, nullptr, 1));
  EXPECT_TRUE(tree.consistent());
  EXPECT_EQ(*tree.find_gap({page(0), page(60)}, 10), page(0));
  EXPECT_FALSE(tree.clear_some(4));
  EXPECT_EQ(nodes.live(), 1u);
  EXPECT_EQ(file.emptied_calls, 0);
  EXPECT_TRUE(tree.clear_some(4));
  EXPECT_EQ(file.emptied_calls, 1);
  EXPECT_EQ(nodes.live(), 0u);
  EXPECT_TRUE(tree.consistent());
}

}  // namespace
}  // namespace nopte
