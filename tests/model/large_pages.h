// A space whose memory comes in large pages where it can, over every kind of sink that has them.
#pragma once

#include "tests/model/world.h"

namespace nopte::model {

inline constexpr std::array<const KindRow*, 6> kLargePageKinds = {
    &kStoreInGuest, &kStoreInHypervisor, &kFiveLevelStore, &kPaeStore, &kShadowed, &kNested};

// What the table that has the large pages' leaves has beside them: a clone copies tables of few entries at
// once, and shares others (unshare.h).
enum class Beside : u8 { kNothing, kManyTables };

inline constexpr auto kLargePageName = [](const auto& test) {
  std::string name = kKindName(testing::TestParamInfo<const KindRow*>(std::get<0>(test.param), test.index));
  return name + (std::get<1>(test.param) == Beside::kNothing ? "" : "_in_a_crowd");
};

class LargePages : public testing::TestWithParam<std::tuple<const KindRow*, Beside>> {
 protected:
  static constexpr u64 kLarge = pt::kBlockFrames;  // pages
  static constexpr auto kFine = ViolationReason::kNone;

  void SetUp() override {
    ASSERT_TRUE(w.start());
    parent = *w.create();
    ASSERT_TRUE(w.activate(parent));
    if (std::get<1>(GetParam()) == Beside::kNothing) return;
    for (u64 i = 0; i < kCrowd; ++i) {
      w.map(parent, {.range = crowd(i), .perm = kPermRW});
      ASSERT_EQ(w.write(crowd(i).begin, i), kFine);
    }
  }
  void TearDown() override {
    w.check();
    w.finish();
  }
  [[nodiscard]] u64 counted(u64 pt::EngineCounters::* counter) { return w.engine().counters().*counter; }
  [[nodiscard]] u64 splits() { return counted(&pt::EngineCounters::large_split); }
  [[nodiscard]] u64 copied() { return counted(&pt::EngineCounters::frames_copied); }
  [[nodiscard]] u64 free_frames() { return w.frames().free_frames(); }

  // Single pages, each in a leaf table of its own, beside those in the table of a GiB.
  static constexpr u64 kCrowd = 70;
  VaRange crowd(u64 i) const { return pages((20 + i) * kLarge, (20 + i) * kLarge + 1); }

  Gva at(u64 page) const { return kBase + pages_to_bytes(page); }
  VaRange pages(u64 first, u64 last) const { return {at(first), at(last)}; }
  static constexpr Usage kWanted{AccessPattern::kNormal, LargeLeaves::kWanted};
  void map(u64 first, u64 last, Perm perm = kPermRW, Usage usage = kWanted) {
    w.map(parent, {.range = pages(first, last), .perm = perm, .usage = usage});
  }
  // Each page of the running space gets its number; each has it.
  void fill(u64 first, u64 last) {
    for (u64 i = first; i < last; ++i) ASSERT_EQ(w.write(at(i), i + 1), kFine) << i;
  }
  void expect_filled(u64 first, u64 last) {
    for (u64 i = first; i < last; ++i) ASSERT_EQ(w.read(at(i)), i + 1) << i;
  }
  [[nodiscard]] bool is_large(SpaceId space, u64 page) {
    const auto installed = w.engine().peek(space, at(page));
    return installed && installed->level == 2;
  }
  // Page 0 of the space is the first of this many large pages, which hold their numbers.
  void map_filled(u64 count) {
    map(0, count * kLarge);
    fill(0, count * kLarge);
    for (u64 i = 0; i < count; ++i) ASSERT_TRUE(is_large(parent, i * kLarge));
  }
  void clone() {
    child = *w.clone(parent);
    w.check();
  }
  void in(SpaceId space) { ASSERT_TRUE(w.activate(space)); }
  // The other processor, where there is one.
  void on(unsigned cpu) { w.machine().set_current(w.machine().cpus() == 1 ? 0 : cpu); }

  World w{*std::get<0>(GetParam()), 8192, 2};
  const Gva kBase = w.layout().base;
  SpaceId parent{};
  SpaceId child{};
};

}  // namespace nopte::model
