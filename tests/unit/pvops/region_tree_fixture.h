// A tree of regions with an object's list, nodes that are counted, and gaps.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "pvops/regions/region_tree.h"
#include "tests/support/counting_nodes.h"

namespace nopte {

inline constexpr VaRange kBounds{Gva{0x10000}, Gva{0x10000 + (1 << 20)}};
constexpr Gva page(u64 index) { return kBounds.begin + pages_to_bytes(index); }
constexpr VaRange pages(u64 first, u64 count) { return VaRange::of_pages(page(first), count); }
constexpr RegionSpec anonymous(u64 first, u64 count, Perm perm = kPermRW) {
  return {.range = pages(first, count), .perm = perm};
}

struct TestList : RegionList {
  void emptied() override { ++emptied_calls; }
  int emptied_calls = 0;
};

class RegionTreeTest : public testing::Test {
 protected:
  void insert(const RegionSpec& spec, u32 tag = 0, RegionList* list = nullptr) {
    auto plan = tree.prepare_insert(spec, tag, list);
    ASSERT_TRUE(plan);
    tree.commit(*plan);
    check();
  }
  void unmap(VaRange range) {
    auto plan = tree.prepare_unmap(range);
    ASSERT_TRUE(plan);
    tree.commit(*plan);
    check();
  }
  void protect(VaRange range, Perm perm) {
    auto plan = tree.prepare_protect(range, perm);
    ASSERT_TRUE(plan);
    tree.commit(*plan);
    check();
  }
  void use(VaRange range, UsageChange change) {
    auto plan = tree.prepare_use(range, change);
    ASSERT_TRUE(plan);
    tree.commit(*plan);
    check();
  }
  void check() {
    EXPECT_TRUE(tree.consistent());
    EXPECT_EQ(nodes.live(), tree.regions());
  }
  std::vector<RegionSpec> list() const {
    std::vector<RegionSpec> specs;
    for (const RegionNode* node = tree.first(); node != nullptr; node = tree.next(*node)) {
      specs.push_back(node->spec);
    }
    return specs;
  }
  using Specs = std::vector<RegionSpec>;

  TestList file;
  test::CountingNodes nodes;
  GapIndex gaps;
  RegionTree tree{kBounds, nodes, &gaps};
};

}  // namespace nopte
