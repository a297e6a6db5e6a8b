// What mode shadow costs, hosted: as many exits as the booted guest has (README, the figures), by the same
// ways through the mode.
#include "tests/model/kind_of.h"
#include "tests/model/shadow_kind.h"
#include "tests/model/world.h"

namespace nopte::model {
namespace {

constexpr Gva kBase{0x1000'0000};
constexpr Gva page(u64 index) { return kBase + pages_to_bytes(index); }

class ShadowExits : public testing::Test {
 protected:
  static constexpr u64 kPages = 400;  // of one leaf table

  void SetUp() override {
    ASSERT_TRUE(world.start());
    space = *world.create();
    ASSERT_TRUE(world.activate(space));
  }
  void TearDown() override {
    world.check();
    world.finish();
  }
  template <class Operation>
  u64 exits_of(Operation operation) {
    const u64 before = world.kind().exits();
    operation();
    return world.kind().exits() - before;
  }
  void map(u64 first, u64 pages) {
    world.map(space, {.range = VaRange::of_pages(page(first), pages), .perm = kPermRW});
  }
  void unmap(u64 first, u64 pages) { ASSERT_TRUE(world.unmap(space, VaRange::of_pages(page(first), pages))); }
  void protect(u64 index, Perm perm) {
    ASSERT_TRUE(world.protect(space, VaRange::of_pages(page(index), 1), perm));
  }
  void write(u64 index) { ASSERT_EQ(world.write(page(index), index), ViolationReason::kNone); }
  void write_all() {
    for (u64 i = 0; i < kPages; ++i) write(i);
  }
  void map_touch_unmap() {
    map(0, 1);
    write(0);
    unmap(0, 1);
  }
  // Rounded.
  u64 exits_per_page_of_writing() {
    return (exits_of([&] { write_all(); }) + kPages / 2) / kPages;
  }
  const hv::ShadowCounters& counters() {
    return static_cast<KindOf<Shadowed>&>(world.kind()).kind.host.counters();
  }

  World world{kShadowed, 4096};
  SpaceId space{};
};

TEST_F(ShadowExits, OfOnePageThatComesAndGoes) {
  map_touch_unmap();
  EXPECT_EQ(exits_of([&] { map_touch_unmap(); }), 6u);  // with its tables
  EXPECT_NE(counters().emulated_writes, 0u);
  map(1, 1);
  write(1);
  map_touch_unmap();
  EXPECT_EQ(exits_of([&] { map_touch_unmap(); }), 3u);  // the tables stay
  EXPECT_NE(counters().tables_unsynced, 0u);
}

TEST_F(ShadowExits, OfTouchesAndRights) {
  map(0, kPages);
  EXPECT_EQ(exits_per_page_of_writing(), 1u);  // most pages come ahead, and are shown when D is seen to
  EXPECT_EQ(exits_of([&] { write_all(); }), 0u);
  EXPECT_EQ(exits_of([&] {
              protect(3, kPermR);
              protect(3, kPermRW);
              write_all();
            }),
            2u);
  EXPECT_LE(exits_of([&] { unmap(0, kPages); }), 4u);  // one flush, and the tables that go
}

TEST_F(ShadowExits, OfAFork) {
  map(0, kPages);
  write_all();
  SpaceId child{};
  EXPECT_EQ(exits_of([&] { child = *world.clone(space); }), 2u);  // an entry of the root, and the flush
  EXPECT_EQ(exits_of([&] { ASSERT_TRUE(world.activate(child)); }), 1u);
  EXPECT_EQ(exits_per_page_of_writing(), 2u);
  EXPECT_EQ(exits_of([&] { ASSERT_TRUE(world.activate(space)); }), 1u);
  EXPECT_EQ(exits_of([&] { ASSERT_TRUE(world.destroy(child)); }), 1u);  // its root is emptied for the next
  EXPECT_EQ(exits_per_page_of_writing(), 0u);  // rights come back ahead, to pages that are dirty
}

// A table that is zeroed while it is shadowed: no decoder knows `rep stosq`, so the processor does it.
TEST_F(ShadowExits, OfATableThatIsReused) {
  map(0, 1);
  write(0);
  const SpaceId other = *world.create();
  ASSERT_TRUE(world.activate(other));
  ASSERT_TRUE(world.destroy(space));
  space = other;
  map(0, 1);
  write(0);
  EXPECT_NE(counters().tables_released, 0u);
}

// The engine's stores to higher tables are plain; a guest's need not be.
TEST_F(ShadowExits, AnInstructionGoesOnWithItsResults) {
  constexpr unsigned kUnused = 200;  // of the root, which is shadowed as it runs; no value here is present
  u64* const entry = reinterpret_cast<u64*>(world.memory().page(*world.engine().root(space))) + kUnused;
  const u64 before = counters().emulated_writes;
  EXPECT_EQ(__atomic_exchange_n(entry, 4, __ATOMIC_SEQ_CST), 0u);
  EXPECT_EQ(__atomic_fetch_add(entry, 2, __ATOMIC_SEQ_CST), 4u);
  u64 expected = 6;
  EXPECT_TRUE(__atomic_compare_exchange_n(entry, &expected, 10, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
  EXPECT_FALSE(__atomic_compare_exchange_n(entry, &expected, 12, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
  EXPECT_EQ(expected, 10u);
  __atomic_store_n(entry, 0, __ATOMIC_RELAXED);
  EXPECT_EQ(counters().emulated_writes - before, 5u);
}

}  // namespace
}  // namespace nopte::model
