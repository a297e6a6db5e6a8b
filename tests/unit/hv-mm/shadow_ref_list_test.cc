// Reverse lists.
#include <gtest/gtest.h>

#include <vector>

#include "hv-mm/shadow/ref_list.h"

namespace nopte::hv {
namespace {

TEST(ShadowRefList, KeepsSets) {
  std::vector<RefPool::Node> nodes(8);
  RefPool pool;
  pool.init(nodes);
  RefList list;
  for (u32 ref = 1; ref <= 8; ++ref) EXPECT_TRUE(pool.add(list, ref));
  EXPECT_FALSE(pool.add(list, 9));  // 7 nodes are 8 members
  for (const u32 ref : {1u, 8u, 4u, 2u}) pool.remove(list, ref);
  u64 seen = 0;
  while (!list.empty()) seen |= u64{1} << pool.pop(list);
  EXPECT_EQ(seen, u64{1} << 3 | 1 << 5 | 1 << 6 | 1 << 7);
  for (u32 ref = 1; ref <= 8; ++ref) EXPECT_TRUE(pool.add(list, ref));

  std::vector<RefPool::Node> many(1000);
  pool.init(many);
  RefList longest;
  u32 members = 0;
  while (members < 1000 && pool.add(longest, members + 1)) ++members;
  EXPECT_EQ(members, RefPool::kMostMembers);
  pool.remove(longest, 1);
  EXPECT_TRUE(pool.add(longest, 1000));
}

}  // namespace
}  // namespace nopte::hv
