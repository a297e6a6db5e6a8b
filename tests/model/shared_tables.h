// A parent and its clone, over every kind of sink, for what they share and how it comes apart.
#pragma once

#include "tests/model/world.h"

namespace nopte::model {

constexpr Gva page(Gva base, u64 index) { return base + pages_to_bytes(index); }
constexpr auto kFine = ViolationReason::kNone;

class SharedTables : public testing::TestWithParam<const KindRow*> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(w.start());
    parent = *w.create();
    ASSERT_TRUE(w.activate(parent));
  }
  void TearDown() override {
    w.check();
    w.finish();
  }
  [[nodiscard]] bool shares() { return w.kind().can_share_tables(); }
  [[nodiscard]] u64 counted(u64 pt::EngineCounters::* counter) { return w.engine().counters().*counter; }

  // An anonymous region of `pages` at the base, each page with its number.
  void map_filled(u64 pages, Perm perm = kPermRW) {
    w.map(parent, {.range = VaRange::of_pages(kBase, pages), .perm = perm});
    for (u64 i = 0; i < pages; ++i) ASSERT_EQ(w.write(page(kBase, i), i + 1), kFine);
  }
  // Every page of the running space in [first, last) holds its number.
  void expect_filled(u64 first, u64 last) {
    for (u64 i = first; i < last; ++i) ASSERT_EQ(w.read(page(kBase, i)), i + 1) << i;
  }
  VaRange pages(u64 first, u64 last) const { return {page(kBase, first), page(kBase, last)}; }
  void clone() {
    child = *w.clone(parent);
    w.check();
  }
  void in(SpaceId space) { ASSERT_TRUE(w.activate(space)); }
  // The same on the other processor, where there is one.
  void on(unsigned cpu, SpaceId space) {
    w.machine().set_current(w.machine().cpus() == 1 ? 0 : cpu);
    in(space);
  }

  World w{*GetParam(), 8192, 2};
  const Layout& layout = w.layout();
  const Gva kBase = layout.base;
  const u64 kTable = layout.leaf_table_bytes >> kPageShift;  // pages of a leaf table
  SpaceId parent{};
  SpaceId child{};
};

}  // namespace nopte::model
