// Anonymous memory: zero at the first touch, then what was written.
#include "tests/conformance/cases/support.h"

namespace nopte::conformance {
namespace {

void anonymous_reads_zero(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 3) == kOk);
  for (u64 word : {0, 255, 511}) EXPECT(is(s.load(1, word), 0));
}
void anonymous_keeps_what_is_written(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 3) == kOk);
  EXPECT(s.store(1, 42, 511) == kOk);
  EXPECT(is(s.warm_load(1, 511), 42));
  EXPECT(is(s.warm_load(1, 0), 0));
}
void anonymous_write_after_read_is_warm_once_written(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(is(s.load(0), 0));
  EXPECT(s.store(0, 7) == kOk);
  EXPECT(s.warm_store(0, 8) == kOk);
  EXPECT(is(s.warm_load(0), 8));
}
void anonymous_pages_are_apart(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 16) == kOk);
  for (u64 page = 0; page < 16; ++page) EXPECT(s.store(page, page + 1) == kOk);
  for (u64 page = 0; page < 16; ++page) EXPECT(is(s.warm_load(page), page + 1));
}
void anonymous_spans_a_gibibyte_boundary(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 4, 2) == kOk);
  EXPECT(s.store(4, 1) == kOk);
  EXPECT(s.store(5, 2) == kOk);
  EXPECT(is(s.warm_load(4), 1));
  EXPECT(is(s.warm_load(5), 2));
}
void nothing_is_outside_regions(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 2, 1) == kOk);
  EXPECT(fails(s.load(1), kNoRegion));
  EXPECT(fails(s.load(3), kNoRegion));
  EXPECT(s.store(3, 1) == kNoRegion);
  EXPECT(is(s.load(2), 0));
}
void a_map_call_installs_nothing(Scene& s) {
  const SpaceId a = s.create_active();
  const u64 before = s.free_pages();
  EXPECT(s.map(a, 0, 64) == kOk);
  // At most what is kept about the promise itself.
  EXPECT(before - s.free_pages() <= 2);
}
void freed_memory_does_not_show_through(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 8) == kOk);
  for (u64 page = 0; page < 8; ++page) EXPECT(s.store(page, ~u64{0}, 100) == kOk);
  EXPECT(s.unmap(a, 0, 8) == kOk);
  EXPECT(s.map(a, 32, 8) == kOk);
  for (u64 page = 32; page < 40; ++page) EXPECT(is(s.load(page, 100), 0));
}
void the_ends_of_user_space_can_be_mapped(Scene& s) {
  const SpaceId a = s.create_active();
  const u64 last = (kUserRange.end - Scene::kArena) / kPageBytes - 1;
  EXPECT(s.map(a, last, 1) == kOk);
  EXPECT(s.store(last, 9, 511) == kOk);
  EXPECT(is(s.warm_load(last, 511), 9));
}
void far_apart_pages_are_apart(Scene& s) {
  const SpaceId a = s.create_active();
  constexpr u64 kTopSlot = u64{1} << 27;  // pages that one entry of a top-level table maps
  EXPECT(s.map(a, 0, 100 * kTopSlot) == kOk);
  for (u64 slot = 0; slot < 100; slot += 33) EXPECT(s.store(slot * kTopSlot + 7, slot) == kOk);
  for (u64 slot = 0; slot < 100; slot += 33) EXPECT(is(s.warm_load(slot * kTopSlot + 7), slot));
  EXPECT(is(s.load(50 * kTopSlot), 0));
}
void the_lowest_user_page_can_be_mapped(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map_region(a, {VaRange::of_pages(kUserRange.begin, 1), kPermRW}) == kOk);
  EXPECT(s.store_at(kUserRange.begin, 9) == kOk);
  EXPECT(is(s.warm_load_at(kUserRange.begin), 9));
  EXPECT(fails(s.load_at(kUserRange.begin - 8), kNoRegion));
}
void all_of_user_space_is_one_region(Scene& s) {
  const SpaceId a = s.create_active();
  const u64 before = s.free_pages();
  EXPECT(s.map_region(a, {kUserRange, kPermRW}) == kOk);
  EXPECT(s.store_at(kUserRange.begin, 1) == kOk);
  EXPECT(s.store(0, 2) == kOk);
  EXPECT(s.store_at(kUserRange.end - 8, 3) == kOk);
  EXPECT(s.unmap_range(a, kUserRange) == kOk);
  EXPECT(fails(s.load(0), kNoRegion));
  EXPECT(s.free_pages() == before);
}

constexpr Case kAnonymousCases[] = {
    CASE(anonymous_reads_zero, region_map),
    CASE(anonymous_keeps_what_is_written, region_map),
    CASE(anonymous_write_after_read_is_warm_once_written, region_map),
    CASE(anonymous_pages_are_apart, region_map),
    CASE(anonymous_spans_a_gibibyte_boundary, region_map),
    VIOLATION_CASE(nothing_is_outside_regions),
    CASE(a_map_call_installs_nothing, region_map),
    CASE(freed_memory_does_not_show_through, region_map),
    CASE(the_ends_of_user_space_can_be_mapped, region_map),
    CASE(far_apart_pages_are_apart, region_map),
    CASE(the_lowest_user_page_can_be_mapped, region_map),
    CASE(all_of_user_space_is_one_region, region_map, region_unmap),
};

}  // namespace

std::span<const Case> anonymous_cases() { return kAnonymousCases; }

}  // namespace nopte::conformance
