// Operations of the engine in order, over every kind of sink, with all invariants checked at the end and
// between.
#pragma once

#include "tests/model/world.h"

namespace nopte::model {

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

// Its tests lie in scenario_*.cc, by what they test.
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

}  // namespace nopte::model
