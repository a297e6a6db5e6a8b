// The engine's own structures over a small pool: ids, page index, kernel addresses.
#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "native-fallback/engine/id_table.h"
#include "native-fallback/engine/kmem_area.h"
#include "native-fallback/engine/memory_object.h"
#include "pvops/mm_ops.h"
#include "tests/support/work_meter.h"

namespace nopte::pt {
namespace {

class Structures : public testing::Test {
 protected:
  void SetUp() override {
    const FrameRange all = FrameRange::of(Frame(1), kFrames);
    ASSERT_TRUE(frames_.init(reinterpret_cast<u64>(memory_.data()) - kPageBytes, all, std::span(&all, 1)));
  }
  void TearDown() override { EXPECT_EQ(frames_.free_frames(), frames_.total_frames()); }

  static constexpr u64 kFrames = 1024;
  struct Zero {
    void operator()(u8* page) const { std::memset(page, 0, kPageBytes); }
  };
  std::vector<u8> memory_ = std::vector<u8>(kFrames << kPageShift, 0xee);
  FrameTable frames_;
  Zero zero_;
  MetaFrames meta_{frames_, zero_};
};

struct Record {
  u64 value = 5;
};

TEST_F(Structures, IdsAreDenseNeverZeroAndReused) {
  IdTable<Record> table;
  EXPECT_EQ(table.find(frames_, 1), nullptr);
  absl::btree_set<u32> ids;
  for (int i = 0; i < 200; ++i) {
    const auto added = table.add(meta_);
    ASSERT_TRUE(added);
    EXPECT_EQ(added->record->value, 5u);
    EXPECT_NE(added->id % 64, 0u);
    EXPECT_LT(added->id, 256u);
    EXPECT_EQ(table.find(frames_, added->id), added->record);
    EXPECT_TRUE(ids.insert(added->id).second);
  }
  for (const u32 bad : {0u, 64u, 128u, 300u, 32'768u, ~0u}) EXPECT_EQ(table.find(frames_, bad), nullptr);
  table.remove(frames_, 70);
  EXPECT_EQ(table.find(frames_, 70), nullptr);
  EXPECT_EQ(table.add(meta_)->id, 70u);
  u32 visited = 0;
  table.for_each(frames_, [&](u32 id, Record&) { visited += ids.contains(id); });
  EXPECT_EQ(visited, 200u);
  for (const u32 id : ids) table.remove(frames_, id);
  table.release(frames_);
}

TEST_F(Structures, MoreIdsThanOneDirectoryHolds) {
  IdTable<Record> table;
  constexpr u32 kRecords = 40'000;
  absl::btree_set<u32> ids;
  for (u32 i = 0; i < kRecords; ++i) {
    const auto added = table.add(meta_);
    ASSERT_TRUE(added);
    added->record->value = i;
    ASSERT_TRUE(ids.insert(added->id).second);
    ASSERT_EQ(table.find(frames_, added->id)->value, i);
  }
  EXPECT_GT(*ids.rbegin(), 64u * 512);
  u32 visited = 0;
  table.for_each(frames_, [&](u32 id, Record&) { visited += ids.contains(id); });
  EXPECT_EQ(visited, kRecords);
  for (const u32 id : ids) table.remove(frames_, id);
  EXPECT_EQ(table.count(), 0u);
  table.release(frames_);
}

TEST_F(Structures, IdsWithoutMemory) {
  IdTable<Record> table;
  for (u64 nth = 1; nth <= 2; ++nth) {
    frames_.fail_allocation(nth);
    EXPECT_EQ(table.add(meta_).error(), Status::kNoMemory);
    EXPECT_EQ(table.count(), 0u);
    table.release(frames_);
  }
  frames_.fail_allocation(0);
}

TEST_F(Structures, PageIndexAgreesWithAMap) {
  MemoryObject object;
  absl::btree_map<u64, Frame> reference;
  std::mt19937_64 random(7);
  const auto drop = [&](u64 first, u64 limit) {
    const bool done = drop_pages(object, frames_, first, limit, [&](Frame frame) {
      u64 found = 0;
      for (auto& [page, known] : reference) {
        if (known == frame) found = page;
      }
      EXPECT_GE(found, first);
      reference.erase(found);
      frames_.free(frame);
    });
    EXPECT_TRUE(!done || reference.lower_bound(first) == reference.end());
    return done;
  };
  for (int step = 0; step < 4000; ++step) {
    // Few pages close together, few far away: each height of the tree.
    const u64 page = random() % 3 == 0 ? random() % (u64{1} << (9 * (random() % 4 + 1))) : random() % 40;
    switch (random() % 8) {
      case 0:
        while (!drop(page, 1 + random() % 4)) {
        }
        break;
      default: {
        if (reference.contains(page)) {
          EXPECT_EQ(find_page(object, frames_, page), reference[page]);
          break;
        }
        EXPECT_EQ(find_page(object, frames_, page), std::nullopt);
        const Frame frame = *frames_.alloc(FrameKind::kObject);
        if (random() % 4 == 0) frames_.fail_allocation(1 + random() % 2);
        const auto inserted = insert_page(object, meta_, page, frame);
        frames_.fail_allocation(0);
        if (inserted) {
          reference[page] = frame;
        } else {
          frames_.free(frame);
          EXPECT_EQ(find_page(object, frames_, page), std::nullopt);
        }
      }
    }
    EXPECT_EQ(object.resident, reference.size());
    for (const auto& [known, frame] : reference) ASSERT_EQ(find_page(object, frames_, known), frame);
  }
  EXPECT_TRUE(drop(0, ~u64{0}));
  EXPECT_EQ(object.top, 0u);
}

TEST_F(Structures, KernelAddressesAreGrantedAndCheckedExactly) {
  KmemArea area(kKmemRange);
  constexpr u64 kChunkBytes = pages_to_bytes(KmemArea::kChunkPages);
  const Gva one = *area.grant(1, meta_);
  const Gva three = *area.grant(33, meta_);
  const Gva last = *area.grant(16, meta_);
  EXPECT_EQ(one, kKmemRange.begin);
  EXPECT_EQ(three - one, kChunkBytes);
  EXPECT_EQ(last - three, 3 * kChunkBytes);
  for (const auto& [begin, pages] :
       std::initializer_list<std::pair<Gva, u64>>{{three, 16},
                                                  {three, 64},
                                                  {three + kChunkBytes, 32},
                                                  {three + kPageBytes, 33},
                                                  {last + kChunkBytes, 1},
                                                  {last, 17},
                                                  {one, 0},
                                                  {one, ~u64{0}},
                                                  {Gva{0}, 1},
                                                  {kKmemRange.end, 1},
                                                  {kKmemRange.end - kChunkBytes, 1}}) {
    EXPECT_EQ(area.take_back(begin, pages, frames_), Fail(Status::kInvalid)) << begin.value() << " " << pages;
  }
  ASSERT_TRUE(area.take_back(three, 48, frames_));  // the same number of chunks
  EXPECT_EQ(area.take_back(three, 33, frames_), Fail(Status::kInvalid));
  EXPECT_EQ(*area.grant(20, meta_), three);
  EXPECT_EQ(*area.grant(20, meta_) - last, kChunkBytes);
  EXPECT_EQ(*area.grant(1, meta_) - three, 2 * kChunkBytes);
  EXPECT_EQ(area.grant(~u64{0} - 16, meta_), Fail(Status::kNoMemory));
  area.release(frames_);
}

TEST_F(Structures, AGrantMayReachOverABitmapFrame) {
  KmemArea area(kKmemRange);
  constexpr u64 kFramePages = pages_to_bytes(1) * 8 / 2 * KmemArea::kChunkPages;  // that one frame tells of
  const Gva most = *area.grant(kFramePages - 16, meta_);
  const Gva across = *area.grant(48, meta_);
  EXPECT_EQ(across - most, pages_to_bytes(kFramePages - 16));
  ASSERT_TRUE(area.take_back(across, 48, frames_));
  ASSERT_TRUE(area.take_back(most, kFramePages - 16, frames_));
  area.release(frames_);
}

// Nothing here takes a look at a checkpoint, so it must be little (kmem_area.h).
TEST_F(Structures, NoPassOverKernelAddressesIsLongerThanTheirBitmapFrames) {
  constexpr u64 kMaps = 4;
  constexpr u64 kFramePages = kPageBytes * 8 / 2 * KmemArea::kChunkPages;  // that one frame tells of
  KmemArea area(VaRange::of_pages(kKmemRange.begin, kMaps * kFramePages));
  test::WorkMeter meter;
  const auto measured = [&](auto call) {
    meter.begin();
    const bool done = call();
    meter.look();
    return std::pair(done, meter.most());
  };
  const auto granted = [&](u64 pages) {
    return measured([&] { return area.grant(pages, meta_).has_value(); });
  };
  const auto taken_back = [&](Gva begin, u64 pages) {
    return measured([&] { return area.take_back(begin, pages, frames_).has_value(); });
  };
  // Of one large grant: the search and the marks, with its last chunk apart; the check likewise, and all
  // again.
  const auto [whole, cost] = granted(kMaps * kFramePages);
  EXPECT_TRUE(whole);
  EXPECT_GE(cost, kMaps);
  EXPECT_LE(cost, 2 * kMaps + 1);
  const auto [freed, freed_cost] = taken_back(kKmemRange.begin, kMaps * kFramePages);
  EXPECT_TRUE(freed);
  EXPECT_GE(freed_cost, kMaps);
  EXPECT_LE(freed_cost, 2 * kMaps + 1);
  // Of one that has no room: every second chunk is free.
  std::vector<Gva> chunks;
  while (const auto chunk = area.grant(1, meta_)) chunks.push_back(*chunk);
  EXPECT_EQ(chunks.size(), kMaps * kFramePages / KmemArea::kChunkPages);
  for (u64 i = 1; i < chunks.size(); i += 2) ASSERT_TRUE(area.take_back(chunks[i], 1, frames_));
  const auto [room, search_cost] = granted(KmemArea::kChunkPages + 1);
  EXPECT_FALSE(room);
  EXPECT_EQ(search_cost, kMaps);
  const auto [refused, refused_cost] = taken_back(chunks[0], kMaps * kFramePages);
  EXPECT_FALSE(refused);
  EXPECT_LE(refused_cost, kMaps);
  static_assert(2 * KmemArea::kMaxFrames + 1 <= work::kMostAtOnce);
  area.release(frames_);
}

// Against the plainest search: first fit, chunk by chunk.
TEST_F(Structures, KernelAddressesAreFirstFit) {
  constexpr u64 kChunks = 1000;  // not whole words
  KmemArea area(VaRange::of_pages(kKmemRange.begin, kChunks * KmemArea::kChunkPages));
  std::vector<bool> used(kChunks);
  absl::btree_map<u64, u64> grants;  // first chunk -> chunks
  std::mt19937_64 random(7);
  for (int step = 0; step < 4000; ++step) {
    if (random() % 2 == 0 && !grants.empty()) {
      auto one = grants.lower_bound(random() % kChunks);
      if (one == grants.end()) one = grants.begin();
      const Gva begin = kKmemRange.begin + pages_to_bytes(one->first * KmemArea::kChunkPages);
      ASSERT_FALSE(area.take_back(begin, (one->second + 1) * KmemArea::kChunkPages, frames_));
      ASSERT_TRUE(area.take_back(begin, one->second * KmemArea::kChunkPages, frames_));
      std::fill_n(used.begin() + static_cast<long>(one->first), one->second, false);
      grants.erase(one);
      continue;
    }
    const u64 chunks = 1 + random() % (step % 3 == 0 ? 150 : 9);
    const auto at = std::search_n(used.begin(), used.end(), static_cast<long>(chunks), false);
    const auto granted = area.grant(chunks * KmemArea::kChunkPages, meta_);
    ASSERT_EQ(granted.has_value(), at != used.end()) << step;
    if (!granted) continue;
    const u64 first = static_cast<u64>(at - used.begin());
    ASSERT_EQ(*granted - kKmemRange.begin, pages_to_bytes(first * KmemArea::kChunkPages)) << step;
    std::fill_n(at, chunks, true);
    grants[first] = chunks;
  }
  area.release(frames_);
}

}  // namespace
}  // namespace nopte::pt
