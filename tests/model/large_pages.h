// A space whose memory comes in large pages where it can, over every kind of sink that has them.
#pragma once

#include "tests/model/world.h"

namespace nopte::model {

inline constexpr std::array<const KindRow*, 6> kLargePageKinds = {
    &kStoreInGuest, &kStoreInHypervisor, &kFiveLevelStore, &kPaeStore, &kShadowed, &kNested};

class LargePages : public testing::TestWithParam<const KindRow*> {
 protected:
  static constexpr u64 kLarge = pt::kBlockFrames;  // pages
  static constexpr auto kFine = ViolationReason::kNone;

  void SetUp() override {
    ASSERT_TRUE(w.start());
    parent = *w.create();
    ASSERT_TRUE(w.activate(parent));
  }
  void TearDown() override {
    w.check();
    w.finish();
  }
  [[nodiscard]] u64 counted(u64 pt::EngineCounters::* counter) { return w.engine().counters().*counter; }
  [[nodiscard]] u64 splits() { return counted(&pt::EngineCounters::large_split); }
  [[nodiscard]] u64 copied() { return counted(&pt::EngineCounters::frames_copied); }
  [[nodiscard]] u64 free_frames() { return w.frames().free_frames(); }

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

  World w{*GetParam(), 8192, 2};
  const Gva kBase = w.layout().base;
  SpaceId parent{};
  SpaceId child{};
};

}  // namespace nopte::model
