// region_unmap: promises withdrawn, pages gone, memory back.
#include "tests/conformance/cases/support.h"

namespace nopte::conformance {
namespace {

void unmap_takes_the_page_out(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.unmap(a, 0, 1) == kOk);
  EXPECT(fails(s.load(0), kNoRegion));
}
void unmap_of_the_middle_keeps_the_ends(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 5) == kOk);
  for (u64 page = 0; page < 5; ++page) EXPECT(s.store(page, page + 10) == kOk);
  EXPECT(s.unmap(a, 1, 3) == kOk);
  EXPECT(is(s.warm_load(0), 10));
  EXPECT(fails(s.load(1), kNoRegion));
  EXPECT(fails(s.load(3), kNoRegion));
  EXPECT(is(s.warm_load(4), 14));
}
void unmap_over_holes(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 1, 1) == kOk);
  EXPECT(s.map(a, 3, 1) == kOk);
  EXPECT(s.store(1, 1) == kOk);
  EXPECT(s.unmap(a, 0, 6) == kOk);
  EXPECT(s.unmap(a, 0, 6) == kOk);
  EXPECT(fails(s.load(1), kNoRegion));
  EXPECT(fails(s.load(3), kNoRegion));
}
void unmap_and_map_again_reads_zero(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 5) == kOk);
  EXPECT(s.unmap(a, 0, 1) == kOk);
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(is(s.load(0), 0));
}
void unmap_gives_memory_back(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 64) == kOk);
  const u64 before = s.free_pages();
  for (u64 page = 0; page < 64; ++page) EXPECT(s.store(page, 1) == kOk);
  EXPECT(before - s.free_pages() >= 64);
  EXPECT(s.unmap(a, 0, 64) == kOk);
  EXPECT(s.free_pages() >= before);
}

constexpr Case kUnmapCases[] = {
    CASE(unmap_takes_the_page_out, region_unmap), CASE(unmap_of_the_middle_keeps_the_ends, region_unmap),
    CASE(unmap_over_holes, region_unmap),         CASE(unmap_and_map_again_reads_zero, region_unmap),
    CASE(unmap_gives_memory_back, region_unmap),
};

}  // namespace

std::span<const Case> unmap_cases() { return kUnmapCases; }

}  // namespace nopte::conformance
