// The engine's own structures over a small pool: ids, page index, kernel addresses.
#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "native-fallback/engine/id_table.h"
#include "native-fallback/engine/kmem_area.h"
#include "native-fallback/engine/memory_object.h"
#include "pvops/mm_ops.h"

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
  std::set<u32> ids;
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

}  // namespace
}  // namespace nopte::pt
