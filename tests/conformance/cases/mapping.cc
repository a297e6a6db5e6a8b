// region_map: what is promised, and what is not.
#include "tests/conformance/cases/support.h"

namespace nopte::conformance {
namespace {

void map_over_a_region_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 2, 4) == kOk);
  EXPECT(s.store(2, 7) == kOk);
  EXPECT(s.map(a, 2, 4, kPermR) == kOverlap);
  EXPECT(s.map(a, 0, 8, kPermR) == kOverlap);
  EXPECT(s.warm_store(2, 8) == kOk);
  EXPECT(fails(s.load(1), kNoRegion));
}
void map_over_an_end_of_a_region_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 2, 4) == kOk);
  EXPECT(s.map(a, 0, 3) == kOverlap);
  EXPECT(s.map(a, 5, 3) == kOverlap);
  EXPECT(fails(s.load(1), kNoRegion));
  EXPECT(fails(s.load(6), kNoRegion));
}
void map_into_a_region_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 2, 4) == kOk);
  EXPECT(s.map(a, 3, 1, kPermR) == kOverlap);
  EXPECT(s.store(3, 1) == kOk);
}
void a_region_may_touch_its_neighbours(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 2) == kOk);
  EXPECT(s.map(a, 4, 2) == kOk);
  EXPECT(s.map(a, 2, 2, kPermR) == kOk);
  EXPECT(s.store(1, 1) == kOk);
  EXPECT(s.store(2, 1) == kPermission);
  EXPECT(is(s.load(3), 0));
  EXPECT(s.store(4, 4) == kOk);
}
void neighbours_are_one_range_to_a_call(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 1) == kOk);
  EXPECT(s.map(a, 1, 1) == kOk);
  EXPECT(s.store(0, 1) == kOk);
  EXPECT(s.store(1, 2) == kOk);
  EXPECT(s.protect(a, 0, 2, kPermR) == kOk);
  EXPECT(s.store(1, 3) == kPermission);
  EXPECT(s.advise(a, 0, 2, Advice::kDontNeed) == kOk);
  EXPECT(is(s.load(0), 0));
  EXPECT(is(s.load(1), 0));
}
void map_of_no_pages_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map(a, 0, 0) == kInvalid);
}
void map_at_an_odd_address_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  const VaRange odd = VaRange::of_pages(Scene::at(0) + 8, 1);
  EXPECT(s.map_region(a, {odd, kPermRW}) == kInvalid);
  EXPECT(fails(s.load(0, 1), kNoRegion));
}
void map_outside_user_space_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  const Gva last = kUserRange.end - kPageBytes;
  for (Gva begin : {Gva(0), kUserRange.begin - kPageBytes, last, kUserRange.end, Gva(u64{1} << 47),
                    kWindowRange.begin, kKmemRange.begin, kImageRange.begin}) {
    EXPECT(s.map_region(a, {VaRange::of_pages(begin, 2), kPermRW}) == kInvalid);
  }
  EXPECT(fails(s.load_at(kUserRange.begin), kNoRegion));
  EXPECT(fails(s.load_at(last), kNoRegion));
}
void map_that_wraps_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map_region(a, {VaRange{Scene::at(1), Scene::at(0)}, kPermRW}) == kInvalid);
  EXPECT(s.map_region(a, {VaRange{Scene::at(1), Gva(0)}, kPermRW}) == kInvalid);
  EXPECT(fails(s.load(1), kNoRegion));
}
void map_in_a_space_that_is_gone_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  s.activate(SpaceId::kKernel);
  s.destroy(a);
  EXPECT(s.map(a, 0, 1) == kInvalid);
}
void map_of_an_object_that_is_gone_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(1);
  EXPECT(s.destroy_object(o) == kOk);
  EXPECT(s.map_object(a, 0, 1, o, 0, Sharing::kShared) == kInvalid);
  EXPECT(fails(s.load(0), kNoRegion));
}
void map_whose_object_pages_wrap_is_refused(Scene& s) {
  const SpaceId a = s.create_active();
  const ObjectId o = s.make_object(4);
  EXPECT(s.map_object(a, 0, 4, o, ~u64{0} - 1, Sharing::kShared) == kInvalid);
  EXPECT(fails(s.load(2), kNoRegion));
}
void anonymous_memory_is_not_shared(Scene& s) {
  const SpaceId a = s.create_active();
  EXPECT(s.map_object(a, 0, 1, ObjectId::kNone, 0, Sharing::kShared) == kInvalid);
  EXPECT(s.map_object(a, 0, 1, ObjectId::kNone, 1, Sharing::kPrivate) == kInvalid);
  EXPECT(fails(s.load(0), kNoRegion));
}
void a_window_shows_an_object_as_it_is(Scene& s) {
  const ObjectId o = s.make_object(1);
  const VaRange range = VaRange::of_pages(Scene::window_at(1000), 1);
  const SpaceId kernel = SpaceId::kKernel;
  EXPECT(s.map_region(kernel, {range, kPermRW}) == kInvalid);
  EXPECT(s.map_region(kernel, {range, kPermRW, Sharing::kPrivate, {}, o, 0}) == kInvalid);
  EXPECT(s.map_region(kernel, {range, kPermRX, Sharing::kShared, {}, o, 0}) == kInvalid);
  EXPECT(fails(s.window_load(1000), kNoRegion));
}
void windows_lie_in_their_range(Scene& s) {
  const ObjectId o = s.make_object(2);
  for (Gva begin : {Scene::at(0), kWindowRange.begin - kPageBytes, kWindowRange.end - kPageBytes,
                    kWindowRange.end, kKmemRange.begin, kImageRange.begin}) {
    EXPECT(s.map_region(SpaceId::kKernel,
                        {VaRange::of_pages(begin, 2), kPermRW, Sharing::kShared, {}, o, 0}) == kInvalid);
  }
  EXPECT(s.destroy_object(o) == kOk);
}
void the_regions_of_a_space_are_limited(Scene& s) {
  constexpr u64 kMostRegions = 65537;
  const SpaceId a = s.create_active();
  for (u64 page = 0; page < kMostRegions; ++page) {
    if (s.map_unlisted(a, page, page % 2 != 0 ? kPermR : kPermRW) != kOk) {
      return s.expect(false, "fewer regions than the limit");
    }
  }
  EXPECT(s.map_unlisted(a, kMostRegions, kPermR) == Status::kLimit);
  EXPECT(s.map_unlisted(a, kMostRegions + 10, kPermRW) == Status::kLimit);
  EXPECT(s.unmap(a, kMostRegions - 1, 1) == kOk);
  EXPECT(s.map_unlisted(a, kMostRegions - 1, kPermRW) == kOk);
}

constexpr Case kMappingCases[] = {
    CASE(map_over_a_region_is_refused, region_map),
    CASE(map_over_an_end_of_a_region_is_refused, region_map),
    CASE(map_into_a_region_is_refused, region_map),
    CASE(a_region_may_touch_its_neighbours, region_map),
    CASE(neighbours_are_one_range_to_a_call, region_protect, region_advise),
    CASE(map_of_no_pages_is_refused, region_map),
    CASE(map_at_an_odd_address_is_refused, region_map),
    CASE(map_outside_user_space_is_refused, region_map),
    CASE(map_that_wraps_is_refused, region_map),
    CASE(map_in_a_space_that_is_gone_is_refused, region_map),
    CASE(map_of_an_object_that_is_gone_is_refused, region_map),
    CASE(map_whose_object_pages_wrap_is_refused, region_map),
    CASE(anonymous_memory_is_not_shared, region_map),
    CASE(a_window_shows_an_object_as_it_is, region_map),
    CASE(windows_lie_in_their_range, region_map),
    CASE(the_regions_of_a_space_are_limited, region_map),
};

}  // namespace

std::span<const Case> mapping_cases() { return kMappingCases; }

}  // namespace nopte::conformance
