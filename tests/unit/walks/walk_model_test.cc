#include "experiments/walks/walk_model.h"

#include <gtest/gtest.h>

namespace walks {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t k2MiB = uint64_t{2} << 20;
constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr uint64_t k512GiB = uint64_t{512} << 30;
constexpr uint64_t kKernel = 0xffff'8000'0000'0000;

struct Step {
  uint64_t walks;
  uint64_t references;
  uint64_t nested;
  friend bool operator==(Step, Step) = default;
};

std::ostream& operator<<(std::ostream& out, Step step) {
  return out << step.walks << " walks, " << step.references << " references, " << step.nested << " nested";
}

class Walked {
 public:
  explicit Walked(Dimensions dimensions, Leaf guest = Leaf::k4K, Leaf nested = Leaf::k4K)
      : model(dimensions, guest, nested) {}

  // What one access adds.
  Step read(uint64_t address, uint64_t physical = 0, uint8_t asid = 1, Stream stream = Stream::kData) {
    const Counts before = model.counts(owner_of(asid, address), stream);
    model.access({asid, stream, address, physical});
    const Counts& after = model.counts(owner_of(asid, address), stream);
    return {after.walks - before.walks, after.references - before.references,
            after.nested_references - before.nested_references};
  }

  WalkModel model;
};

constexpr Step kHit{0, 0, 0};

TEST(WalkModel, AFirstWalkReadsEachLevel) {
  EXPECT_EQ(Walked(Dimensions::kOne).read(0), (Step{1, 4, 0}));
  EXPECT_EQ(Walked(Dimensions::kOne, Leaf::k2M).read(0), (Step{1, 3, 0}));
}

// Each of the guest's entries lies at a guest-physical address, and so does the data: 4 × (4 + 1) + 4
// references. Tables that come with one page lie together here, so that only the first walk of the nested
// tables begins at their root.
TEST(WalkModel, AFirstWalkInTwoDimensions) {
  // 4, then 1 of the leaf's level for each other page: 3 tables and the data; and the guest's four.
  EXPECT_EQ(Walked(Dimensions::kTwo).read(0), (Step{1, 4 + 4 + 4, 4 + 4}));
  // 2 MiB below: they all lie in one leaf.
  EXPECT_EQ(Walked(Dimensions::kTwo, Leaf::k4K, Leaf::k2M).read(0), (Step{1, 4 + 3, 3}));
  EXPECT_EQ(Walked(Dimensions::kTwo, Leaf::k2M, Leaf::k2M).read(0), (Step{1, 3 + 3, 3}));
  EXPECT_EQ(Walked(Dimensions::kTwo, Leaf::k2M, Leaf::k4K).read(0), (Step{1, 3 + 4 + 3, 4 + 3}));
}

// The most that there can be: nothing is kept, neither of the guest's tables nor of the nested ones.
TEST(WalkModel, TheWorstWalkTakes24References) {
  for (const auto& [guest, nested, most] :
       {std::tuple{Leaf::k4K, Leaf::k4K, 24}, std::tuple{Leaf::k4K, Leaf::k2M, 19},
        std::tuple{Leaf::k2M, Leaf::k4K, 19}, std::tuple{Leaf::k2M, Leaf::k2M, 15}}) {
    Walked walked(Dimensions::kTwo, guest, nested);
    // A first walk through each table from another data page, 512 GiB from the last: so their places are far
    // apart.
    walked.read(0, 1 * k512GiB);                       // level 4, and all others
    walked.read(k512GiB, 2 * k512GiB);                 // levels 3 to 1, of the next slot
    walked.read(k512GiB + kGiB, 3 * k512GiB);          // level 2 and 1
    walked.read(k512GiB + kGiB + k2MiB, 4 * k512GiB);  // level 1
    walked.model.flush_all();
    const Step step = walked.read(k512GiB + kGiB + k2MiB + kPage, 5 * k512GiB);
    EXPECT_EQ(step.walks, 1);
    EXPECT_EQ(step.references, most);
  }
}

TEST(WalkModel, UpperEntriesAreKept) {
  Walked walked(Dimensions::kOne);
  walked.read(0);
  EXPECT_EQ(walked.read(0), kHit);
  EXPECT_EQ(walked.read(kPage), (Step{1, 1, 0}));
  EXPECT_EQ(walked.read(k2MiB), (Step{1, 2, 0}));
  EXPECT_EQ(walked.read(kGiB), (Step{1, 3, 0}));
  EXPECT_EQ(walked.read(k512GiB), (Step{1, 4, 0}));
}

TEST(WalkModel, NestedTranslationsAreKept) {
  Walked walked(Dimensions::kTwo);
  walked.read(0, 0);
  // The table's page is in the nested TLB; the data's is not, but its upper entries are.
  EXPECT_EQ(walked.read(kPage, kPage), (Step{1, 1 + 1, 1}));
  // 17 other pages, and the nested TLB of 16 has lost the table's: one reference more.
  for (uint64_t i = 2; i < 19; ++i) walked.read(i * (k2MiB + kPage), i * (k2MiB + kPage));
  EXPECT_EQ(walked.read(2 * kPage, 2 * kPage), (Step{1, 1 + 2, 2}));
}

TEST(WalkModel, CapacityOfTheTwoLevels) {
  WalkModel model(Dimensions::kOne, Leaf::k4K, Leaf::k4K);
  // A little less than the second level's 1,536: upper entries live there, too.
  constexpr uint64_t kPages = 1400;
  for (int round = 0; round < 3; ++round) {
    for (uint64_t i = 0; i < kPages; ++i) model.access({1, Stream::kData, i * kPage, 0});
  }
  const Counts& counts = model.counts(Owner::kProgram, Stream::kData);
  EXPECT_EQ(counts.walks, kPages);
  EXPECT_EQ(counts.first_level_misses, 3 * kPages);
}

TEST(WalkModel, CodeHasTlbsOfItsOwn) {
  Walked walked(Dimensions::kOne);
  walked.read(0);
  // The same page: walked to again, by the upper entries that both use.
  EXPECT_EQ(walked.read(0, 0, 1, Stream::kCode), (Step{1, 1, 0}));
  EXPECT_EQ(walked.read(0, 0, 1, Stream::kCode), kHit);
}

TEST(WalkModel, TheSmallerLeafDecidesWhatAnEntryCovers) {
  for (const auto& [guest, nested, hits] :
       {std::tuple{Leaf::k4K, Leaf::k2M, false}, std::tuple{Leaf::k2M, Leaf::k4K, false},
        std::tuple{Leaf::k2M, Leaf::k2M, true}}) {
    Walked walked(Dimensions::kTwo, guest, nested);
    walked.read(0);
    EXPECT_EQ(walked.read(kPage, kPage) == kHit, hits);
  }
}

TEST(WalkModel, TheHypervisorIsNotNested) {
  Walked walked(Dimensions::kTwo);
  EXPECT_EQ(walked.read(0, 0, 0), (Step{1, 3, 0}));
  EXPECT_EQ(walked.model.counts(Owner::kHypervisor, Stream::kData).walks, 1);
}

TEST(WalkModel, WhoseAnAccessIs) {
  EXPECT_EQ(owner_of(0, kKernel), Owner::kHypervisor);
  EXPECT_EQ(owner_of(1, kKernel), Owner::kKernel);
  EXPECT_EQ(owner_of(1, 0x7fff'ffff'ffff), Owner::kProgram);
}

TEST(WalkModel, SpacesAreApart) {
  Walked walked(Dimensions::kOne);
  walked.read(0, 0, 1);
  EXPECT_EQ(walked.read(0, 0, 2), (Step{1, 4, 0}));
  EXPECT_EQ(walked.read(0, 0, 1), kHit);
}

TEST(WalkModel, ANewRootLeavesWhatIsGlobal) {
  Walked walked(Dimensions::kOne);
  walked.read(0);
  walked.read(kKernel);
  walked.read(0, 0, 2);
  walked.model.flush_lower_half(1);
  EXPECT_EQ(walked.read(kKernel), kHit);
  EXPECT_EQ(walked.read(0), (Step{1, 4, 0}));
  // Upper entries are never global.
  EXPECT_EQ(walked.read(kKernel + kPage), (Step{1, 4, 0}));
  EXPECT_EQ(walked.read(0, 0, 2), kHit);
}

TEST(WalkModel, ANewRootOfTheGuestLeavesNestedTranslations) {
  Walked walked(Dimensions::kTwo);
  walked.read(0);
  walked.model.flush_lower_half(1);
  EXPECT_EQ(walked.read(0), (Step{1, 4, 0}));
}

TEST(WalkModel, FlushesOfASpaceAndOfAll) {
  Walked walked(Dimensions::kTwo);
  walked.read(kKernel, 0, 1);
  walked.read(0, 0, 2);
  walked.model.flush_asid(1);
  EXPECT_EQ(walked.read(0, 0, 2), kHit);
  EXPECT_EQ(walked.read(kKernel, 0, 1), (Step{1, 12, 8}));
  walked.model.flush_all();
  EXPECT_EQ(walked.read(0, 0, 2), (Step{1, 12, 8}));
}

TEST(WalkModel, OfAPageAndOfUpperEntries) {
  Walked walked(Dimensions::kOne);
  walked.read(0);
  walked.read(kPage);
  walked.model.flush_page(1, 0);
  EXPECT_EQ(walked.read(kPage), kHit);
  EXPECT_EQ(walked.read(0), (Step{1, 1, 0}));
  walked.model.flush_upper_entries(1);
  EXPECT_EQ(walked.read(0), kHit);
  EXPECT_EQ(walked.read(2 * kPage), (Step{1, 4, 0}));
}

}  // namespace
}  // namespace walks
