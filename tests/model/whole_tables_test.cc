// Rights of all that a leaf table has, taken and given at once, tables that clones copied, and tables that
// are made with what they are to have: over every kind of sink, and what it saves where each change of an
// entry is checked.
#include <map>
#include <random>

#include "tests/model/shared_tables.h"

namespace nopte::model {
namespace {

class WholeTables : public SharedTables {
 protected:
  [[nodiscard]] bool checks() { return GetParam() == &kXen; }
  // Entries of leaf tables that the engine changed one by one.
  u64 written(auto work) {
    const u64 before = counted(&pt::EngineCounters::entries_written);
    work();
    return counted(&pt::EngineCounters::entries_written) - before;
  }
  void protect(u64 first, u64 last, Perm perm) {
    ASSERT_TRUE(w.protect(parent, pages(first, last), perm));
    w.check();
  }
  void expect_refused(u64 first, u64 last, Access access) {
    for (u64 i = first; i < last; ++i) {
      const auto touched = w.touch(page(kBase, i), access);
      ASSERT_FALSE(touched) << i;
      ASSERT_EQ(touched.error(), ViolationReason::kPermission) << i;
    }
  }
  void expect_written(u64 first, u64 last) {
    for (u64 i = first; i < last; ++i) ASSERT_EQ(w.write(page(kBase, i), i + 1), kFine) << i;
  }
};

INSTANTIATE_TEST_SUITE_P(Kinds, WholeTables, testing::ValuesIn(kAllKinds), kKindName);

TEST_P(WholeTables, LoseAndGetRightsAtOnce) {
  const u64 count = kTable + kTable / 2;
  map_filled(count);
  for (const Perm perm : {kPermR, kPermNone, kPermRX, kPermR}) {
    // From RW, an entry does not have what RX gives.
    const u64 changed = written([&] { protect(0, count, perm); });
    if (checks() && perm != kPermRX) {
      EXPECT_LE(changed, 2u);
    }
    expect_refused(0, count, Access::kWrite);
    if (perm.none()) {
      expect_refused(0, count, Access::kRead);
    } else {
      expect_filled(0, count);
    }
    const u64 given = written([&] { protect(0, count, kPermRW); });
    if (checks() && perm != kPermRX) {
      EXPECT_EQ(given, 0u);
    }
    expect_written(0, count);
    expect_filled(0, count);
    w.check();
  }
}

// What comes into a table that was restricted, and what goes on in a part of it, finds each entry as
// promised.
TEST_P(WholeTables, AreTakenApartWhereTheyNoLongerAgree) {
  const u64 count = kTable / 2;
  for (const Perm perm : {kPermR, kPermNone}) {
    map_filled(count);
    protect(0, count, perm);
    w.map(parent, {.range = pages(count, count + 8), .perm = kPermRW});
    for (u64 i = count; i < count + 8; ++i) ASSERT_EQ(w.write(page(kBase, i), i + 1), kFine);
    w.check();
    expect_refused(0, count, Access::kWrite);
    protect(0, count + 8, perm);
    protect(2, 5, kPermRW);
    expect_written(2, 5);
    expect_refused(0, 2, Access::kWrite);
    expect_refused(5, count + 8, Access::kWrite);
    protect(0, count + 8, perm);
    ASSERT_TRUE(w.unmap(parent, pages(1, 3)));
    w.check();
    EXPECT_EQ(w.read(page(kBase, 2)).error(), ViolationReason::kNoRegion);
    expect_refused(3, count + 8, Access::kWrite);
    protect(3, count + 8, kPermR);
    expect_filled(3, count + 8);
    ASSERT_TRUE(w.unmap(parent, pages(0, count + 8)));
    w.check();
  }
}

TEST_P(WholeTables, AreClonedMovedAndDroppedAsTheyAre) {
  const u64 count = kTable;
  for (const Perm perm : {kPermR, kPermNone}) {
    map_filled(count);
    protect(0, count, perm);
    clone();
    in(child);
    expect_refused(0, count, Access::kWrite);
    ASSERT_TRUE(w.protect(child, pages(0, count), kPermRW));
    w.check();
    for (u64 i = 0; i < count; i += 3) ASSERT_EQ(w.write(page(kBase, i), 1000 + i), kFine);
    in(parent);
    protect(0, count, kPermRW);
    expect_filled(0, count);
    expect_written(0, count);
    in(child);
    for (u64 i = 0; i < count; ++i) ASSERT_EQ(w.read(page(kBase, i)), i % 3 == 0 ? 1000 + i : i + 1);
    in(parent);
    ASSERT_TRUE(w.destroy(child));
    protect(0, count, perm);
    const Gva there = page(kBase, 4 * kTable);
    ASSERT_TRUE(w.move(parent, pages(0, count), there));
    w.check();
    EXPECT_EQ(w.write(page(there, 7), 1), ViolationReason::kPermission);
    ASSERT_TRUE(w.protect(parent, VaRange::of_pages(there, count), kPermRW));
    EXPECT_EQ(w.read(page(there, 7)), 8u);
    ASSERT_TRUE(w.protect(parent, VaRange::of_pages(there, count), perm));
    ASSERT_TRUE(w.unmap(parent, VaRange::of_pages(there, count)));
    w.check();
  }
}

// So few pages that a clone would copy their table, had it not lost its rights.
TEST_P(WholeTables, OfFewPagesAreClonedAsTheyAre) {
  map_filled(16);
  protect(0, 16, kPermR);
  clone();
  in(child);
  expect_refused(0, 16, Access::kWrite);
  expect_filled(0, 16);
  in(parent);
  protect(0, 16, kPermRW);
  expect_written(0, 16);
}

// A clone that wrote has its own copy of the table; what the original may write is decided when it writes.
TEST_P(WholeTables, ThatWereCopiedWriteWhatNobodyElseHas) {
  map_filled(2 * kTable);
  for (const bool lives : {true, false}) {
    clone();
    in(child);
    for (u64 i = 0; i < kTable / 2; ++i) ASSERT_EQ(w.write(page(kBase, i), 5000 + i), kFine);
    w.check();
    in(parent);
    if (!lives) {
      ASSERT_TRUE(w.destroy(child));
    }
    const u64 faults = counted(&pt::EngineCounters::faults);
    // What a processor read before, it may refuse to write once more.
    expect_written(0, 2 * kTable);
    expect_filled(0, 2 * kTable);
    w.check();
    if (checks() && !lives) {
      EXPECT_LE(counted(&pt::EngineCounters::faults) - faults, 4u);
    }
    if (!lives) break;
    in(child);
    for (u64 i = 0; i < 2 * kTable; ++i) ASSERT_EQ(w.read(page(kBase, i)), i < kTable / 2 ? 5000 + i : i + 1);
    in(parent);
    ASSERT_TRUE(w.destroy(child));
  }
}

TEST_P(WholeTables, AreMadeWithWhatTheyAreToHave) {
  const u64 count = 3 * kTable;
  w.map(parent, {.range = pages(5, count), .perm = kPermRW});
  ASSERT_EQ(w.write(page(kBase, kTable + 9), 3), kFine);
  const u64 exits = w.kind().exits();
  ASSERT_TRUE(w.advise(parent, pages(5, count), Advice::kPopulate));
  w.check();
  if (checks()) {
    EXPECT_LE(w.kind().exits() - exits, 8u);
  }
  const u64 faults = counted(&pt::EngineCounters::faults);
  for (u64 i = 5; i < count; ++i) ASSERT_EQ(w.read(page(kBase, i)), i == kTable + 9 ? 3u : 0u);
  EXPECT_EQ(counted(&pt::EngineCounters::faults), faults);
}

TEST_P(WholeTables, AreReachedByRunsThroughObjects) {
  const u64 count = 3 * kTable - 7;
  const ObjectId object = *w.object_create(count);
  const auto go_through = [&](u64 value) {
    w.map(parent, {.range = pages(0, count), .perm = kPermRW, .sharing = Sharing::kShared, .object = object});
    const u64 faults = counted(&pt::EngineCounters::faults);
    for (u64 i = 0; i < count; ++i) ASSERT_EQ(w.write(page(kBase, i), value + i), kFine);
    w.check();
    if (checks() && value != 1) {
      EXPECT_LE(counted(&pt::EngineCounters::faults) - faults, 20u);
    }
    for (u64 i = 0; i < count; ++i) ASSERT_EQ(w.read(page(kBase, i)), value + i);
    ASSERT_TRUE(w.unmap(parent, pages(0, count)));
    w.check();
  };
  go_through(1);  // makes its pages
  go_through(1001);
}

// Protects of wholes and of parts, writes, clones and their ends, against a plain list of what is where.
TEST_P(WholeTables, AgreeWithAListOfPages) {
  constexpr u64 kSteps = 600;
  std::mt19937_64 random(20261129);
  const auto below = [&](u64 bound) { return random() % bound; };
  struct Page {
    u64 value;
    Perm perm;
  };
  using Pages = std::map<u64, Page>;
  std::map<SpaceId, Pages> all;
  const u64 count = 2 * kTable;
  map_filled(count);
  for (u64 i = 0; i < count; ++i) all[parent][i] = {i + 1, kPermRW};
  SpaceId now = parent;
  u64 value = 10'000;
  for (u64 step = 0; step < kSteps; ++step) {
    Pages& mine = all[now];
    switch (below(8)) {
      case 0:
      case 1: {
        const u64 first = below(2) == 0 ? 0 : below(2) == 0 ? kTable : below(count);
        const u64 last = below(2) == 0 ? count : first < kTable ? kTable : first + 1 + below(count - first);
        const Perm perm = std::array{kPermR, kPermRW, kPermNone, kPermRX, kPermRW}[below(5)];
        ASSERT_TRUE(w.protect(now, pages(first, last), perm));
        for (u64 i = first; i < last; ++i) mine[i].perm = perm;
        break;
      }
      case 2:
        if (all.size() < 4) {
          const SpaceId made = *w.clone(now);
          all[made] = mine;
        }
        break;
      case 3: {
        auto other = std::next(all.begin(), static_cast<std::ptrdiff_t>(below(all.size())));
        if (all.size() > 1 && other->first != now) {
          ASSERT_TRUE(w.destroy(other->first));
          all.erase(other);
        }
        break;
      }
      case 4:
        now = std::next(all.begin(), static_cast<std::ptrdiff_t>(below(all.size())))->first;
        in(now);
        break;
      case 5: {
        const u64 i = below(count);
        ASSERT_TRUE(w.advise(now, pages(i, i + 1), Advice::kDontNeed));
        mine[i].value = 0;
        break;
      }
      default:
        for (u64 i = below(64); i < count; i += 1 + below(64)) {
          const bool may = mine[i].perm.write();
          ASSERT_EQ(w.write(page(kBase, i), ++value), may ? kFine : ViolationReason::kPermission) << step;
          if (may) mine[i].value = value;
        }
    }
    for (u64 i = below(16); i < count; i += 1 + below(32)) {
      const auto seen = w.read(page(kBase, i));
      if (all[now][i].perm.none()) {
        ASSERT_FALSE(seen) << step;
      } else {
        ASSERT_EQ(seen, all[now][i].value) << step << " page " << i;
      }
    }
    if (step % 16 == 0) w.check();
  }
  in(now);
}

}  // namespace
}  // namespace nopte::model
