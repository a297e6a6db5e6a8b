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
void unmap_of_an_end_keeps_the_rest(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 4) == kOk);
  for (u64 page = 0; page < 4; ++page) EXPECT(s.store(page, page + 10) == kOk);
  EXPECT(s.unmap(a, 0, 1) == kOk);
  EXPECT(s.unmap(a, 3, 1) == kOk);
  EXPECT(fails(s.load(0), kNoRegion));
  EXPECT(is(s.warm_load(1), 11));
  EXPECT(is(s.warm_load(2), 12));
  EXPECT(fails(s.load(3), kNoRegion));
}
void unmap_over_regions_of_every_kind(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(8);
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.map(a, 2, 2, kPermR) == kOk);
  EXPECT(s.map_object(a, 4, 2, o, 0, Sharing::kShared) == kOk);
  EXPECT(s.map_object(a, 6, 2, o, 0, Sharing::kPrivate) == kOk);
  for (u64 page : {0, 4, 6}) EXPECT(s.store(page, 1) == kOk);
  EXPECT(is(s.load(2), 0));
  EXPECT(s.unmap(a, 1, 6) == kOk);
  EXPECT(is(s.warm_load(0), 1));
  for (u64 page = 1; page < 7; ++page) EXPECT(fails(s.load(page), kNoRegion));
  EXPECT(is(s.load(7), 0));
}
void unmap_gives_tables_back(Scene& s) {
  const SpaceId a = s.create_active();
  const u64 before = s.free_pages();
  EXPECT(s.map(a, 0, 20 * 512) == kOk);
  for (u64 page = 0; page < 20; ++page) EXPECT(s.store(page * 512, 1) == kOk);
  EXPECT(s.unmap(a, 0, 20 * 512) == kOk);
  EXPECT(s.free_pages() == before);
}
void unmap_of_a_huge_range(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, u64{1} << 32) == kOk);
  EXPECT(s.store(3, 1) == kOk);
  EXPECT(s.store(u64{1} << 31, 2) == kOk);
  EXPECT(s.unmap(a, 1, (u64{1} << 32) - 1) == kOk);
  EXPECT(is(s.load(0), 0));
  EXPECT(fails(s.load(3), kNoRegion));
  EXPECT(fails(s.load(u64{1} << 31), kNoRegion));
}
void unmap_in_a_clone_leaves_the_parent(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  const SpaceId b = s.make_clone(a);
  EXPECT(s.unmap(b, 0, 1) == kOk);
  EXPECT(is(s.load(0), 1));
  s.activate(b);
  EXPECT(fails(s.load(0), kNoRegion));
}
void unmap_of_no_pages_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.unmap(a, 0, 0) == kInvalid);
  EXPECT(is(s.load(0), 0));
}
void unmap_at_an_odd_address_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.unmap_range(a, VaRange::of_pages(Scene::at(0) + 8, 1)) == kInvalid);
  EXPECT(is(s.load(0), 0));
  EXPECT(is(s.load(1), 0));
}
void unmap_outside_user_space_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(1);
  EXPECT(s.map_window(o, 1000, 1, 0) == kOk);
  for (Gva begin : {Gva(0), kUserRange.end - kPageBytes, kUserRange.end, Scene::window_at(1000),
                    kKmemRange.begin, kImageRange.begin}) {
    EXPECT(s.unmap_range(a, VaRange::of_pages(begin, 2)) == kInvalid);
  }
  EXPECT(is(s.window_load(1000), 0));
}
void unmap_that_wraps_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.unmap_range(a, {Scene::at(1), Scene::at(0)}) == kInvalid);
  EXPECT(s.unmap_range(a, {Scene::at(0), Gva(0)}) == kInvalid);
  EXPECT(is(s.load(1), 0));
}

void a_map_may_replace(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 6) == kOk);
  for (u64 page = 0; page < 6; ++page) EXPECT(s.store(page, 5) == kOk);
  EXPECT(s.map_with(a, 2, 2, kMapReplace, kPermR) == kOk);
  EXPECT(is(s.warm_load(1), 5));
  EXPECT(is(s.load(2), 0));
  EXPECT(s.store(3, 1) == kPermission);
  EXPECT(is(s.warm_load(4), 5));
  EXPECT(s.map_with(a, 4, 10, kMapReplace) == kOk);
  EXPECT(is(s.load(4), 0));
  EXPECT(s.store(13, 1) == kOk);
}

constexpr Case kUnmapCases[] = {
    CASE(unmap_takes_the_page_out, region_unmap),
    CASE(unmap_of_the_middle_keeps_the_ends, region_unmap),
    CASE(unmap_over_holes, region_unmap),
    CASE(unmap_and_map_again_reads_zero, region_unmap),
    CASE(unmap_gives_memory_back, region_unmap),
    CASE(unmap_of_an_end_keeps_the_rest, region_unmap),
    CASE(unmap_over_regions_of_every_kind, region_unmap),
    CASE(unmap_gives_tables_back, region_unmap),
    CASE(unmap_of_a_huge_range, region_unmap),
    CASE(unmap_in_a_clone_leaves_the_parent, region_unmap),
    CASE(unmap_of_no_pages_is_refused, region_unmap),
    CASE(unmap_at_an_odd_address_is_refused, region_unmap),
    CASE(unmap_outside_user_space_is_refused, region_unmap),
    CASE(unmap_that_wraps_is_refused, region_unmap),
    CASE(a_map_may_replace, region_map),
};

}  // namespace

std::span<const Case> unmap_cases() { return kUnmapCases; }

}  // namespace nopte::conformance
